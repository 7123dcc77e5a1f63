"""The operations of Core ML's programs: their kinds, and which operand of which is what; knows MIL, no file.

Source: the operation definitions of coremltools (converters/mil/mil/ops/defs).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

_Held = TypeVar("_Held")

_KINDS = {
    "linear": "linear",
    "batch_norm": "batch_norm",
    "layer_norm": "layer_norm",
    "instance_norm": "instance_norm",
    "unit_norm": "l2_norm",
    "lstm": "lstm",
    "gru": "gru",
    "simple_rnn": "rnn",
    "prelu": "prelu",
    "softmax": "softmax",
    "activation": "relu relu6 leaky_relu elu gelu sigmoid sigmoid_hard scaled_tanh silu softplus softplus_parametric "
                  "softsign tanh thresholded_relu clamped_relu linear_activation clip",
    "pool": "avg_pool max_pool l2_pool",
    "padding": "pad",
    "crop": "crop crop_resize",
    "upsample": "upsample_bilinear upsample_nearest_neighbor resize_bilinear resize_nearest_neighbor resize",
    "reshape": "reshape reshape_like transpose expand_dims squeeze flatten2d depth_to_space space_to_depth "
               "pixel_shuffle pixel_unshuffle batch_to_space space_to_batch tile",
    "multi_head_attention": "scaled_dot_product_attention",
    "quantization": "quantize dequantize",
}  # fmt: skip
KINDS = MappingProxyType({name: kind for kind, names in _KINDS.items() for name in names.split()})
"""Kind by operation, of those whose kind does not depend on their operands."""

MERGES = frozenset({"add", "sub", "mul", "real_div", "maximum", "minimum", "concat", "stack"})
"""Operations that combine inputs where more than one is computed."""

_NORM = {"gamma": "scale", "beta": "offset"}
_RECURRENT = {
    "weight_ih": "kernel", "weight_hh": "recurrent_kernel", "bias": "bias", "weight_ih_back": "kernel",
    "weight_hh_back": "recurrent_kernel", "bias_back": "bias", "peephole": "weight", "peephole_back": "weight",
    "input_bias": "recurrent_bias",
}  # fmt: skip
ROLES: MappingProxyType[str, dict[str, str]] = MappingProxyType(
    {
        "conv": {"weight": "kernel", "bias": "bias"},
        "conv_transpose": {"weight": "kernel", "bias": "bias"},
        "conv_quantized": {"weight": "kernel", "bias": "bias"},
        "linear": {"weight": "kernel", "bias": "bias"},
        "batch_norm": {**_NORM, "mean": "moving_mean", "variance": "moving_variance"},
        "instance_norm": _NORM,
        "layer_norm": _NORM,
        "lstm": _RECURRENT,
        "gru": _RECURRENT,
        "rnn": _RECURRENT,
        "prelu": {"alpha": "slope"},
        "softplus_parametric": {"alpha": "parameter", "beta": "parameter"},
    }
)
"""Role by operation and operand. A constant in any other place is a weight only if it is an array of data."""

_DATA = ("x", "y", "a", "b", "cond", "query", "key", "value", "attn_mask", "input", "values", "data", "updates")
DATA = frozenset(_DATA)
"""Operands that carry data, where an array is a constant of the model and no setting."""

_WEIGHTS = (
    "weight", "weight_ih", "weight_hh", "bias", "weight_ih_back", "weight_hh_back", "bias_back", "input_bias",
    "peephole", "peephole_back", "alpha", "gamma", "beta", "mean", "variance",
)  # fmt: skip
_PLACES = {name: place for place, name in enumerate((*_DATA, *_WEIGHTS))}

COMPRESSED: MappingProxyType[str, dict[str, str]] = MappingProxyType(
    {
        "constexpr_affine_dequantize": {"quantized_data": "", "scale": "quant_scale", "zero_point": "zero_point"},
        "constexpr_blockwise_shift_scale": {"data": "", "scale": "quant_scale", "offset": "zero_point"},
        "constexpr_lut_to_dense": {"indices": "", "lut": "quant_scale"},
        "constexpr_lut_to_sparse": {"indices_nonzero_data": "", "indices_mask": "mask", "lut": "quant_scale"},
        "constexpr_sparse_to_dense": {"nonzero_data": "", "mask": "mask"},
        "constexpr_sparse_blockwise_shift_scale": {
            "nonzero_data": "", "data_mask": "mask", "scale": "quant_scale", "offset": "zero_point",
        },
        "constexpr_cast": {"source_val": ""},
    }
)  # fmt: skip
"""Operations that only say how a constant is stored: the operand with the values (""), and roles of the others."""


def in_order(operands: Mapping[str, _Held]) -> list[tuple[str, _Held]]:
    """Operands in the order of their definitions, then by name: a program keeps them in a map, which has no order.

    The map is written in another order each time that the same model is saved.
    """
    return sorted(operands.items(), key=lambda one: (_PLACES.get(one[0], len(_PLACES)), one[0]))


def kernel_layout(operation: str, rank: int) -> str | None:
    """Axis order of a kernel of `rank` axes."""
    axes = {3: "W", 4: "HW", 5: "DHW"}.get(rank)
    if operation in ("conv", "conv_quantized"):
        return None if axes is None else f"OI{axes}"
    if operation == "conv_transpose":
        return None if axes is None else f"IO{axes}"
    return "out-in" if operation in ("linear", "lstm", "gru", "rnn") and rank == 2 else None


def kind_of(operation: str, ranks: dict[str, int], computed: int) -> str:
    """Kind by the operation, the rank of its constant operands, and how many of its operands are computed."""
    if operation in ("conv", "conv_transpose", "conv_quantized") and ranks.get("weight", 0) in (3, 4, 5):
        return f"{'conv_transpose' if operation == 'conv_transpose' else 'conv'}{ranks['weight'] - 2}d"
    if operation == "matmul" and 2 in (ranks.get("y"), ranks.get("x")):
        return "linear"
    if operation == "gather" and ranks.get("x") == 2:
        return "embedding"
    if operation in MERGES:
        return "merge" if computed > 1 else "operation"
    return KINDS.get(operation, "operation")
