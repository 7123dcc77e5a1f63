"""Blocks of quantised numbers as ggml stores them, dequantised piece by piece; knows the blocks' bytes, no file.

A row is a run of blocks, each of which holds the codes of 32 to 256 neighbours and what turns them into numbers. The
numbers come as ggml's own code makes them, in single precision. Types whose codes are places in a grid of vectors (iq1,
iq2, iq3) are not read: their grids are tables of ggml's.
Source: ggml-common.h (the structures), ggml-quants.c (`dequantize_row_*`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from service.catalog.gguf_types import TYPES
from service.language import Message, msg
from service.source import Source
from service.values.base import Index, ValuesUnavailable
from service.values.elements import Array, Element, element_of
from service.values.strided import Strided, strided

_PIECE = 1 << 18
"""Numbers dequantised at once: what is made on the way takes a few times their bytes."""
_IN_GRIDS = ("iq1", "iq2", "iq3")
_SINGLE = np.dtype(np.float32)


def is_blocks(dtype: str | None) -> bool:
    """Whether the values of this type lie in blocks."""
    return dtype in _KNOWN


class Blocks:
    """An array of `shape` whose rows are the blocks of `kind` in `stored`, an array of bytes; numbers are its codes."""

    grain = None
    code = _SINGLE

    def __init__(self, stored: Strided, shape: Index, kind: _Kind) -> None:
        self.shape = shape
        self._stored = stored
        self._kind = kind

    @property
    def bytes(self) -> int:
        """Bytes of all blocks."""
        return math.prod(self._stored.shape)

    def box(self, start: Index, stop: Index) -> Array:
        """See `Stored.box`."""
        wide, size = self._kind.elements, self._kind.layout.itemsize
        first, last = start[-1] // wide, -(-stop[-1] // wide)
        data = self._stored.box((*start[:-1], first * size), (*stop[:-1], last * size))
        blocks = np.ascontiguousarray(data).reshape(-1).view(self._kind.layout)
        rows = self._numbers(blocks).reshape(*data.shape[:-1], (last - first) * wide)
        return rows[..., start[-1] - first * wide : stop[-1] - first * wide]

    def _numbers(self, blocks: Array) -> Array:
        many = max(_PIECE // self._kind.elements, 1)
        found = np.empty((blocks.size, self._kind.elements), _SINGLE)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            for at in range(0, blocks.size, many):
                found[at : at + many] = self._kind.numbers(blocks[at : at + many])
        return found


def blocks(source: Source, offset: int, dtype: str, shape: Index) -> Blocks:
    """The array of blocks at `offset`.

    Raises:
        ValuesUnavailable: Blocks of a type that is not read, rows of broken blocks, or blocks beyond the end.
    """
    kind, bytes_ = _KINDS.get(dtype), element_of("uint8")
    if kind is None or bytes_ is None:
        raise ValuesUnavailable(_unread(dtype))
    if not shape or shape[-1] % kind.elements:
        raise ValuesUnavailable(msg("Its rows are no whole number of blocks."))
    width = shape[-1] // kind.elements * kind.layout.itemsize
    return Blocks(strided(source, offset, (*shape[:-1], width), None, bytes_), shape, kind)


def element() -> Element:
    """The type of the numbers that blocks are turned into."""
    found = element_of("float32")
    assert found is not None  # noqa: S101 - every report may hold it
    return found


def _unread(dtype: str) -> Message:
    if dtype.startswith(_IN_GRIDS):
        return msg(
            "Values of the type {dtype} are not read: its codes are places in a grid of vectors that is not here.",
            dtype=dtype,
        )
    return msg("Values of the type {dtype} are not read.", dtype=dtype)


# Fields of bits


def _fields(codes: Array, run: int, bits: int) -> Array:
    """The fields of `bits` bits of each byte: of `run` neighbouring bytes first all lowest ones, then the next."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8).reshape(-1, 1)
    fields = (codes.reshape(len(codes), -1, 1, run) >> shifts) & np.uint8((1 << bits) - 1)
    return fields.reshape(len(codes), -1)


def _single(numbers: Array) -> Array:
    return numbers.astype(_SINGLE)


def _column(numbers: Array) -> Array:
    """A number of each block, for all elements of it."""
    return _single(numbers)[:, None]


def _products(scales: Array, numbers: Array) -> Array:
    """The numbers of each block times the scale of their group, of which there are as many as scales."""
    found: Array = (scales[..., None] * numbers.reshape(*scales.shape, -1)).reshape(len(scales), -1)
    return found


def _signed(codes: Array, least: int) -> Array:
    """Codes from 0 as numbers from `-least`."""
    return _single(codes.view(np.int8) - np.int8(least))


# Blocks of 32: one scale, and in some a least number


def _q4_0(of: Array) -> Array:
    return _column(of["d"]) * _signed(_fields(of["qs"], 16, 4), 8)


def _q4_1(of: Array) -> Array:
    return _column(of["d"]) * _single(_fields(of["qs"], 16, 4)) + _column(of["m"])


def _five(of: Array) -> Array:
    """Codes of 5 bits, the highest of all in an array of their own."""
    high = np.unpackbits(of["qh"], axis=1, bitorder="little")
    found: Array = _fields(of["qs"], 16, 4) | high << np.uint8(4)
    return found


def _q5_0(of: Array) -> Array:
    return _column(of["d"]) * _signed(_five(of), 16)


def _q5_1(of: Array) -> Array:
    return _column(of["d"]) * _single(_five(of)) + _column(of["m"])


def _q8_0(of: Array) -> Array:
    return _column(of["d"]) * _single(of["qs"])


# Blocks of 256: a scale for each 16 or 32, itself quantised


def _q2_k(of: Array) -> Array:
    scales, least = of["scales"] & np.uint8(15), of["scales"] >> np.uint8(4)
    return _above(of, scales, least, _fields(of["qs"], 32, 2))


def _q3_k(of: Array) -> Array:
    low, high = _fields(of["scales"][:, :8], 8, 4), _fields(of["scales"][:, 8:], 4, 2)
    missing = _fields(of["hmask"], 32, 1) ^ np.uint8(1)
    numbers = _single(_fields(of["qs"], 32, 2).view(np.int8) - (missing << np.uint8(2)).view(np.int8))
    return _products(_column(of["d"]) * _signed(low | high << np.uint8(4), 32), numbers)


def _six(of: Array) -> tuple[Array, Array]:
    """Eight scales and eight least numbers of 6 bits each, in 12 bytes."""
    scales, least, both = of["scales"][:, :4], of["scales"][:, 4:8], of["scales"][:, 8:]
    high = np.uint8(2), np.uint8(0x30)
    return (
        np.concatenate((scales & np.uint8(63), both & np.uint8(15) | scales >> high[0] & high[1]), axis=1),
        np.concatenate((least & np.uint8(63), both >> np.uint8(4) | least >> high[0] & high[1]), axis=1),
    )


def _above(of: Array, scales: Array, least: Array, codes: Array) -> Array:
    """Codes times the scale of their group, above its least number."""
    groups = scales.shape[1]
    products = _products(_column(of["d"]) * _single(scales), _single(codes)).reshape(len(of), groups, -1)
    found: Array = (products - (_column(of["dmin"]) * _single(least))[..., None]).reshape(len(of), -1)
    return found


def _k(of: Array, numbers: Array) -> Array:
    return _above(of, *_six(of), numbers)


def _q4_k(of: Array) -> Array:
    return _k(of, _fields(of["qs"], 32, 4))


def _q5_k(of: Array) -> Array:
    return _k(of, _fields(of["qs"], 32, 4) | _fields(of["qh"], 32, 1) << np.uint8(4))


def _q6_k(of: Array) -> Array:
    codes = _fields(of["ql"], 64, 4) | _fields(of["qh"], 32, 2) << np.uint8(4)
    return _products(_column(of["d"]) * _single(of["scales"]), _signed(codes, 32))


# Codes that stand for a place on a scale of 16 steps


_CURVE = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)
"""Of iq4_nl and iq4_xs."""
_E2M1 = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], np.float32)
"""Twice the 16 numbers of 4 bits of OCP's Microscaling Formats, so that they are whole."""


def _iq4_nl(of: Array) -> Array:
    found: Array = _column(of["d"]) * _CURVE[_fields(of["qs"], 16, 4)]
    return found


def _iq4_xs(of: Array) -> Array:
    low, high = _fields(of["scales_l"], 1, 4), _fields(of["scales_h"], 1, 2)
    return _products(_column(of["d"]) * _signed(low | high << np.uint8(4), 32), _CURVE[_fields(of["qs"], 16, 4)])


def _mxfp4(of: Array) -> Array:
    scale = np.ldexp(np.float32(1), of["e"].astype(np.int32) - 128)
    found: Array = scale[:, None] * _E2M1[_fields(of["qs"], 16, 4)]
    return found


def _nvfp4(of: Array) -> Array:
    exponent, fraction = (of["d"] >> np.uint8(3) & np.uint8(15)).astype(np.int32), of["d"] & np.uint8(7)
    whole = np.where(exponent == 0, fraction, fraction + np.uint8(8)).astype(np.float32)
    scale = np.ldexp(whole, np.maximum(exponent, 1) - 11)
    scale[of["d"] == 127] = 0
    return _products(scale, _E2M1[_fields(of["qs"], 8, 4)])


# Numbers of three values


def _tq1_0(of: Array) -> Array:
    """Five in a byte, in base 3: multiplied by a power of it, the byte has one of them in front."""
    powers = np.array([1, 3, 9, 27, 81], np.uint8)
    runs = ((of["qs"][:, :32], powers), (of["qs"][:, 32:], powers), (of["qh"], powers[:4]))
    codes = np.concatenate([(run[:, None] * power[:, None]).reshape(len(of), -1) for run, power in runs], axis=1)
    return _column(of["d"]) * _signed((codes.astype(np.uint16) * np.uint16(3) >> np.uint16(8)).astype(np.uint8), 1)


def _tq2_0(of: Array) -> Array:
    return _column(of["d"]) * _signed(_fields(of["qs"], 32, 2), 1)


class _Kind(NamedTuple):
    """A type of block: elements in one, its fields, and the numbers of some blocks as (blocks, elements)."""

    elements: int
    layout: np.dtype[Any]
    numbers: Callable[[Array], Array]


def _layout(fields: str) -> np.dtype[Any]:
    """Little-endian fields from `name type` or `name type count`."""
    parts = [field.split() for field in fields.split(",")]
    return np.dtype([(name, f"<{kind}", tuple(map(int, count))) for name, kind, *count in parts])


_SCALED, _OFFSET, _SUPER = "d f2", "d f2, m f2", "d f2, dmin f2, scales u1 12"
_LAYOUTS: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "q4_0": (f"{_SCALED}, qs u1 16", _q4_0), "q4_1": (f"{_OFFSET}, qs u1 16", _q4_1),
    "q5_0": (f"{_SCALED}, qh u1 4, qs u1 16", _q5_0), "q5_1": (f"{_OFFSET}, qh u1 4, qs u1 16", _q5_1),
    "q8_0": (f"{_SCALED}, qs i1 32", _q8_0),
    "q2_k": ("scales u1 16, qs u1 64, d f2, dmin f2", _q2_k),
    "q3_k": ("hmask u1 32, qs u1 64, scales u1 12, d f2", _q3_k),
    "q4_k": (f"{_SUPER}, qs u1 128", _q4_k), "q5_k": (f"{_SUPER}, qh u1 32, qs u1 128", _q5_k),
    "q6_k": ("ql u1 128, qh u1 64, scales i1 16, d f2", _q6_k),
    "iq4_nl": (f"{_SCALED}, qs u1 16", _iq4_nl),
    "iq4_xs": (f"{_SCALED}, scales_h u1 2, scales_l u1 4, qs u1 128", _iq4_xs),
    "mxfp4": ("e u1, qs u1 16", _mxfp4), "nvfp4": ("d u1 4, qs u1 32", _nvfp4),
    "tq1_0": ("qs u1 48, qh u1 4, d f2", _tq1_0), "tq2_0": ("qs u1 64, d f2", _tq2_0),
}  # fmt: skip
_KNOWN = {kind.name: kind for kind in TYPES.values() if not kind.raw}
_KINDS = {name: _Kind(_KNOWN[name].elements, _layout(fields), read) for name, (fields, read) in _LAYOUTS.items()}
