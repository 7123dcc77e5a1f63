"""Two whole numbers of 4 bits in each byte, as Keras packs them along one axis; knows no file.

Source: keras/src/quantizers/quantizers.py, `pack_int4`: of two neighbours along the axis the first is in the low bits;
an odd one out has zeros beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from service.language import msg
from service.values.base import Index, Stored, ValuesUnavailable
from service.values.elements import Array, Element


class Nibbles:
    """The unpacked numbers of `stored`, one code each, as an array of `shape`; packed along `axis`."""

    def __init__(self, stored: Stored, shape: Index, axis: int, element: Element) -> None:
        self.shape = shape
        self.code: np.dtype[Any] = element.code
        self._stored = stored
        self._axis = axis

    @classmethod
    def over(cls, stored: Stored, shape: Index, element: Element) -> Nibbles:
        """The array of `shape` in the bytes of `stored`; ValuesUnavailable unless they differ along one axis only."""
        rank = len(shape)
        same_rank = len(stored.shape) == rank and rank > 0
        wrong = [axis for axis in range(rank) if same_rank and stored.shape[axis] != shape[axis]]
        axis = wrong[0] if wrong else rank - 1
        halved = same_rank and stored.shape[axis] == (shape[axis] + 1) // 2
        if not halved or len(wrong) > 1 or element.name not in ("int4", "uint4"):
            raise ValuesUnavailable(msg("The values are packed in a way that is not read."))
        return cls(stored, shape, axis, element)

    @property
    def grain(self) -> Index:
        """Boxes in whole bytes, and large ones where the file has chunks."""
        inner = self._stored.grain or (1,) * len(self.shape)
        return tuple(2 * size if axis == self._axis else size for axis, size in enumerate(inner))

    def box(self, start: Index, stop: Index) -> Array:
        """See `Stored.box`."""
        axis = self._axis
        low, high = start[axis] // 2, (stop[axis] + 1) // 2
        bytes_ = self._stored.box((*start[:axis], low, *start[axis + 1 :]), (*stop[:axis], high, *stop[axis + 1 :]))
        codes = bytes_.view(np.uint8)
        both = np.stack((codes & 15, codes >> 4), axis=axis + 1)
        sizes = [*codes.shape]
        sizes[axis] *= 2
        first = start[axis] - 2 * low
        taken = (slice(None),) * axis + (slice(first, first + stop[axis] - start[axis]),)
        return both.reshape(sizes)[taken]
