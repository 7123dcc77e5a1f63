"""How the numbers of two weights differ, block by block; knows numbers and their types, no model.

Verdicts:
- equal: the same number everywhere (0 and -0 are the same), NaN in the same places.
- close: not equal, but no two finite numbers are further apart than one unit in the last place of the coarser type,
  `2**-f * max(|a|, |b|)` with `f` bits after the leading one (float32: 23, float16: 10, bfloat16: 7), or than its
  smallest number; what is not finite is the same on both sides. Whole numbers against whole numbers are never close.
- different: anything else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from service.comparisons import Difference, Verdict
from service.values.elements import Array, Element, doubles, element_of

_BLOCK = 1 << 18
"""Numbers looked at at once, along axis 0 where that divides them."""


class Differing:
    """Takes two arrays piece by piece and says in the end how they differ.

    `dtypes` are the reports' names of the types that both sides are stored in; without them the arrays' own types say
    how coarse they are, which is too fine for bfloat16 and 8-bit floats that came as float32.
    """

    def __init__(self, *dtypes: str | None) -> None:
        self._elements = [found for found in map(element_of, dtypes) if found is not None]
        self._equal = self._close = True
        self._finite = True
        self._absolute = self._relative = 0.0
        self._products = self._left = self._right = 0.0

    def add(self, left: Array, right: Array) -> None:
        """Two arrays of one shape, the left one after its transform; ValueError for two shapes."""
        if left.shape != right.shape:
            raise ValueError(f"{left.shape} is not {right.shape}")
        for ours, theirs in _blocks(left, right):
            self._add_block(ours, theirs)

    def result(self) -> Difference:
        """What was seen in all pieces."""
        verdict: Verdict = "equal" if self._equal else "close" if self._close else "different"
        norms = math.sqrt(self._left) * math.sqrt(self._right)
        cosine = max(-1.0, min(1.0, self._products / norms)) if 0 < norms < math.inf else None
        return Difference(
            verdict=verdict,
            max_absolute=self._absolute if self._finite and math.isfinite(self._absolute) else None,
            max_relative=self._relative if self._finite else None,
            cosine=cosine,
        )

    def _add_block(self, ours: Array, theirs: Array) -> None:
        fraction, least = self._coarsest(ours, theirs)
        same = ours == theirs
        a, b = _doubles(ours), _doubles(theirs)
        finite = np.isfinite(a) & np.isfinite(b)
        if not finite.all():
            same, a, b = self._drop(same, a, b, finite)
        self._equal &= bool(same.all())
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            apart, larger = np.abs(a - b), np.maximum(np.abs(a), np.abs(b))
            self._close &= bool((apart <= fraction * larger + least).all())
            self._absolute = max(self._absolute, float(apart.max(initial=0.0)))
            relative = np.divide(apart, larger, out=np.zeros_like(apart), where=larger > 0)
            self._relative = max(self._relative, float(relative.max(initial=0.0)))
            self._products += float(np.einsum("i,i->", a, b))
            self._left += float(np.einsum("i,i->", a, a))
            self._right += float(np.einsum("i,i->", b, b))

    def _drop(self, same: Array, a: Array, b: Array, finite: Array) -> tuple[Array, Array, Array]:
        """Leave out what is not finite, once it is known whether it is the same on both sides."""
        odd = ~finite
        agree = bool(((a[odd] == b[odd]) | (np.isnan(a[odd]) & np.isnan(b[odd]))).all())
        if not agree:
            self._equal = self._close = self._finite = False
        return same[finite] if same.shape == finite.shape else a[finite] == b[finite], a[finite], b[finite]

    def _coarsest(self, ours: Array, theirs: Array) -> tuple[float, float]:
        """Relative and absolute tolerance of the coarsest type involved."""
        known = [found for found in (*self._elements, _element(ours), _element(theirs)) if found is not None]
        floats = [found for found in known if found.fraction]
        if not floats:
            return 0.0, 0.0
        coarse = min(floats, key=lambda found: found.fraction)
        return 2.0**-coarse.fraction, coarse.smallest_normal * 2.0**-coarse.fraction


def differ(left: Array, right: Array, *dtypes: str | None) -> Difference:
    """How two arrays of one shape differ; `dtypes` as in `Differing`."""
    found = Differing(*dtypes)
    found.add(left, right)
    return found.result()


def _element(array: Array) -> Element | None:
    return element_of(array.dtype.name)


def _blocks(left: Array, right: Array) -> Iterator[tuple[Array, Array]]:
    """Both arrays flat, in pieces; a transposed view is copied a piece at a time."""
    if left.ndim == 0 or left.size <= _BLOCK:
        yield left.reshape(-1), right.reshape(-1)
        return
    rows = max(1, _BLOCK * left.shape[0] // left.size)
    for first in range(0, left.shape[0], rows):
        ours, theirs = (side[first : first + rows].reshape(-1) for side in (left, right))
        for at in range(0, ours.size, _BLOCK):
            yield ours[at : at + _BLOCK], theirs[at : at + _BLOCK]


def _doubles(array: Array) -> Array:
    """Double precision; a complex number as two."""
    if array.dtype.kind == "c":
        return np.ascontiguousarray(array, np.complex128).view(np.float64)
    return doubles(array)
