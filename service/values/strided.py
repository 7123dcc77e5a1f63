"""Arrays that lie in one piece of a file, in C order or with strides of their own; knows bytes, no format.

A box whose elements lie close together is read in one piece and viewed with its strides; one whose elements lie far
apart (rows of a transposed matrix) is read piece by piece along its longest stride.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from service.language import msg
from service.source import Source
from service.values.base import Index, ValuesUnavailable
from service.values.elements import Array, Element

_DENSE = 2
"""A box is read in one piece while that reads at most this many times its own bytes."""
_PIECE = 32 << 20
"""Most bytes read at once."""
_NEAR = 32 << 10
"""Elements this many bytes apart are read with what lies between them: faster than a read for each."""


@dataclass(frozen=True, slots=True)
class Strided:
    """An array in `source` from byte `offset` on. `strides` count elements; `big` says most significant byte first."""

    source: Source
    offset: int
    shape: Index
    strides: Index
    code: np.dtype[Any]
    big: bool = False

    @property
    def grain(self) -> Index | None:
        """None in C order; else boxes should be large, as each costs a read per step of the longest stride."""
        return None if self.strides == c_strides(self.shape) else (1,) * len(self.shape)

    def box(self, start: Index, stop: Index) -> Array:
        """See `Stored.box`."""
        sizes = tuple(last - first for first, last in zip(start, stop, strict=True))
        at = sum(first * step for first, step in zip(start, self.strides, strict=True))
        return self._gather(at, sizes).astype(self.code, copy=False)

    def _gather(self, at: int, sizes: Index) -> Array:
        """The elements from element `at` on, in the file's byte order."""
        count = math.prod(sizes)
        if not count:
            return np.empty(sizes, self._stored)
        steps = [step if size > 1 else 0 for size, step in zip(sizes, self.strides, strict=True)]
        extent = 1 + sum((size - 1) * step for size, step in zip(sizes, steps, strict=True))
        axis = max(range(len(steps)), key=steps.__getitem__, default=0)
        widest = steps[axis] * self.code.itemsize if steps else 0
        if extent * self.code.itemsize <= _PIECE and (widest <= _NEAR or extent <= _DENSE * count):
            return self._view(at, extent, sizes, steps)
        found = np.empty(sizes, self._stored)
        many = max(_PIECE // widest - 1, 1) if widest <= _NEAR else 1
        for first in range(0, sizes[axis], many):
            last = min(first + many, sizes[axis])
            place = (*(slice(None),) * axis, slice(first, last))
            found[place] = self._gather(at + first * steps[axis], (*sizes[:axis], last - first, *sizes[axis + 1 :]))
        return found

    def _view(self, at: int, extent: int, sizes: Index, steps: list[int]) -> Array:
        width = self.code.itemsize
        data = self.source.read_at(self.offset + at * width, extent * width)
        flat = np.frombuffer(data, self._stored)
        return as_strided(flat, sizes, [step * width for step in steps], writeable=False)

    @property
    def _stored(self) -> np.dtype[Any]:
        return self.code.newbyteorder(">") if self.big else self.code


def c_strides(shape: Index) -> Index:
    """Steps along each axis, in elements, of an array in C order."""
    steps, step = [], 1
    for size in reversed(shape):
        steps.append(step)
        step *= max(size, 1)
    return tuple(reversed(steps))


def strided(
    source: Source, offset: int, shape: Index, strides: Index | None, element: Element, *, big: bool = False
) -> Strided:
    """The array, once all of it is known to lie in `source`; in C order without `strides`.

    Raises:
        ValuesUnavailable: It reaches past the end, or its description cannot be.
    """
    steps = c_strides(shape) if strides is None else strides
    if len(steps) != len(shape) or any(number < 0 for number in (*shape, *steps, offset)):
        raise ValuesUnavailable(msg("Its place in the file is described by numbers that do not fit together."))
    extent = 1 + sum((size - 1) * step for size, step in zip(shape, steps, strict=True)) if math.prod(shape) else 0
    end = offset + extent * element.code.itemsize
    if end > source.size:
        raise ValuesUnavailable(
            msg("It should end at byte {end} of what stores it, which has {size} bytes.", end=end, size=source.size)
        )
    return Strided(source, offset, shape, steps, element.code, big)
