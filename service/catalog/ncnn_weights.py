"""Which arrays an ncnn layer reads from the `.bin`, and in which order; knows parameters by number, no file.

An array is *flagged*, four bytes before it saying how it is stored, or *packed*, values of few bits, or *raw*, always
float32. Source: the `load_param` and `load_model` of each layer in ncnn's src/layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from service.catalog.ncnn_types import is_known
from service.errors import MalformedFile
from service.language import msg
from service.parsers.ncnn import Entry
from service.plain import text

_LAYOUTS = {1: "OIW", 2: "OIHW", 3: "OIDHW"}
_FROM_INPUT = -233
"""A Scale of this size takes its factors from a second input."""
_OUTPUT_SCALED = 100
"""Added to a convolution's term where its output is scaled too; of other layers, larger terms mean blocks."""
_LARGEST = 2**63 - 1
_BOTH = 2
_BYTE = 8


@dataclass(frozen=True, slots=True)
class Array:
    """One array of a layer: sizes in C order, whether a flag stands before it, and the bits of a packed value.

    Packed values fill the bytes of their row from the lowest bit; each row begins with a byte of its own, and no flag
    stands before them.
    """

    name: str
    role: str
    shape: tuple[int, ...]
    flagged: bool = False
    layout: str | None = None
    bits: int | None = None

    @property
    def count(self) -> int:
        """Number of values."""
        return prod(self.shape)

    @property
    def packed_as(self) -> str | None:
        """The element type of packed values."""
        return None if self.bits is None else f"int{self.bits}"

    @property
    def stored(self) -> int:
        """Number of values as they are stored: bytes, where they are packed."""
        return self.count if self.bits is None else prod(self.shape[:-1]) * -(-self.shape[-1] * self.bits // _BYTE)


Arrays = list[Array]


def arrays_of(entry: Entry) -> Arrays | None:
    """The arrays of a layer in their order; None where they cannot be known: another's layer, or a form not known here.

    Raises:
        MalformedFile: A size that is negative or beyond 64 bits.
    """
    rule = _RULES.get(entry.type)
    if rule is None:
        return [] if is_known(entry.type) else None
    return rule(_Params(entry))


class _Params:
    """The parameters of a layer as whole numbers."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def get(self, number: int, default: int = 0) -> int:
        """A parameter, `default` where it is not there; MalformedFile for one that can be no size."""
        value = self._entry.params.get(number, default)
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)
        if not isinstance(value, int) or not -_LARGEST <= value <= _LARGEST:
            raise MalformedFile(
                msg("Parameter {number} of the layer {name} is no whole number.", number=number,
                    name=text(self._entry.name, 80)),
                pointer=f"{text(self._entry.name, 80)}/{number}",
            )  # fmt: skip
        return value

    def is_fraction(self, number: int) -> bool:
        """Whether a parameter is written as a fraction: files of older versions have a value there, not a size."""
        return isinstance(self._entry.params.get(number), float)

    def size(self, number: int, default: int = 0) -> int:
        """As `get`, for a size."""
        value = self.get(number, default)
        if value < 0:
            raise MalformedFile(
                msg("Parameter {number} of the layer {name} is a negative size.", number=number,
                    name=text(self._entry.name, 80)),
                pointer=f"{text(self._entry.name, 80)}/{number}",
            )  # fmt: skip
        return value


def _convolution(rank: int, *, groups: bool = False, dynamic: int | None = 19) -> Callable[[_Params], Arrays | None]:
    def rule(params: _Params) -> Arrays | None:
        if dynamic is not None and params.get(dynamic):
            return []
        outputs, total = params.size(0), params.size(6)
        window = _window(params, rank)
        found = [_kernel("weight", total, outputs, window, _LAYOUTS[rank])]
        if params.get(5):
            found.append(Array("bias", "bias", (outputs,)))
        return found + _int8(params, params.size(7, 1) if groups else outputs, grouped=groups)

    return rule


def _window(params: _Params, rank: int) -> tuple[int, ...]:
    width = params.size(1)
    return (params.size(21, width), params.size(11, width), width)[-rank:]


def _kernel(name: str, total: int, outputs: int, window: tuple[int, ...], layout: str) -> Array:
    """A kernel by the number of its values; a plain row of them where outputs and window do not divide it."""
    step = outputs * prod(window)
    if not step or total % step:
        return Array(name, "kernel", (total,), flagged=True)
    return Array(name, "kernel", (outputs, total // step, *window), flagged=True, layout=layout)


def _int8(params: _Params, scales: int, *, grouped: bool) -> Arrays:
    term = params.get(8)
    if not term:
        return []
    one_for_all = grouped and term % _OUTPUT_SCALED == _BOTH
    found = [_scale("weight_data_int8_scales", 1 if one_for_all else scales), _scale("bottom_blob_int8_scales", 1)]
    return [*found, _scale("top_blob_int8_scales", 1)] if term > _OUTPUT_SCALED else found


def _scale(name: str, *sizes: int) -> Array:
    return Array(name, "quant_scale", sizes)


class _Blocks(NamedTuple):
    """Weights of few bits, so many of a row sharing a scale; `inputs` where each input has a scale of its own, too."""

    bits: int
    size: int
    inputs: bool

    def scales(self, name: str, rows: int, columns: int) -> Array:
        """One for each block of each row."""
        return _scale(f"{name}_quantize_scales", rows, -(-columns // self.size))


def _blocks(term: int) -> _Blocks | None:
    """What a term of three digits says: bits, whether inputs are scaled, the size of a block."""
    bits, form, size = term // 100, term // 10 % 10, term % 10
    return _Blocks(bits, 32 << size, form == 1) if bits in (4, 6, 8) and form in (0, 1) and size in (0, 1, 2) else None


def _inner_product(params: _Params) -> Arrays | None:
    if params.get(18) > _OUTPUT_SCALED:
        return None
    outputs, total = params.size(0), params.size(2)
    fits = outputs and not total % outputs
    shape, layout = ((outputs, total // outputs), "out-in") if fits else ((total,), None)
    found = [Array("weight", "kernel", shape, flagged=True, layout=layout)]
    if params.get(1):
        found.append(Array("bias", "bias", (outputs,)))
    if params.get(8):
        found += [_scale("weight_data_int8_scales", outputs), _scale("bottom_blob_int8_scales", 1)]
    return found


def _embed(params: _Params) -> Arrays | None:
    if params.get(18) > _OUTPUT_SCALED:
        return None
    width, total = params.size(0), params.size(3)
    shape = (total // width, width) if width and not total % width else (total,)
    found = [Array("weight", "embedding", shape, flagged=True)]
    if params.get(2):
        found.append(Array("bias", "bias", (width,)))
    if params.get(18):
        found.append(_scale("weight_data_int8_scale", 1))
    return found


def _batch_norm(params: _Params) -> Arrays | None:
    size = (params.size(0),)
    return [
        Array("slope", "scale", size),
        Array("mean", "moving_mean", size),
        Array("var", "moving_variance", size),
        Array("bias", "offset", size),
    ]


def _affine(size: int, switch: int, *, offset: bool = True) -> Callable[[_Params], Arrays | None]:
    def rule(params: _Params) -> Arrays | None:
        if not params.get(switch, 1):
            return []
        shape = (params.size(size),)
        found = [Array("gamma", "scale", shape)]
        return [*found, Array("beta", "offset", shape)] if offset else found

    return rule


def _scale_layer(params: _Params) -> Arrays | None:
    if params.get(0) == _FROM_INPUT:
        return []
    shape = (params.size(0),)
    found = [Array("scale", "scale", shape)]
    return [*found, Array("bias", "offset", shape)] if params.get(1) else found


def _one(name: str, role: str, number: int, default: int = 0) -> Callable[[_Params], Arrays | None]:
    def rule(params: _Params) -> Arrays | None:
        size = params.size(number, default)
        return [Array(name, role, (size,))] if size else []

    return rule


def _recurrent(gates: int, biases: int, units: int) -> Callable[[_Params], Arrays | None]:
    def rule(params: _Params) -> Arrays | None:
        outputs, total = params.size(0), params.size(1)
        hidden = params.size(units, outputs) if units else outputs
        directions = _BOTH if params.get(2) == _BOTH else 1
        rows = gates * hidden
        if not rows or total % (directions * rows):
            return None
        lead = (directions,) if directions > 1 else ()
        found = [
            Array("weight_xc", "kernel", (*lead, rows, total // directions // rows), flagged=True, layout="out-in"),
            Array("bias_c", "bias", (*lead, biases, hidden), flagged=True),
            Array("weight_hc", "recurrent_kernel", (*lead, rows, outputs), flagged=True, layout="out-in"),
        ]
        if hidden != outputs:
            found.append(
                Array("weight_hr", "projection_kernel", (*lead, outputs, hidden), flagged=True, layout="out-in")
            )
        if not params.get(8):
            return found
        scales = [_scale(f"weight_{name}_int8_scales", directions * rows) for name in ("xc", "hc")]
        return None if hidden != outputs else found + scales

    return rule


def _attention(params: _Params) -> Arrays | None:
    width, total, term = params.size(0), params.size(2), params.get(18)
    blocks = _blocks(term)
    if (term > _OUTPUT_SCALED and blocks is None) or not width or total % width:
        return None
    inner = total // width
    sides = (("q", "query", width, inner), ("k", "key", width, params.size(3, width)),
             ("v", "value", width, params.size(4, width)), ("out", "output", inner, width))  # fmt: skip
    bits = blocks.bits if blocks is not None else None
    found: Arrays = []
    for short, role, rows, inputs in sides:
        kernel = Array(f"{short}_weight", f"{role}_kernel", (rows, inputs), bits is None, "out-in", bits)
        found += [kernel, Array(f"{short}_bias", f"{role}_bias", (rows,))]
    if blocks is not None:
        found += [blocks.scales(f"{short}_weight_data", rows, inputs) for short, _, rows, inputs in sides]
        found += [_scale(f"{short}_weight_data_input_scales", one) for short, _, _, one in sides if blocks.inputs]
    elif term:
        found += [_scale(f"{short}_weight_data_int8_scales", width) for short, *_ in sides[:-1]]
        found.append(_scale("out_weight_data_int8_scale", 1))
    return found


def _memory(params: _Params) -> Arrays | None:
    sizes = [params.size(number) for number in (2, 11, 1, 0)]
    shape = tuple(size for size in sizes if size)
    return [Array("data", "parameter", shape, flagged=params.get(21, 1) == 0)] if shape else []


def _gemm(params: _Params) -> Arrays | None:
    term, left, right = params.get(18), params.get(4) == 1, params.get(5) == 1
    blocks = _blocks(term)
    if term > _OUTPUT_SCALED and (blocks is None or left or not right or params.get(2) or not params.get(3)):
        return None
    rows, columns, inner = (params.size(number) for number in (7, 8, 9))
    found: Arrays = []
    if left:
        shape, layout = ((inner, rows), "in-out") if params.get(2) else ((rows, inner), "out-in")
        found.append(Array("A", "kernel", shape, flagged=True, layout=layout))
    if right:
        shape, layout = ((columns, inner), "out-in") if params.get(3) else ((inner, columns), "in-out")
        bits = blocks.bits if blocks is not None else None
        found.append(Array("B", "kernel", shape, flagged=bits is None, layout=layout, bits=bits))
    if params.get(6) == 1:
        shapes = {0: (1,), 1: (rows,), 2: (rows, 1), 3: (rows, columns), 4: (columns,)}
        broadcast = shapes.get(params.get(10))
        found += [Array("C", "bias", broadcast, flagged=True)] if broadcast else []
    if blocks is not None:
        return [*found, blocks.scales("B_data", columns, inner), *_input_scales(blocks, inner)]
    if term:
        found += [_scale("A_data_int8_scales", rows)] if left else []
        found += [_scale("B_data_int8_scale", 1)] if right else []
    return found


def _input_scales(blocks: _Blocks, inner: int) -> Arrays:
    return [_scale("B_data_input_scales", inner)] if blocks.inputs else []


def _quantize(params: _Params) -> Arrays | None:
    return None if params.is_fraction(0) else [_scale("scale", params.size(0, 1))]


def _dequantize(params: _Params) -> Arrays | None:
    if params.is_fraction(0):
        return None
    bias = params.size(1)
    return [_scale("scale", params.size(0, 1)), *([Array("bias", "bias", (bias,))] if bias else [])]


def _requantize(params: _Params) -> Arrays | None:
    if params.is_fraction(0) or params.is_fraction(1):
        return None
    bias = params.size(2)
    scales = [_scale("scale_in", params.size(0, 1)), _scale("scale_out", params.size(1, 1))]
    return [*scales, *([Array("bias", "bias", (bias,))] if bias else [])]


_RULES: dict[str, Callable[[_Params], Arrays | None]] = {
    "Convolution": _convolution(2),
    "Convolution1D": _convolution(1),
    "Convolution3D": _convolution(3, dynamic=None),
    "ConvolutionDepthWise": _convolution(2, groups=True),
    "ConvolutionDepthWise1D": _convolution(1, groups=True),
    "ConvolutionDepthWise3D": _convolution(3, groups=True, dynamic=None),
    "Deconvolution": _convolution(2, dynamic=28),
    "Deconvolution1D": _convolution(1, dynamic=28),
    "Deconvolution3D": _convolution(3, dynamic=None),
    "DeconvolutionDepthWise": _convolution(2, groups=True, dynamic=28),
    "DeconvolutionDepthWise1D": _convolution(1, groups=True, dynamic=28),
    "DeconvolutionDepthWise3D": _convolution(3, groups=True, dynamic=None),
    "DeformableConv2D": _convolution(2, dynamic=None),
    "InnerProduct": _inner_product,
    "Embed": _embed,
    "BatchNorm": _batch_norm,
    "LayerNorm": _affine(0, 2),
    "RMSNorm": _affine(0, 2, offset=False),
    "GroupNorm": _affine(1, 3),
    "InstanceNorm": _affine(0, 2),
    "Scale": _scale_layer,
    "Bias": _one("bias", "offset", 0),
    "PReLU": _one("slope", "slope", 0),
    "Normalize": _one("scale", "scale", 3),
    "Padding": _one("per_channel_pad", "constant", 6),
    "LSTM": _recurrent(4, 4, 3),
    "GRU": _recurrent(3, 4, 0),
    "RNN": _recurrent(1, 1, 0),
    "MultiHeadAttention": _attention,
    "MemoryData": _memory,
    "Gemm": _gemm,
    "Quantize": _quantize,
    "Dequantize": _dequantize,
    "Requantize": _requantize,
}
