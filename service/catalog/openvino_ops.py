"""What OpenVINO calls its operations: their kinds, what each constant input is for, and the names of element types.

Input numbers and attribute names are those of OpenVINO's operation sets (opset1 and later), and of the layers of the
versions before, whose weights have no input. Knows no document.
"""

from __future__ import annotations

from typing import NamedTuple

DTYPES: dict[str, str] = {
    "f32": "float32", "f16": "float16", "bf16": "bfloat16", "f64": "float64", "f8e4m3": "float8_e4m3fn",
    "f8e5m2": "float8_e5m2", "f8e8m0": "float8_e8m0fnu", "f4e2m1": "float4_e2m1fn", "nf4": "nf4", "boolean": "bool",
    "string": "string", "fp32": "float32", "fp16": "float16", "fp64": "float64", "bool": "bool", "bin": "uint1",
    **{f"{short}{bits}": f"{long}{bits}" for short, long in (("i", "int"), ("u", "uint"))
       for bits in (1, 2, 3, 4, 6, 8, 16, 32, 64)},
}  # fmt: skip
"""Element type of a Const or a port, in lower case (`FP32` on a port is `f32` on a Const) -> our word."""

_BITS = {"nf4": 4, "float4_e2m1fn": 4, "float8_e4m3fn": 8, "float8_e5m2": 8, "float8_e8m0fnu": 8, "bool": 8,
         "bfloat16": 16}  # fmt: skip

_FAMILIES = {
    "pool": "MaxPool AvgPool Pooling AdaptiveAvgPool AdaptiveMaxPool ROIPooling PSROIPooling ROIAlign",
    "reshape": "Reshape Transpose Squeeze Unsqueeze Flatten Permute Broadcast Tile ShuffleChannels DepthToSpace "
    "SpaceToDepth BatchToSpace SpaceToBatch ReorgYolo Reverse ReverseSequence",
    "merge": "Add Subtract Multiply Divide Maximum Minimum Concat Eltwise Power Mod FloorMod SquaredDifference",
    "activation": "ReLU Relu Sigmoid Tanh TanH Elu ELU Selu Gelu Swish HSwish HSigmoid HardSigmoid Mish SoftPlus "
    "SoftSign Clamp Exp Sign Erf Activation LeakyReLU ThresholdedReLU",
}

KINDS: dict[str, str] = {
    "Parameter": "input", "Input": "input", "MatMul": "linear", "FullyConnected": "linear",
    "BatchNormInference": "batch_norm", "BatchNormalization": "batch_norm", "MVN": "layer_norm", "GRN": "rms_norm",
    "GroupNormalization": "group_norm", "RMSNorm": "rms_norm", "RMS": "rms_norm", "NormalizeL2": "unit_norm",
    "Normalize": "unit_norm", "LRN": "operation", "LSTMSequence": "lstm", "LSTMCell": "lstm", "GRUSequence": "gru",
    "GRUCell": "gru", "RNNSequence": "simple_rnn", "RNNCell": "simple_rnn", "AUGRUSequence": "gru", "AUGRUCell": "gru",
    "PReLU": "prelu", "PRelu": "prelu", "Softmax": "softmax", "SoftMax": "softmax", "LogSoftmax": "softmax",
    "FakeQuantize": "quantization", "FakeConvert": "quantization", "Convert": "operation",
    "ScaledDotProductAttention": "attention", "PagedAttentionExtension": "attention", "Pad": "padding",
    "Interpolate": "upsample", "Resample": "upsample", "Interp": "upsample", "TensorIterator": "container",
    "Loop": "container", "If": "container", "Result": "operation",
    **{name: kind for kind, names in _FAMILIES.items() for name in names.split()},
}  # fmt: skip

CONVOLUTIONS = frozenset({"Convolution", "GroupConvolution", "BinaryConvolution", "DeformableConvolution"})
TRANSPOSED = frozenset({"ConvolutionBackpropData", "GroupConvolutionBackpropData", "Deconvolution"})
GROUPED = frozenset({"GroupConvolution", "GroupConvolutionBackpropData"})
BODY_KIND = "rnn"
CELLS = frozenset({"LSTMCell", "GRUCell", "RNNCell", "LSTMSequence", "GRUSequence", "RNNSequence", "AUGRUCell"})
_MOST_AXES = 3


class Use(NamedTuple):
    """What a constant input is: our role and the local name it gets."""

    role: str
    name: str


RANGES = ("", "input_low", "input_high", "output_low", "output_high")
"""The inputs of a FakeQuantize."""
_NORM = (Use("scale", "gamma"), Use("offset", "beta"), Use("moving_mean", "mean"), Use("moving_variance", "variance"))
BATCH_NORM_USES = _NORM
"""In this order after the data, wherever among the inputs the data stands: opset1 puts it third, opset5 first."""

_CELL = (Use("kernel", "W"), Use("recurrent_kernel", "R"), Use("bias", "B"))
_CELLS_FROM = {"LSTMSequence": 4, "LSTMCell": 3, "GRUSequence": 3, "RNNSequence": 3, "AUGRUSequence": 3, "GRUCell": 2,
               "RNNCell": 2, "AUGRUCell": 2}  # fmt: skip
"""The input that brings the first weight of a cell."""

USES: dict[str, dict[int, Use]] = {
    **{name: {1: Use("kernel", "filters")} for name in (*CONVOLUTIONS, *TRANSPOSED)},
    "DeformableConvolution": {2: Use("kernel", "filters")},
    "MatMul": {0: Use("kernel", "A"), 1: Use("kernel", "B")},
    "FullyConnected": {1: Use("kernel", "weights"), 2: Use("bias", "bias")},
    "PReLU": {1: Use("slope", "slope")},
    "PRelu": {1: Use("slope", "slope")},
    "GroupNormalization": {1: Use("scale", "scale"), 2: Use("offset", "bias")},
    "RMS": {1: Use("scale", "gamma")},
    "FakeQuantize": {at: Use("quant_scale", name) for at, name in enumerate(RANGES) if name},
    "Gather": {0: Use("embedding", "data")},
    **{name: {first + at: use for at, use in enumerate(_CELL)} for name, first in _CELLS_FROM.items()},
    "Multiply": {0: Use("scale", "scale"), 1: Use("scale", "scale")},
    "Divide": {1: Use("scale", "scale")},
    "Add": {0: Use("offset", "offset"), 1: Use("offset", "offset")},
    "Subtract": {1: Use("offset", "offset")},
    "EmbeddingBagOffsetsSum": {0: Use("embedding", "emb_table")},
    "EmbeddingBagPackedSum": {0: Use("embedding", "emb_table")},
    "EmbeddingSegmentsSum": {0: Use("embedding", "emb_table")},
}  # fmt: skip
"""Operation -> input number -> what a constant there is. Every other constant input is a fixed tensor."""

OLD_USES: dict[str, dict[str, Use]] = {
    "BatchNormalization": {"weights": Use("moving_variance", "variance"), "biases": Use("moving_mean", "mean")},
    "ScaleShift": {"weights": Use("scale", "scale"), "biases": Use("offset", "shift")},
    "PReLU": {"weights": Use("slope", "slope")},
    "Normalize": {"weights": Use("scale", "scale")},
}
"""The blobs of layers before version 10; of all others `weights` is the kernel and `biases` the bias."""

_LAYOUTS = {1: "W", 2: "HW", 3: "DHW"}


def dtype_of(written: str | None) -> str | None:
    """Our word for an element type, the file's own in lower case where it is not known."""
    low = (written or "").strip().lower()
    return DTYPES.get(low, low[:40]) if low else None


def bits_of(dtype: str | None) -> int | None:
    """Bits of one element, None for strings and types that are not known."""
    if dtype is None or dtype == "string":
        return None
    digits = dtype.removeprefix("u").removeprefix("int").removeprefix("float")
    return _BITS.get(dtype) or (int(digits) if digits.isdigit() else None)


def bytes_of(dtype: str | None, count: int | None) -> int | None:
    """Bytes that `count` elements take in the `.bin`, rounded up to whole bytes; None where they cannot be known."""
    bits = bits_of(dtype)
    return None if bits is None or count is None else (count * bits + 7) // 8


def kind_of(type_name: str, kernel: tuple[int | None, ...] | None) -> str:
    """Our word for an operation; a convolution's rank, and whether it is depthwise, by its kernel as stored."""
    if type_name in CONVOLUTIONS or type_name in TRANSPOSED:
        return _convolution(type_name, kernel)
    return KINDS.get(type_name, "operation")


def _convolution(type_name: str, kernel: tuple[int | None, ...] | None) -> str:
    rank = 2 if kernel is None else len(kernel) - (3 if type_name in GROUPED else 2)
    if not 1 <= rank <= _MOST_AXES:
        return "operation"
    if type_name in TRANSPOSED:
        return f"conv_transpose{rank}d"
    depthwise = type_name == "GroupConvolution" and kernel is not None and kernel[2] == 1 and rank < _MOST_AXES
    return f"depthwise_conv{rank}d" if depthwise else f"conv{rank}d"


def kernel_layout(type_name: str, rank: int) -> str | None:
    """Axis order of a convolution's kernel after its groups are joined with the axis behind them."""
    axes = _LAYOUTS.get(rank - 2)
    if axes is None:
        return None
    return ("IO" if type_name in TRANSPOSED else "OI") + axes
