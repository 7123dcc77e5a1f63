"""Reads what rules need out of hyper-parameters and shapes; a config holds anything, so nothing in it is trusted."""

from __future__ import annotations

import math
from typing import Any

from service.plain import is_number, whole
from service.tree import Layer

LINEAR = "linear"
"""The name of no activation."""

CONVOLUTIONS = tuple(f"conv{rank}d" for rank in (1, 2, 3))
TRANSPOSED = tuple(f"conv_transpose{rank}d" for rank in (1, 2, 3))
OTHER_CONVOLUTIONS = ("depthwise_conv1d", "depthwise_conv2d", "separable_conv1d", "separable_conv2d")
ALL_CONVOLUTIONS = (*CONVOLUTIONS, *TRANSPOSED, *OTHER_CONVOLUTIONS)

_PLAIN_TORCH = {"Linear", "LazyLinear", "NonDynamicallyQuantizableLinear"} | {
    f"{prefix}Conv{kind}{rank}d" for prefix in ("", "Lazy") for kind in ("", "Transpose") for rank in (1, 2, 3)
}
"""PyTorch's classes that compute nothing behind their kernel and bias; the fused ones do."""


def number(value: Any) -> float | None:
    """A finite number out of a config, None for anything else."""
    if not is_number(value):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def wholes(value: Any) -> tuple[int, ...] | None:
    """One whole number, or a list of them, as a tuple; None for anything else."""
    items = value if isinstance(value, list | tuple) else [value]
    found = [whole(item) for item in items]
    return None if not found or None in found else tuple(item for item in found if item is not None)


def activation(layer: Layer, framework: str) -> str | None:
    """The function behind the layer's kernel, `linear` for none; None if that is not recorded."""
    if framework == "torch":
        return LINEAR if layer.type in _PLAIN_TORCH and not layer.custom else None
    if "activation" not in layer.config:
        return None
    return _name(layer.config["activation"])


def _name(value: Any) -> str | None:
    if value is None:
        return LINEAR
    if isinstance(value, dict):
        name, inner = value.get("class_name"), value.get("config")
        value = inner if name == "function" else name
    return value.rpartition(">")[2].lower() if isinstance(value, str) else None


def is_softmax(layer: Layer) -> bool:
    """Whether the layer is a softmax and nothing else."""
    if layer.kind == "softmax":
        return layer.type != "Softmin"
    if layer.kind == "operation":
        return (layer.type or "") in ("Softmax", "LogSoftmax")
    return layer.kind == "activation" and _name(layer.config.get("activation", "")) in ("softmax", "log_softmax")


def is_identity(layer: Layer) -> bool:
    """Whether the layer gives what it gets."""
    if layer.type == "Identity":
        return True
    return layer.type == "Activation" and "activation" in layer.config and _name(layer.config["activation"]) == LINEAR


def rate(layer: Layer) -> float | None:
    """The share that a dropout layer zeroes, None if it is not recorded."""
    for name in ("rate", "p"):
        if name in layer.config:
            return number(layer.config[name])
    return None


def rank(layer: Layer) -> int | None:
    """Axes of the layer's output, with the batch axis; None if not known."""
    if layer.output_shapes:
        return len(layer.output_shapes[0])
    if layer.kind[-1:] == "d" and layer.kind in ALL_CONVOLUTIONS:
        return int(layer.kind[-2]) + 2
    return None


def channels_first(layer: Layer, framework: str) -> bool:
    """Whether the layer's channels are its axis 1."""
    return framework == "torch" or layer.config.get("data_format") == "channels_first"


def channel_axis(layer: Layer, framework: str) -> int | None:
    """The axis of a linear layer's or convolution's output units, counted from 0; None if its rank is not known."""
    if layer.kind != "linear" and channels_first(layer, framework):
        return 1
    axes = rank(layer)
    return None if axes is None else axes - 1
