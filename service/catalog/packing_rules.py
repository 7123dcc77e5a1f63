"""Packed kernels: which arrays are one, and how many values they stand for; knows names, shapes, recorded schemes.

Each method is one function of `_METHODS`: from the arrays of a layer to a `Packed`, None where they are not its own.
Sources: AutoGPTQ and GPTQModel, AutoAWQ, bitsandbytes (functional.QuantState), compressed-tensors, gpt-oss (MXFP4),
DeepSeek-V3 (fp8 blocks), MLX (mlx.nn.QuantizedLinear), HQQ, ExLlamaV2. Knows no file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from service.catalog.named_arrays import Sizes, Stored
from service.catalog.packing_blobs import shape_in_json, shape_in_numbers
from service.catalog.packing_schemes import Scheme
from service.language import Message, msg
from service.tree import Shape

Arrays = Mapping[str, Stored]
_WORD = 32

BITS_UNKNOWN = msg(
    "How many bits one packed value takes is not in the file, so the number of values is not known: give the model's "
    "configuration with it."
)
SHAPE_UNKNOWN = msg("Two values per byte; the sizes along the axes are in {name}, which was not read.",
                    name="quant_state")  # fmt: skip
OPAQUE = msg("How the values of this kernel are coded is not known here, so their number is not known.")


@dataclass(frozen=True, slots=True)
class Part:
    """One array of a packed kernel: its role, and its logical sizes and count where these are not as stored."""

    role: str
    shape: Shape | None = None
    count: int | None = None
    packed: bool = False


@dataclass(frozen=True, slots=True)
class Packed:
    """`parts` by local name; `shape` of the one kernel they stand for, [outputs, inputs], None where not known.

    `several`: they stand for kernels with names of their own, none of which is the layer's `weight`.
    """

    parts: dict[str, Part]
    shape: Sizes | None
    notes: tuple[Message, ...] = ()
    several: bool = False


def unpacked(arrays: Arrays, scheme: Scheme) -> Packed | None:
    """The packed kernel of a layer that holds `arrays`; None where it has none."""
    if len(arrays) < 2:
        return None
    for method in _METHODS:
        found = method(arrays, scheme)
        if found is not None:
            return found
    return None


def _kernel(shape: Sizes | None, count: int | None) -> Part:
    return Part("packed_kernel", shape, count, packed=True)


def _matrix(rows: int, columns: int) -> tuple[Sizes, Part]:
    return (rows, columns), _kernel((rows, columns), rows * columns)


def _pair(one: Stored | None) -> tuple[int, int] | None:
    shape = None if one is None else one.shape
    return (shape[0], shape[1]) if shape is not None and len(shape) == 2 else None


def _others(arrays: Arrays, roles: Mapping[str, str]) -> dict[str, Part]:
    """The roles of those that are there, as they are stored."""
    return {name: Part(role) for name, role in roles.items() if name in arrays}


def _integers(arrays: Arrays, scheme: Scheme) -> Packed | None:
    """GPTQ [inputs × bits / 32, outputs] and AWQ [inputs, outputs × bits / 32], told apart by their scales' width."""
    packed, scales, zeros = (_pair(arrays.get(name)) for name in ("qweight", "scales", "qzeros"))
    if "qweight" not in arrays or "scales" not in arrays:
        return None
    parts = _others(arrays, {"scales": "quant_scale", "qzeros": "zero_point", "g_idx": "constant"})
    unknown = Packed({"qweight": _kernel(None, None), **parts}, None, (BITS_UNKNOWN,))
    if packed is None or scales is None:
        return unknown
    outputs = scales[1]
    bits = _bits_of(packed, scales, zeros, arrays, scheme)
    rows = packed[0] * _WORD if packed[1] == outputs else packed[0] * bits if bits else 0
    fits = bits and rows % bits == 0 and (packed[1] == outputs or packed[1] * _WORD == outputs * bits)
    if not bits or not fits:
        return unknown
    shape, kernel = _matrix(outputs, rows // bits)
    if zeros is not None:
        parts["qzeros"] = Part("zero_point", (scales[0], outputs), scales[0] * outputs, packed=True)
    return Packed({"qweight": kernel, **parts}, shape)


def _bits_of(
    packed: tuple[int, int], scales: tuple[int, int], zeros: tuple[int, int] | None, arrays: Arrays, scheme: Scheme
) -> int | None:
    """Bits of one value: as its zero points are packed, by the index of groups, else as recorded."""
    index = arrays.get("g_idx")
    inputs = index.shape[0] if index is not None and index.shape else 0
    if zeros is not None and scales[1] and zeros[1] * _WORD % scales[1] == 0 and zeros[1]:
        return zeros[1] * _WORD // scales[1]
    if inputs and packed[0] * _WORD % inputs == 0:
        return packed[0] * _WORD // inputs
    return scheme.bits


_STATE = "weight.quant_state."
_BNB = {"weight.absmax": "quant_scale", "weight.quant_map": "constant", "weight.nested_absmax": "quant_scale",
        "weight.nested_quant_map": "constant"}  # fmt: skip


def _bitsandbytes(arrays: Arrays, _: Scheme) -> Packed | None:
    """4 bit: bytes of two values; the sizes lie in `quant_state`, or follow from the bias."""
    stored = arrays.get("weight")
    if "weight.absmax" not in arrays or stored is None or stored.dtype not in ("uint8", "int8"):
        return None
    parts = _others(arrays, _BNB)
    states = [name for name in arrays if name.startswith(_STATE)]
    parts.update(dict.fromkeys(states, Part("constant")))
    elements = _product(stored.shape)
    shape = next((found for name in states if (found := shape_in_json(arrays[name].content))), None)
    if shape is None and elements is not None:
        shape = _by_bias(arrays.get("bias"), 2 * elements)
    if shape is not None and elements is not None and (_product(shape) or 0) - 2 * elements in (0, -1):
        return Packed({"weight": _kernel(shape, _product(shape)), **parts}, shape)
    count = None if elements is None else 2 * elements
    return Packed({"weight": _kernel(None, count), **parts}, None, (SHAPE_UNKNOWN,))


def _by_bias(bias: Stored | None, count: int) -> Sizes | None:
    outputs = bias.shape[0] if bias is not None and bias.shape is not None and len(bias.shape) == 1 else 0
    return (outputs, count // outputs) if outputs and count % outputs == 0 else None


def _product(shape: Sizes | None) -> int | None:
    if shape is None:
        return None
    total = 1
    for size in shape:
        total *= size
    return total


_COMPRESSED = {"weight_scale": "quant_scale", "weight_zero_point": "zero_point", "weight_shape": "constant",
               "weight_g_idx": "constant", "weight_global_scale": "quant_scale", "input_global_scale": "quant_scale",
               "input_scale": "quant_scale", "input_zero_point": "zero_point"}  # fmt: skip


def _compressed(arrays: Arrays, scheme: Scheme) -> Packed | None:
    """compressed-tensors: `weight_packed` of 32-bit words [outputs, inputs × bits / 32], or of bytes of two values."""
    stored = arrays.get("weight_packed")
    if stored is None:
        return None
    parts = _others(arrays, _COMPRESSED)
    told = arrays.get("weight_shape")
    shape = shape_in_numbers(told.content, told.dtype) if told is not None else None
    packed = _pair(stored)
    if shape is None and packed is not None:
        bits = 4 if stored.dtype in ("uint8", "int8") else scheme.bits
        width = 8 if stored.dtype in ("uint8", "int8") else _WORD
        shape = (packed[0], packed[1] * width // bits) if bits and width % bits == 0 else None
    if shape is None:
        return Packed({"weight_packed": _kernel(None, None), **parts}, None, (BITS_UNKNOWN,))
    return Packed({"weight_packed": _kernel(shape, _product(shape)), **parts}, shape)


def _mlx(arrays: Arrays, scheme: Scheme) -> Packed | None:
    """MLX: `weight` of 32-bit words [outputs, inputs × bits / 32] with `scales` (and `biases`) per group of inputs."""
    stored, scales = arrays.get("weight"), arrays.get("scales")
    if stored is None or scales is None or stored.dtype != "uint32":
        return None
    parts = _others(arrays, {"scales": "quant_scale", "biases": "zero_point"})
    packed = stored.shape
    if packed is None or scales.shape is None or not scheme.bits or packed[-1] * _WORD % scheme.bits:
        return Packed({"weight": _kernel(None, None), **parts}, None, (BITS_UNKNOWN,))
    shape = (*packed[:-1], packed[-1] * _WORD // scheme.bits)
    if scheme.group and scales.shape[-1] * scheme.group != shape[-1]:
        return Packed({"weight": _kernel(None, None), **parts}, None, (BITS_UNKNOWN,))
    return Packed({"weight": _kernel(shape, _product(shape)), **parts}, shape)


def _blocks(arrays: Arrays, _: Scheme) -> Packed | None:
    """MXFP4 as gpt-oss keeps it: `x_blocks` [..., blocks, 16] of two values per byte, and `x_scales` [..., blocks]."""
    parts: dict[str, Part] = {}
    for name, one in arrays.items():
        stem = name.removesuffix("_blocks")
        scales = arrays.get(f"{stem}_scales")
        if stem == name or scales is None or one.shape is None or one.dtype != "uint8" or len(one.shape) < 3:
            continue
        if one.shape[:-1] != scales.shape:
            continue
        shape = (*one.shape[:-2], one.shape[-2] * one.shape[-1] * 2)
        parts[name] = _kernel(shape, _product(shape))
        parts[f"{stem}_scales"] = Part("quant_scale")
    return Packed(parts, None, several=True) if parts else None


def _half_quadratic(arrays: Arrays, scheme: Scheme) -> Packed | None:
    """HQQ: `W_q` packed in a way of its own, with `shape` beside it."""
    stored = arrays.get("W_q")
    if stored is None:
        return None
    roles = {"scale": "quant_scale", "zero": "zero_point"}
    parts = _others(arrays, roles)
    parts.update({name: Part("constant") for name in arrays if name not in ("W_q", "bias", *roles)})
    told = arrays.get("shape")
    shape = shape_in_numbers(told.content, told.dtype) if told is not None else None
    if shape is not None:
        return Packed({"W_q": _kernel(shape, _product(shape)), **parts}, shape)
    elements, fits = _product(stored.shape), scheme.bits in (1, 2, 4, 8) and stored.dtype == "uint8"
    count = elements * 8 // scheme.bits if fits and scheme.bits and elements is not None else None
    return Packed({"W_q": _kernel(None, count), **parts}, None, () if count else (BITS_UNKNOWN,))


_CODED = {"q_weight": {"q_scale", "q_groups"}, "codes": {"codebooks", "scales"}, "Qidxs": {"SU", "SV"},
          "B": {"s", "workspace"}, "trellis": {"suh", "svh"}}  # fmt: skip


def _coded(arrays: Arrays, _: Scheme) -> Packed | None:
    """ExLlamaV2 and V3, AQLM, QuIP#, Marlin: what a stored element stands for is a matter of the method's own code."""
    for kernel, beside in _CODED.items():
        if kernel in arrays and beside <= arrays.keys():
            parts = {name: Part("constant") for name in arrays if name not in (kernel, "bias")}
            return Packed({kernel: _kernel(None, None), **parts}, None, (OPAQUE,))
    return None


_METHODS: tuple[Callable[[Arrays, Scheme], Packed | None], ...] = (
    _integers, _bitsandbytes, _compressed, _mlx, _blocks, _half_quadratic, _coded,
)  # fmt: skip

SCALES = {
    "SCB": "quant_scale", "weight_format": "constant", "weight_scale": "quant_scale", "weight_scale_inv": "quant_scale",
    "weight_scale_2": "quant_scale", "input_scale": "quant_scale", "output_scale": "quant_scale",
    "k_scale": "quant_scale", "v_scale": "quant_scale", "q_scale": "quant_scale", "weight_zero_point": "zero_point",
    "input_zero_point": "zero_point", "activation_scale": "quant_scale",
}  # fmt: skip
"""Roles of what stands beside a kernel that is quantised one value per element (fp8, int8)."""
