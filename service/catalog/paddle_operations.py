"""PaddlePaddle's operators: their kinds, which slot holds what, and which do not belong to a model; knows no file.

Source: the operators' classes in paddle/fluid/pir/dialect/operator/ir of Paddle 3.3; names and slots of older ones as
Paddle's own programs have them.
"""

from __future__ import annotations

from types import MappingProxyType

_CONVOLUTIONS = {
    "conv2d": "conv2d", "conv3d": "conv3d", "depthwise_conv2d": "depthwise_conv2d", "conv2d_fusion": "conv2d",
    "fused_conv2d": "conv2d", "fused_conv2d_add_act": "conv2d", "conv2d_transpose": "conv_transpose2d",
    "conv3d_transpose": "conv_transpose3d", "depthwise_conv2d_transpose": "conv_transpose2d",
    "conv2d_transpose_bias": "conv_transpose2d", "conv2d_fusion_cutlass": "conv2d", "deformable_conv": "conv2d",
    "depthwise_conv2d_bias": "depthwise_conv2d",
}  # fmt: skip
_KINDS = {
    "linear": "fc mul matmul matmul_v2 fused_gemm_epilogue gemm_epilogue linear_v2",
    "embedding": "lookup_table lookup_table_v2 embedding c_embedding",
    "batch_norm": "batch_norm sync_batch_norm inplace_abn",
    "layer_norm": "layer_norm fused_layer_norm",
    "group_norm": "group_norm",
    "instance_norm": "instance_norm",
    "rms_norm": "rms_norm fused_rms_norm_ext",
    "prelu": "prelu",
    "softmax": "softmax log_softmax",
    "activation": "relu relu6 leaky_relu elu gelu sigmoid hard_sigmoid hardsigmoid hard_swish hardswish swish silu "
                  "softplus softsign tanh mish selu thresholded_relu",
    "dropout": "dropout",
    "pool": "pool2d pool3d max_pool2d_with_index max_pool3d_with_index",
    "padding": "pad pad2d pad3d",
    "crop": "crop crop_tensor",
    "upsample": "bilinear_interp bilinear_interp_v2 nearest_interp nearest_interp_v2 bicubic_interp_v2 "
                "linear_interp_v2 trilinear_interp_v2",
    "reshape": "reshape reshape2 transpose transpose2 flatten flatten2 flatten_contiguous_range squeeze squeeze2 "
               "unsqueeze unsqueeze2 pixel_shuffle",
    "merge": "elementwise_add elementwise_sub elementwise_mul elementwise_div elementwise_max elementwise_min add "
             "subtract multiply divide maximum minimum concat stack sum add_n",
    "quantization": "quantize_linear dequantize_linear fake_quantize_dequantize_moving_average_abs_max "
                    "fake_channel_wise_quantize_dequantize_abs_max fake_dequantize_max_abs",
    "lambda": "py_func py_layer",
    "einsum_dense": "",
}  # fmt: skip
KINDS = MappingProxyType(
    {name: kind for kind, names in _KINDS.items() for name in names.split()} | _CONVOLUTIONS
)
"""Kind by operator type, without a trailing underscore (which marks operators that work in place)."""

_CONV = {"Filter": "kernel", "Bias": "bias"}
_NORM = {"Scale": "scale", "Bias": "offset"}
_MATMUL = {"X": "kernel", "Y": "kernel", "W": "kernel", "Bias": "bias"}
_MATRIX_PRODUCTS = ("fc", "mul", "matmul", "matmul_v2", "fused_gemm_epilogue", "gemm_epilogue", "linear_v2")
_TABLES = ("lookup_table", "lookup_table_v2", "embedding", "c_embedding")
_BATCH_NORMS = ("batch_norm", "sync_batch_norm", "inplace_abn")
_NORMS = ("layer_norm", "fused_layer_norm", "group_norm", "instance_norm", "rms_norm", "fused_rms_norm_ext")
_TRACKED = {**_NORM, "Mean": "moving_mean", "Variance": "moving_variance"}
_QUANTIZED = {"Scale": "quant_scale", "ZeroPoint": "zero_point"}
_OLD_RNN = {"Weight": "recurrent_kernel", "Bias": "bias"}
ROLES: MappingProxyType[str, dict[str, str]] = MappingProxyType(
    dict.fromkeys(_CONVOLUTIONS, _CONV)
    | dict.fromkeys(_MATRIX_PRODUCTS, _MATMUL)
    | {name: {"W": "embedding"} for name in _TABLES}
    | dict.fromkeys(_BATCH_NORMS, _TRACKED)
    | dict.fromkeys(_NORMS, _NORM)
    | dict.fromkeys(("quantize_linear", "dequantize_linear"), _QUANTIZED)
    | {
        "depthwise_conv2d": {"Filter": "depthwise_kernel", "Bias": "bias"}, "prelu": {"Alpha": "slope"},
        "depthwise_conv2d_bias": {"Filter": "depthwise_kernel", "Bias": "bias"},
        "gru": _OLD_RNN, "lstm": _OLD_RNN,
    }
)  # fmt: skip
"""Role by operator and slot; a parameter in any other slot is a parameter of unknown purpose."""

LAYOUTS = MappingProxyType(
    {
        "conv2d": "OIHW", "depthwise_conv2d": "OIHW", "conv3d": "OIDHW", "conv_transpose2d": "IOHW",
        "conv_transpose3d": "IODHW",
    }
)  # fmt: skip
"""Axis order of a filter, whatever the order of the data."""

RECURRENT = MappingProxyType({"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "simple_rnn", "RNN_RELU": "simple_rnn"})
"""Kind of an operator `rnn` by its mode."""

PASSED_ON = frozenset(
    {"reshape", "reshape2", "unsqueeze", "unsqueeze2", "squeeze", "squeeze2", "cast", "assign", "share_data",
     "dequantize_linear", "transpose", "transpose2"}
)  # fmt: skip
"""Operators through which a parameter goes on its way to the layer that it belongs to."""
ADDITIONS = frozenset({"elementwise_add", "add"})
FEEDS = frozenset({"feed", "data"})
FETCHES = frozenset({"fetch", "shadow_output", "builtin.shadow_output"})
HELPERS = frozenset({"full_int_array", "full", "builtin.constant"})
"""Operators that only make a setting for another."""

FILE_OPERATORS = frozenset({"load", "load_combine", "save", "save_combine", "read_file"})
NETWORK_OPERATORS = frozenset(
    {"send", "recv", "listen_and_serv", "fetch_barrier", "send_barrier", "heter_listen_and_serv"}
)
CODE_OPERATORS = frozenset({"py_func", "py_layer", "custom_engine"})


def is_training(kind: str, inputs: dict[str, list[str]]) -> bool:
    """Whether an operator belongs to training: a gradient, or an optimizer's step."""
    return kind.endswith(("_grad", "_grad_grad")) or ("Param" in inputs and "Grad" in inputs)


def rnn_names(count: int, *, both: bool, biases: bool) -> list[str]:
    """Names, as paddle.nn.LSTM has them, of the `count` arrays of an operator `rnn`: all matrices, then all biases."""
    per_cell = 4 if biases else 2
    directions = 2 if both else 1
    cells = [f"_l{index // directions}{'_reverse' if index % directions else ''}" for index in range(count // per_cell)]
    matrices = [f"weight_{which}{cell}" for cell in cells for which in ("ih", "hh")]
    return matrices + ([f"bias_{which}{cell}" for cell in cells for which in ("ih", "hh")] if biases else [])
