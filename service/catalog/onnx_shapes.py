"""Sizes of what an ONNX operator gives for the sizes it gets, for the common ones; whatever is not sure stays None.

Knows the standard's rules; knows no file. Source: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Callable

from service.catalog import onnx_moving as moving
from service.catalog.onnx_attributes import number
from service.catalog.onnx_call import Call, together
from service.catalog.onnx_windows import pooled, transposed, windowed
from service.tree import Shape

_MAX_RANK = 64
_MAX_SIZE = (1 << 63) - 1


def infer(call: Call) -> list[Shape | None]:
    """Sizes of each output; None for those that no rule gives. Never negative, never of more axes than a tensor has."""
    rule = _RULES.get(call.op)
    found = rule(call) if rule is not None else []
    return [_bounded(shape) for shape in [*found, *[None] * call.outs][: call.outs]]


def _bounded(shape: Shape | None) -> Shape | None:
    if shape is None or len(shape) > _MAX_RANK or any(size is not None and size < 0 for size in shape):
        return None
    if any(size is not None and size > _MAX_SIZE for size in shape):
        return tuple(size if size is not None and size <= _MAX_SIZE else None for size in shape)
    return shape


def _same(call: Call) -> list[Shape | None]:
    return [call.shape(0)]


def _broadcast(call: Call) -> list[Shape | None]:
    shapes = [one.shape for one in call.ins if one is not None]
    if not shapes or any(shape is None for shape in shapes):
        return [None]
    return [together([shape for shape in shapes if shape is not None])]


def _quantised_pair(call: Call) -> list[Shape | None]:
    first, second = call.shape(0), call.shape(3)
    return [together([first, second]) if first is not None and second is not None else None]


def _conv(call: Call) -> list[Shape | None]:
    return [windowed(call.attributes, call.shape(0), call.shape(1))]


def _conv_quantised(call: Call) -> list[Shape | None]:
    return [windowed(call.attributes, call.shape(0), call.shape(3))]


def _conv_transpose(call: Call) -> list[Shape | None]:
    return [transposed(call.attributes, call.shape(0), call.shape(1))]


def _pool(call: Call) -> list[Shape | None]:
    return [pooled(call.attributes, call.shape(0))] * min(call.outs, 2)


def _global(call: Call) -> list[Shape | None]:
    shape = call.shape(0)
    return [None if shape is None or len(shape) < 2 else (*shape[:2], *[1] * (len(shape) - 2))]


def _gemm(call: Call) -> list[Shape | None]:
    first, second = call.shape(0), call.shape(1)
    if first is None or second is None or len(first) != 2 or len(second) != 2:
        return [None]
    rows = first[1 if number(call.attributes, "transA", 0) else 0]
    return [(rows, second[0 if number(call.attributes, "transB", 0) else 1])]


def _matmul(call: Call) -> list[Shape | None]:
    return [_product(call.shape(0), call.shape(1))]


def _matmul_quantised(call: Call) -> list[Shape | None]:
    return [_product(call.shape(0), call.shape(3))]


def _matmul_fused(call: Call) -> list[Shape | None]:
    first, second = call.shape(0), call.shape(1)
    if number(call.attributes, "transBatchA", 0) or number(call.attributes, "transBatchB", 0):
        return [None]
    if first is not None and number(call.attributes, "transA", 0):
        first = (*first[:-2], *first[-2:][::-1])
    if second is not None and number(call.attributes, "transB", 0):
        second = (*second[:-2], *second[-2:][::-1])
    return [_product(first, second)]


def _matmul_packed(call: Call) -> list[Shape | None]:
    shape, width = call.shape(0), number(call.attributes, "N", None)
    return [None if not shape or width is None else (*shape[:-1], width)]


def _product(first: Shape | None, second: Shape | None) -> Shape | None:
    """Sizes of a matrix product, vectors and stacks of matrices as NumPy takes them."""
    if not first or not second:
        return None
    rows = first[-2:-1]
    columns = second[-1:] if len(second) > 1 else ()
    stack = together([first[:-2], second[:-2]])
    return None if stack is None else (*stack, *rows, *columns)


def _reduce(call: Call) -> list[Shape | None]:
    shape, axes = call.shape(0), call.ints(1, "axes")
    keep = number(call.attributes, "keepdims", 1)
    if shape is None:
        return [None]
    if not axes:
        if axes is None and call.given(1):
            return [None]
        if number(call.attributes, "noop_with_empty_axes", 0):
            return [shape]
        return [(1,) * len(shape) * bool(keep)]
    gone = {axis % len(shape) for axis in axes if shape}
    if keep:
        return [tuple(1 if axis in gone else size for axis, size in enumerate(shape))]
    return [tuple(size for axis, size in enumerate(shape) if axis not in gone)]


def _arg(call: Call) -> list[Shape | None]:
    shape, axis = call.shape(0), number(call.attributes, "axis", 0)
    if shape is None or axis is None or not -len(shape) <= axis < len(shape):
        return [None]
    one = (1,) * bool(number(call.attributes, "keepdims", 1))
    axis %= len(shape)
    return [(*shape[:axis], *one, *shape[axis + 1 :])]


def _recurrent(call: Call) -> list[Shape | None]:
    shape, kernel = call.shape(0), call.shape(2)
    if shape is None or kernel is None or len(shape) != 3 or len(kernel) != 3:
        return [None] * call.outs
    steps, batch = (shape[1], shape[0]) if number(call.attributes, "layout", 0) else shape[:2]
    if number(call.attributes, "layout", 0):
        return [(batch, steps, kernel[0], kernel[2]), *[(batch, kernel[0], kernel[2])] * (call.outs - 1)]
    return [(steps, kernel[0], batch, kernel[2]), *[(kernel[0], batch, kernel[2])] * (call.outs - 1)]


def _normed(call: Call) -> list[Shape | None]:
    """The first output is as the input; what follows are statistics."""
    return [call.shape(0)]


_UNCHANGED = """Relu Sigmoid Tanh LeakyRelu Elu Selu Celu HardSigmoid HardSwish Softplus Softsign ThresholdedRelu Gelu
Mish Swish FastGelu BiasGelu QuickGelu Clip QLinearLeakyRelu QLinearSigmoid QLinearSoftmax Softmax LogSoftmax Hardmax
Identity Cast CastLike InstanceNormalization GroupNormalization GroupNorm LRN LpNormalization MeanVarianceNormalization
QuantizeLinear DequantizeLinear Abs Neg Exp Log Sqrt Reciprocal Floor Ceil Round Sign Erf Sin Cos Not IsNaN IsInf CumSum
ScatterND ScatterElements Trilu PRelu Dropout"""
_STRETCHED = """Add Sub Mul Div Mod Pow And Or Xor Equal Greater Less GreaterOrEqual LessOrEqual Where Sum Mean Max Min
BitwiseAnd BitwiseOr BitwiseXor"""
_REDUCED = """ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp
ReduceSumSquare"""

_RULES: dict[str, Callable[[Call], list[Shape | None]]] = {
    **dict.fromkeys(_UNCHANGED.split(), _same),
    **dict.fromkeys(_STRETCHED.split(), _broadcast),
    **dict.fromkeys(_REDUCED.split(), _reduce),
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), _quantised_pair),
    **dict.fromkeys(("Conv", "FusedConv", "ConvInteger"), _conv),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), _global),
    **dict.fromkeys(("Gemm", "FusedGemm"), _gemm),
    **dict.fromkeys(("MatMul", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"), _matmul),
    **dict.fromkeys(("MatMulNBits", "MatMulBnb4"), _matmul_packed),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    **dict.fromkeys(
        ("BatchNormalization", "LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization",
         "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), _normed),
    "QLinearConv": _conv_quantised, "ConvTranspose": _conv_transpose, "QLinearMatMul": _matmul_quantised,
    "FusedMatMul": _matmul_fused,
    **moving.RULES,
}  # fmt: skip
