"""Norms of a kernel's channels, added up from a flat C-ordered stream; knows the layout's words, no file."""

from __future__ import annotations

import math

import numpy as np

from service.measured import ChannelStatistics
from service.values.elements import Array

RUN = 1 << 13
"""Numbers summed by one call of BLAS: short enough that it never starts threads, which a confined process may not."""
_LISTED = 100
_MOST = 1 << 20
"""Most channels that are told apart."""


def channels_of(layout: str | None, shape: tuple[int, ...]) -> Channels | None:
    """What adds up the channels of a kernel whose output axis is its first or last; None for any other weight."""
    axes = (layout or "").lower().split("-") if "-" in (layout or "") else list((layout or "").lower())
    outputs = [axis for axis, name in enumerate(axes) if name in ("o", "out")]
    if len(axes) != len(shape) or len(shape) < 2 or len(outputs) != 1 or not math.prod(shape):
        return None
    axis = outputs[0]
    if axis not in (0, len(shape) - 1) or shape[axis] > _MOST:
        return None
    return Channels(axis, shape[axis], 1 if axis else math.prod(shape[1:]))


class Channels:
    """`count` channels along `axis`, of which each is `run` neighbouring elements at a time."""

    def __init__(self, axis: int, count: int, run: int) -> None:
        self._axis = axis
        self._run = run
        self._squares = np.zeros(count)
        self._at = 0

    def add(self, block: Array) -> None:
        """The next elements of the stream, finite and in double precision."""
        add = self._add_first if self._axis == 0 else self._add_last
        with np.errstate(over="ignore", under="ignore"):
            add(block, self._at)
        self._at += block.size

    def _add_first(self, block: Array, at: int) -> None:
        """Channels one after the other: the rest of one, whole ones, the beginning of another."""
        run, squares = self._run, self._squares
        head = min(-at % run, block.size)
        channel = at // run
        if head:
            squares[channel] += np.einsum("i,i->", block[:head], block[:head])
            channel += 1
        whole = (block.size - head) // run
        body = block[head : head + whole * run].reshape(whole, run)
        squares[channel : channel + whole] += np.vecdot(body, body) if run <= RUN else np.einsum("ij,ij->i", body, body)
        tail = block[head + whole * run :]
        if tail.size:
            squares[channel + whole] += np.einsum("i,i->", tail, tail)

    def _add_last(self, block: Array, at: int) -> None:
        """Channels interleaved: the rest of a row of them, whole rows, the beginning of another."""
        count, squares = self._squares.size, self._squares
        head = min(-at % count, block.size)
        start = at % count
        squares[start : start + head] += np.square(block[:head])
        whole = (block.size - head) // count
        body = block[head : head + whole * count].reshape(whole, count)
        squares += np.einsum("ij,ij->j", body, body)
        tail = block[head + whole * count :]
        squares[: tail.size] += np.square(tail)

    def result(self) -> ChannelStatistics:
        """The norms of all channels, in short."""
        norms = np.sqrt(self._squares)
        zero = np.flatnonzero(norms == 0)
        smallest, median, largest = (
            value if math.isfinite(value) else None
            for value in map(float, (norms.min(), np.median(norms), norms.max()))
        )
        return ChannelStatistics(
            axis=self._axis,
            count=norms.size,
            zero=zero.size,
            zero_indices=tuple(map(int, zero[:_LISTED])),
            smallest=smallest,
            median=median,
            largest=largest,
        )
