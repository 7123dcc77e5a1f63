"""What makes two layers equal in structure, and which kinds of layers belong together; knows kinds and configs."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from service.tree import Layer

CONVOLUTIONS = frozenset(
    {
        "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "depthwise_conv1d",
        "depthwise_conv2d", "separable_conv1d", "separable_conv2d",
    }
)  # fmt: skip
PROJECTIONS = CONVOLUTIONS | {"linear", "bilinear", "einsum_dense"}
"""What a group is built around."""
HEADS = PROJECTIONS | {
    "embedding", "simple_rnn", "lstm", "gru", "conv_lstm", "rnn", "bidirectional", "time_distributed", "attention",
    "multi_head_attention", "grouped_query_attention", "merge",
}  # fmt: skip
"""What may carry a normalisation, an activation and a dropout of its own, where the graph or the order says so."""
CHANNEL_NORMS = frozenset({"batch_norm", "instance_norm", "group_norm"})
NORMS = CHANNEL_NORMS | {"layer_norm", "rms_norm", "unit_norm"}
ACTIVATIONS = frozenset({"activation", "softmax", "prelu"})
DROPOUTS = frozenset({"dropout", "noise"})
AIDS = frozenset({"input", "operation", "masking", "preprocessing", "reshape", "lambda"})
"""What may prepare data that many layers take, such as a mask."""

COMPOSITE = frozenset(
    {
        "bidirectional", "time_distributed", "wrapper", "rnn", "simple_rnn", "lstm", "gru", "conv_lstm", "attention",
        "multi_head_attention", "grouped_query_attention", "spectral_norm",
    }
)  # fmt: skip
"""Layers that hold layers and are still one for a person."""

_TELLING = (
    "units", "filters", "kernel_size", "strides", "stride", "padding", "dilation", "dilation_rate", "groups",
    "activation", "pool_size", "num_heads", "return_sequences", "axis", "target_shape", "normalized_shape",
)  # fmt: skip
"""Hyper-parameters that tell layers apart whose weights have equal shapes. Rates of dropout are left out: stochastic
depth raises them from block to block."""
_LONGEST = 100


def signature(layer: Layer) -> Hashable:
    """Equal for layers with the same class, weight shapes and telling hyper-parameters."""
    weights = tuple((weight.role, weight.shape) for weight in layer.weights)
    config = layer.config
    told = tuple((key, _plain(config[key])) for key in _TELLING if key in config) if config else ()
    return layer.kind, layer.type, weights, told


def _plain(value: Any) -> str | None:
    """A short text for a scalar or a list of scalars; None for anything else, which is not compared."""
    if isinstance(value, str):
        return value[:_LONGEST]
    if value is None or isinstance(value, int | float):
        return repr(value) if not isinstance(value, int) or abs(value) < 2**64 else "huge"
    if isinstance(value, list | tuple) and len(value) <= 8:
        return ",".join(_plain(item) or "" for item in value if not isinstance(item, list | tuple))
    return None


def norm_fits(norm: Layer, head: Layer) -> bool:
    """Whether the normalisation has as many features as one axis of the head's weights."""
    features = {weight.shape[0] for weight in norm.weights if weight.shape and len(weight.shape) == 1}
    axes = {size for weight in head.weights for size in weight.shape or ()}
    return not features or bool(features & axes)
