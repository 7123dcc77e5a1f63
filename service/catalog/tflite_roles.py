"""What TensorFlow Lite's operators are and what their constant inputs mean by position; knows no file and no graph.

Positions are those of the operators' kernels in tensorflow/lite/kernels. A depthwise filter is stored as [1, height,
width, outputs]: each filter sees one input channel, so its layout is `IHWO`.
"""

from __future__ import annotations

from typing import NamedTuple


class Operand(NamedTuple):
    """One input of an operator that is a weight when it is constant."""

    name: str
    role: str
    layout: str | None = None


_BIAS = Operand("bias", "bias")
_TABLE = Operand("table", "embedding")
_GATES = ("input", "forget", "cell", "output")


def _lstm(prefix: str = "") -> dict[int, Operand]:
    """Inputs 1 to 17 of an LSTM, the same for each direction of one that has two."""
    found = {1 + at: Operand(f"{prefix}input_to_{gate}_weights", "kernel", "out-in") for at, gate in enumerate(_GATES)}
    for at, gate in enumerate(_GATES):
        found[5 + at] = Operand(f"{prefix}recurrent_to_{gate}_weights", "recurrent_kernel", "out-in")
        found[12 + at] = Operand(f"{prefix}{gate}_gate_bias", "bias")
    for at, gate in enumerate(("input", "forget", "output")):
        found[9 + at] = Operand(f"{prefix}cell_to_{gate}_weights", "parameter")
    found[16] = Operand(f"{prefix}projection_weights", "projection_kernel", "out-in")
    found[17] = Operand(f"{prefix}projection_bias", "bias")
    return found


_LSTM = {
    **_lstm(),
    18: Operand("output_state", "buffer"),
    19: Operand("cell_state", "buffer"),
    **{20 + at: Operand(f"{gate}_layer_norm_coefficients", "scale") for at, gate in enumerate(_GATES)},
}
_BOTH_LSTM = {
    **_lstm("forward/"),
    **{17 + at: operand for at, operand in _lstm("backward/").items()},
    35: Operand("forward/output_state", "buffer"),
    36: Operand("forward/cell_state", "buffer"),
    37: Operand("backward/output_state", "buffer"),
    38: Operand("backward/cell_state", "buffer"),
    **{40 + at: Operand(f"forward/aux_input_to_{gate}_weights", "kernel", "out-in") for at, gate in enumerate(_GATES)},
    **{44 + at: Operand(f"backward/aux_input_to_{gate}_weights", "kernel", "out-in") for at, gate in enumerate(_GATES)},
}


def _rnn(at: int, prefix: str = "") -> dict[int, Operand]:
    return {
        at: Operand(f"{prefix}weights", "kernel", "out-in"),
        at + 1: Operand(f"{prefix}recurrent_weights", "recurrent_kernel", "out-in"),
        at + 2: Operand(f"{prefix}bias", "bias"),
        at + 3: Operand(f"{prefix}hidden_state", "buffer"),
    }


_RNN = _rnn(1)

OPERANDS: dict[str, dict[int, Operand]] = {
    "CONV_2D": {1: Operand("filter", "kernel", "OHWI"), 2: _BIAS},
    "DEPTHWISE_CONV_2D": {1: Operand("filter", "depthwise_kernel", "IHWO"), 2: _BIAS},
    "CONV_3D": {1: Operand("filter", "kernel", "DHWIO"), 2: _BIAS},
    "CONV_3D_TRANSPOSE": {1: Operand("filter", "kernel", "DHWOI"), 3: _BIAS},
    "TRANSPOSE_CONV": {1: Operand("filter", "kernel", "OHWI"), 3: _BIAS},
    "FULLY_CONNECTED": {1: Operand("weights", "kernel", "out-in"), 2: _BIAS},
    "LSTM": _LSTM,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _LSTM,
    "BIDIRECTIONAL_SEQUENCE_LSTM": _BOTH_LSTM,
    "RNN": _RNN,
    "UNIDIRECTIONAL_SEQUENCE_RNN": _RNN,
    "BIDIRECTIONAL_SEQUENCE_RNN": {
        **_rnn(1, "forward/"),
        **_rnn(5, "backward/"),
        10: Operand("forward/aux_weights", "kernel", "out-in"),
        11: Operand("backward/aux_weights", "kernel", "out-in"),
    },
    "SVDF": {
        1: Operand("feature_weights", "kernel", "out-in"),
        2: Operand("time_weights", "recurrent_kernel"),
        3: _BIAS,
        4: Operand("state", "buffer"),
    },
    "EMBEDDING_LOOKUP": {1: _TABLE},
    "EMBEDDING_LOOKUP_SPARSE": {4: _TABLE},
    "PRELU": {1: Operand("alpha", "slope")},
    "ASSIGN_VARIABLE": {1: Operand("value", "parameter")},
    "STABLEHLO_CONVOLUTION": {1: Operand("filter", "kernel")},
    "STABLEHLO_DOT_GENERAL": {0: Operand("lhs", "kernel"), 1: Operand("rhs", "kernel")},
}
"""Inputs that are weights by what the operator does with them; all others are judged by their type and size."""

CONVOLUTIONS = frozenset(
    {"CONV_2D", "DEPTHWISE_CONV_2D", "CONV_3D", "CONV_3D_TRANSPOSE", "TRANSPOSE_CONV", "FULLY_CONNECTED"}
)
"""Operators that a normalisation can be folded into."""

PASSED_ON = frozenset({"DEQUANTIZE", "DENSIFY"})
"""Operators that only unpack a constant: the weight belongs to whoever uses the result."""

RUNS_OTHERS = frozenset(
    {"IF", "WHILE", "CALL", "CALL_ONCE", "STABLEHLO_WHILE", "STABLEHLO_CASE", "STABLEHLO_COMPOSITE"}
)
"""Operators whose options name subgraphs that they cannot do without."""

_KINDS: dict[str, str] = {
    "CONV_2D": "conv2d", "DEPTHWISE_CONV_2D": "depthwise_conv2d", "CONV_3D": "conv3d", "TRANSPOSE_CONV":
    "conv_transpose2d", "CONV_3D_TRANSPOSE": "conv_transpose3d", "FULLY_CONNECTED": "linear",
    "EMBEDDING_LOOKUP": "embedding", "EMBEDDING_LOOKUP_SPARSE": "embedding", "LSTM": "lstm",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "lstm", "BIDIRECTIONAL_SEQUENCE_LSTM": "lstm", "RNN": "simple_rnn",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "simple_rnn", "BIDIRECTIONAL_SEQUENCE_RNN": "simple_rnn", "PRELU": "prelu",
    "SOFTMAX": "softmax", "LOG_SOFTMAX": "softmax", "L2_NORMALIZATION": "unit_norm",
    **dict.fromkeys(("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LOGISTIC", "TANH", "ELU", "LEAKY_RELU",
                     "HARD_SWISH", "GELU", "STABLEHLO_LOGISTIC", "STABLEHLO_TANH"), "activation"),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"), "pool"),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD", "STABLEHLO_PAD"), "padding"),
    **dict.fromkeys(("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), "upsample"),
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE",
                     "BROADCAST_TO", "TILE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "STABLEHLO_RESHAPE",
                     "STABLEHLO_TRANSPOSE", "STABLEHLO_BROADCAST_IN_DIM"), "reshape"),
    **dict.fromkeys(("QUANTIZE", "DEQUANTIZE", "FAKE_QUANT"), "quantization"),
    **dict.fromkeys(RUNS_OTHERS, "container"),
}  # fmt: skip
_MERGES = frozenset({"ADD", "SUB", "MUL", "DIV", "CONCATENATION", "MAXIMUM", "MINIMUM", "ADD_N", "PACK",
                     "SQUARED_DIFFERENCE", "STABLEHLO_ADD", "STABLEHLO_MULTIPLY", "STABLEHLO_MAXIMUM",
                     "STABLEHLO_MINIMUM", "STABLEHLO_CONCATENATE"})  # fmt: skip


def kind_of(operator: str, flowing: int) -> str:
    """The kind of an operator with `flowing` inputs that are not constant."""
    if operator in _MERGES and flowing > 1:
        return "merge"
    return _KINDS.get(operator, "operation")
