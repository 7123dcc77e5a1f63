"""Element types: how the code of one element is stored and which number it stands for; knows no file.

A *code* is the element as it lies in the file, as an array of a type that numpy has: numbers of numpy's own types are
their own codes; bfloat16, 8-bit floats and whole numbers of fewer than 8 bits are unsigned codes with a table.

Sources of the formats: IEEE 754-2008; "FP8 Formats for Deep Learning" (Micikevicius et al. 2022, arXiv:2209.05433)
for e4m3fn and e5m2; "8-bit Numerical Formats for Deep Neural Networks" (Noune et al. 2022, arXiv:2206.02915) for the
fnuz variants; OCP Microscaling Formats 1.0 for e8m0fnu.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_NATIVE = {
    "float16": "f2", "float32": "f4", "float64": "f8", "complex64": "c8", "complex128": "c16",
    "int8": "i1", "int16": "i2", "int32": "i4", "int64": "i8",
    "uint8": "u1", "uint16": "u2", "uint32": "u4", "uint64": "u8",
    "bool": "u1", "qint8": "i1", "quint8": "u1", "qint32": "i4", "bits8": "u1", "bits16": "u2",
}  # fmt: skip
"""Types that are numpy's own in memory. Quantised ones are given as the whole numbers that are stored."""

_MINIFLOATS = {
    "float8_e4m3fn": (4, 3, 7, "fn"), "float8_e5m2": (5, 2, 15, "ieee"),
    "float8_e4m3fnuz": (4, 3, 8, "fnuz"), "float8_e5m2fnuz": (5, 2, 16, "fnuz"),
}  # fmt: skip
"""Exponent bits, mantissa bits, bias, and which codes are not finite."""
_SMALL_WHOLE = frozenset(f"{sign}int{bits}" for sign in ("", "u") for bits in range(1, 8))
_CODED = frozenset({"bfloat16", "float8_e8m0fnu"}) | _MINIFLOATS.keys() | _SMALL_WHOLE


@dataclass(frozen=True, slots=True)
class Element:
    """One element type.

    Attributes:
        name: As reports call it.
        code: Numpy's type of the stored code, in this machine's byte order.
        coded: Whether the code has to be looked up to become a number.
    """

    name: str
    code: np.dtype[Any]
    coded: bool

    @property
    def bits(self) -> int:
        """Bits that the code of one element takes."""
        return 8 * self.code.itemsize

    @property
    def fraction(self) -> int:
        """Bits after the leading one that a value of this type keeps; 0 for whole numbers."""
        if self.name in _MINIFLOATS:
            return _MINIFLOATS[self.name][1]
        return _FRACTION.get(self.name, 0)

    @property
    def smallest_normal(self) -> float:
        """The smallest normal number; 0 for types that have no denormal ones."""
        if self.name in _MINIFLOATS:
            return 2.0 ** (1 - _MINIFLOATS[self.name][2])
        return _SMALLEST.get(self.name, 0.0)

    def decode(self, codes: Array) -> Array:
        """The numbers that `codes` stand for; same shape; float32 for bfloat16 and 8-bit floats."""
        if not self.coded:
            return codes
        if self.name == "bfloat16":
            return (codes.astype(np.uint32) << np.uint32(16)).view(np.float32)
        found: Array = table(self.name)[codes]
        return found


_FRACTION = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52, "complex64": 23, "complex128": 52}

_SMALLEST = {
    "float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022,
    "complex64": 2.0**-126, "complex128": 2.0**-1022,
}  # fmt: skip


def element_of(dtype: str | None) -> Element | None:
    """The element type that a report calls `dtype`; None for one whose values are not read."""
    if dtype in _NATIVE:
        return Element(dtype, np.dtype(_NATIVE[dtype]), coded=False)
    if dtype in _CODED:
        return Element(dtype, np.dtype("u2" if dtype == "bfloat16" else "u1"), coded=True)
    return None


def doubles(numbers: Array) -> Array:
    """`numbers` in double precision; a NaN that processors complain about is as good as any."""
    with np.errstate(invalid="ignore"):
        return numbers.astype(np.float64)


@functools.cache
def table(name: str) -> Array:
    """The number of each of the 256 codes of an 8-bit type: float32, or int8 and uint8 for whole numbers."""
    codes = np.arange(256, dtype=np.int64)
    if name == "float8_e8m0fnu":
        return np.where(codes == 255, np.nan, np.exp2(codes - 127.0)).astype(np.float32)
    if name in _MINIFLOATS:
        return _minifloat(codes, *_MINIFLOATS[name])
    unsigned = name.startswith("u")
    bits = int(name.removeprefix("u").removeprefix("int"))
    low = codes & ((1 << bits) - 1)
    sign = 0 if unsigned else 1 << (bits - 1)
    return ((low ^ sign) - sign).astype(np.uint8 if unsigned else np.int8)


def _minifloat(codes: Array, exponent: int, mantissa: int, bias: int, special: str) -> Array:
    field, part = (codes >> mantissa) & ((1 << exponent) - 1), codes & ((1 << mantissa) - 1)
    scaled = np.where(field == 0, part, part + (1 << mantissa)) * np.exp2(np.maximum(field, 1) - bias - mantissa * 1.0)
    values: Array = np.where(codes & 128, -scaled, scaled).astype(np.float32)
    if special == "fnuz":
        values[128] = np.nan
    elif special == "fn":
        values[[127, 255]] = np.nan
    else:
        top = field == (1 << exponent) - 1
        values[top] = np.where(part[top] == 0, np.where(codes[top] & 128, -np.inf, np.inf), np.nan)
    return values
