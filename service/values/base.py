"""What every stored array offers, however it is stored: boxes of it, in bounded pieces; knows no format.

An array is read by *boxes* (`start` and `stop` per axis). Whatever holds the bytes (`Stored`) gives the codes of one
box; here boxes become a flat stream of chunks, rows or a whole array. Nothing larger than `BOX_BYTES` is asked for at
once, unless a caller asks for the whole array.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from service.errors import LimitExceeded
from service.language import Message, msg
from service.source import Meter
from service.tree import Layer, Weight
from service.values.elements import Array, Element

CHUNK_BYTES = 1 << 20
"""Largest piece of a flat stream."""
BOX_BYTES = 16 << 20
"""Largest box asked for at once where chunks of a file make larger boxes cheaper."""
ROW_BYTES = 64 << 20
"""Largest box where that makes it as high as the chunks of a file, so that none is unpacked twice."""
ARRAY_BYTES = 64 << 20
"""Largest array given as a whole, in bytes of decoded numbers."""

Index = tuple[int, ...]


class ValuesUnavailable(Exception):
    """The values of a weight cannot be read; `reason` says why, in a sentence for the user."""

    def __init__(self, reason: Message) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Stored(Protocol):
    """Something that holds the codes of one array.

    `code` is in this machine's byte order. `grain` are sizes along each axis in which boxes are cheap (the chunks of a
    file), None where any C-ordered run is.
    """

    @property
    def shape(self) -> Index:
        """Sizes along each axis."""
        ...

    @property
    def code(self) -> np.dtype[Any]:
        """Type of the codes."""
        ...

    @property
    def grain(self) -> Index | None:
        """See above."""
        ...

    def box(self, start: Index, stop: Index) -> Array:
        """The codes from `start` to `stop` (not included), of shape `stop - start`; not to be written to.

        Raises:
            InputError: The bytes are not there, broken, or more than may be read.
        """
        ...


class WeightValues:
    """The values of one weight.

    Attributes:
        shape: Logical sizes.
        dtype: The report's name of the element type.
        element: How a code becomes a number.
        count: Number of elements.
        bytes: Bytes in which they are stored.
        dequantised: Whether the numbers are made of blocks of codes, and are not what is stored.
    """

    def __init__(self, stored: Stored, element: Element, meter: Meter, blocks: int | None = None) -> None:
        """`blocks`: bytes of the blocks that the numbers are made of, where they are."""
        self.stored = stored
        self.element = element
        self.meter = meter
        self.shape = stored.shape
        self.dtype = element.name
        self.count = math.prod(stored.shape)
        self.dequantised = blocks is not None
        self.bytes = self.count * stored.code.itemsize if blocks is None else blocks

    def chunks(self) -> Iterator[Array]:
        """All codes in C order, flat and contiguous, at most 1 MiB each; `element.decode` makes them numbers.

        Raises:
            InputError: As `Stored.box`. LimitExceeded: more bytes than one analysis may look at.
        """
        self.meter.add_values(self.bytes)
        size = CHUNK_BYTES // self.stored.code.itemsize
        for start, stop in self.boxes():
            flat = self.stored.box(start, stop).reshape(-1)
            for first in range(0, flat.size, size):
                yield np.ascontiguousarray(flat[first : first + size])

    def boxes(self) -> Iterator[tuple[Index, Index]]:
        """Boxes that cover the array once, in C order, sized for how it is stored."""
        grain, width = self.stored.grain, self.stored.code.itemsize
        return boxes(self.shape, (CHUNK_BYTES if grain is None else BOX_BYTES) // width, grain, ROW_BYTES // width)

    def box(self, start: Index, stop: Index) -> Array:
        """The numbers (not codes) of a box; LimitExceeded above `ARRAY_BYTES`."""
        self._check(tuple(last - first for first, last in zip(start, stop, strict=True)))
        codes = self.stored.box(start, stop)
        self.meter.add_values(codes.nbytes)
        return self.element.decode(codes)

    def block(self, start: int, stop: int) -> Array:
        """Rows `start` to `stop` along axis 0, as numbers; a scalar has one row, itself."""
        if not self.shape:
            return self.box((), ())
        return self.box((start, *(0,) * (len(self.shape) - 1)), (stop, *self.shape[1:]))

    def array(self) -> Array:
        """The whole array as numbers, C order; LimitExceeded above `ARRAY_BYTES`."""
        self._check(self.shape)
        whole = np.empty(self.shape, self.element.decode(np.zeros(0, self.stored.code)).dtype)
        for start, stop in self.boxes():
            whole[tuple(map(slice, start, stop))] = self.box(start, stop)
        return whole

    def _check(self, sizes: Index) -> None:
        """That an array of these sizes may be held; an axis of none does not make the others small."""
        size = math.prod(max(size, 1) for size in sizes) * max(
            self.stored.code.itemsize, 4 if self.element.coded else 1
        )
        if size > ARRAY_BYTES:
            what = msg("The weight is too large to be held at once.")
            raise LimitExceeded("array_bytes", ARRAY_BYTES, what, value=size)


class Values(Protocol):
    """The values of one upload's weights."""

    def of(self, layer: Layer, weight: Weight) -> WeightValues:
        """The values of a weight of a layer of the model.

        Raises:
            ValuesUnavailable: They are not in the file, or stored in a way that is not read; with the reason.
            InputError: What leads to them is broken.
        """
        ...


def boxes(shape: Index, most: int, grain: Index | None = None, high: int = 0) -> Iterator[tuple[Index, Index]]:
    """Boxes of at most `most` elements that cover `shape` once, in C order; aligned to `grain` where that fits.

    A box may have up to `high` elements if that makes it as long as the grain along the axis that is cut.
    Each box is a contiguous run of the flat C-ordered array, so that boxes one after the other are its stream.
    """
    if not math.prod(shape):
        return
    axis, run = len(shape), 1
    while axis > 0 and run * shape[axis - 1] <= most:
        axis -= 1
        run *= shape[axis]
    if axis == 0:
        yield (0,) * len(shape), shape
        return
    axis -= 1
    step = max(1, most // run)
    if grain is not None and (step >= grain[axis] or grain[axis] * run <= high):
        step = max(step - step % grain[axis], grain[axis])
    after = len(shape) - axis - 1
    for number in range(math.prod(shape[:axis])):
        lead = _unravel(number, shape[:axis])
        past = tuple(index + 1 for index in lead)
        for first in range(0, shape[axis], step):
            last = min(first + step, shape[axis])
            yield (*lead, first, *(0,) * after), (*past, last, *shape[axis + 1 :])


def _unravel(number: int, shape: Index) -> Index:
    """Indices of the element `number` of a C-ordered array; sizes may be beyond what numpy counts."""
    found: list[int] = []
    for size in reversed(shape):
        number, index = divmod(number, size)
        found.append(index)
    return tuple(reversed(found))
