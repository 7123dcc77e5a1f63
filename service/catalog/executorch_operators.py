"""What ExecuTorch's kernels are and what their constant arguments mean by position (ATen's native_functions.yaml).

Knows operators; must not know files or graphs.
"""

from __future__ import annotations

from typing import NamedTuple


class Argument(NamedTuple):
    """An argument that is a weight when it is constant."""

    name: str
    role: str
    layout: str | None = None


_NORM = {1: Argument("weight", "scale"), 2: Argument("bias", "offset"), 3: Argument("running_mean", "moving_mean"),
         4: Argument("running_var", "moving_variance")}  # fmt: skip
_LATE_NORM = {2: Argument("weight", "scale"), 3: Argument("bias", "offset")}
_CONVOLUTION = {1: Argument("weight", "kernel"), 2: Argument("bias", "bias")}
_SCALES = {1: Argument("scales", "quant_scale"), 2: Argument("zero_points", "zero_point")}
_QUANTIZED_TABLE = {0: Argument("weight", "embedding"), 1: Argument("weight_scales", "quant_scale"),
                    2: Argument("weight_zero_points", "zero_point")}  # fmt: skip

ARGUMENTS: dict[str, dict[int, Argument]] = {
    "convolution": _CONVOLUTION,
    "conv1d": _CONVOLUTION, "conv2d": _CONVOLUTION, "conv3d": _CONVOLUTION,
    "linear": {1: Argument("weight", "kernel", "out-in"), 2: Argument("bias", "bias")},
    "addmm": {0: Argument("bias", "bias"), 2: Argument("weight", "kernel", "in-out")},
    "mm": {1: Argument("weight", "kernel", "in-out")},
    "bmm": {1: Argument("weight", "kernel")},
    "_native_batch_norm_legit_no_training": _NORM,
    "_native_batch_norm_legit": _NORM,
    "native_batch_norm": _NORM,
    "native_layer_norm": _LATE_NORM,
    "rms_norm": _LATE_NORM,
    "native_group_norm": {1: Argument("weight", "scale"), 2: Argument("bias", "offset")},
    "embedding": {0: Argument("weight", "embedding")},
    "prelu": {1: Argument("weight", "slope")},
    "_prelu_kernel": {1: Argument("weight", "slope")},
    "dequantize_per_channel": _SCALES,
    "dequantize_per_channel_group": _SCALES,
    "embedding_byte": _QUANTIZED_TABLE,
    "embedding_4bit": _QUANTIZED_TABLE,
    "embedding_2bit": _QUANTIZED_TABLE,
}  # fmt: skip
"""By the operator's own name, without namespace and overload."""

SETTINGS: dict[str, dict[int, str]] = {
    "convolution": {3: "stride", 4: "padding", 5: "dilation", 6: "transposed", 7: "output_padding", 8: "groups"},
    "_native_batch_norm_legit_no_training": {5: "momentum", 6: "eps"},
    "native_layer_norm": {1: "normalized_shape", 4: "eps"},
    "rms_norm": {1: "normalized_shape", 3: "eps"},
    "native_group_norm": {6: "group", 7: "eps"},
    "embedding": {2: "padding_idx"},
}
"""Plain arguments that are settings of a layer, by position."""

PASSED_ON = frozenset({"permute_copy", "t_copy", "transpose_copy", "_to_copy", "_to_dim_order_copy", "view_copy",
                       "_clone_dim_order", "clone", "dequantize_per_channel", "dequantize_per_tensor",
                       "dequantize_per_channel_group", "dequantize_affine"})  # fmt: skip
"""Operators that only turn, copy or unpack a constant: the weight belongs to whoever uses the result."""
TURNS = frozenset({"permute_copy", "t_copy", "transpose_copy"})

_KINDS: dict[str, str] = {
    "linear": "linear", "addmm": "linear", "mm": "linear", "embedding": "embedding",
    **dict.fromkeys(("embedding_byte", "embedding_4bit", "embedding_2bit"), "embedding"),
    "_native_batch_norm_legit_no_training": "batch_norm", "_native_batch_norm_legit": "batch_norm",
    "native_batch_norm": "batch_norm", "native_layer_norm": "layer_norm", "native_group_norm": "group_norm",
    "rms_norm": "rms_norm", "prelu": "prelu", "_prelu_kernel": "prelu", "_softmax": "softmax",
    "_log_softmax": "softmax", "native_dropout": "dropout",
    **dict.fromkeys(("relu", "gelu", "sigmoid", "tanh", "hardtanh", "leaky_relu", "elu", "silu", "hardswish"),
                    "activation"),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool2d_with_indices", "_adaptive_avg_pool2d"),
                    "pool"),
    **dict.fromkeys(("view_copy", "permute_copy", "squeeze_copy", "unsqueeze_copy", "expand_copy", "t_copy",
                     "transpose_copy", "squeeze", "unsqueeze", "pixel_shuffle", "repeat"), "reshape"),
    **dict.fromkeys(("constant_pad_nd", "reflection_pad1d", "reflection_pad2d"), "padding"),
    **dict.fromkeys(("upsample_nearest2d", "upsample_bilinear2d"), "upsample"),
    **dict.fromkeys(("quantize_per_tensor", "dequantize_per_tensor", "quantize_per_channel", "dequantize_per_channel",
                     "dequantize_per_channel_group", "choose_qparams"), "quantization"),
}  # fmt: skip
_MERGES = frozenset({"add", "sub", "mul", "div", "cat", "stack", "maximum", "minimum"})


def short_name(operator: str) -> str:
    """`convolution` of `aten::convolution.out`."""
    return operator.rpartition("::")[2].partition(".")[0]


def kind_of(short: str, flowing: int, weights: int) -> str:
    """The kind of an operator by its own name; `flowing` inputs are not constant, `weights` are."""
    if short in _MERGES and flowing > 1:
        return "merge"
    if short in ("addmm", "mm", "linear") and not weights:
        return "operation"
    return _KINDS.get(short, "operation")


def convolution_kind(rank: int, settings: dict[str, object]) -> tuple[str, str] | None:
    """(kind, layout) of a convolution whose kernel has `rank` axes; None where there is no such."""
    spatial = {3: "W", 4: "HW", 5: "DHW"}.get(rank)
    if spatial is None:
        return None
    turned = settings.get("transposed") is True
    return f"{'conv_transpose' if turned else 'conv'}{rank - 2}d", f"{'IO' if turned else 'OI'}{spatial}"
