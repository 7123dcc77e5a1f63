"""The numbers of weights in canonical form, and one side carried over to the other; knows NumPy, no diagnosis.

Arrays are held one pair at a time, never more than `service.values` gives as a whole; a weight beyond that is read
in strips along an axis that both sides share.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from service.compare.slots import Flattening, SlotPair
from service.compare.units import Slot, View
from service.values.base import Values
from service.values.pair import PairOfValues

Array = npt.NDArray[Any]
STRIP = 1 << 21
"""Most elements of a strip."""


def read(values: Values, view: View) -> Array:
    """The part that is seen, in canonical form. Raises ValuesUnavailable, InputError."""
    stored = values.of(view.layer, view.weight)
    array: Array = stored.array() if view.rows is None else stored.block(*view.rows)
    return canonical(array, view)


def canonical(array: Array, view: View) -> Array:
    """A stored array (already cut to its rows) in canonical form."""
    if view.fold is not None:
        array = array.reshape(view.fold)
    if view.part is not None:
        array = array[slice(*view.part)]
    if view.axes:
        array = array.transpose(view.axes)
    return array if view.shape is None else array.reshape(view.shape)


def total(values: Values, slots: tuple[Slot, ...]) -> Array:
    """One weight, or the sum of several."""
    first = read(values, slots[0].view)
    for slot in slots[1:]:
        first = first + read(values, slot.view)
    return first


def plain(array: Array) -> Array:
    """Floats that sums and products of do not overflow."""
    return array.astype(np.float64 if array.dtype.itemsize >= 8 else np.float32, copy=False)


def carried(left: Array, pair: SlotPair) -> Array:
    """The left array as the right one should be, if the conversion is right."""
    if pair.swapped:
        left = left.T
    if pair.flattening is not None:
        left = reflattened(left, pair.flattening)
    order = gate_order(pair)
    if order is not None:
        left = regated(left, order)
    shape = pair.shapes[1]
    return left if shape is None else left.reshape(shape)


def gate_order(pair: SlotPair) -> list[int] | None:
    """For each right gate the place of the left one; None where the order is the same."""
    left, right = pair.left[0].gates, pair.right[0].gates
    if left == right or sorted(left) != sorted(right):
        return None
    return [left.index(gate) for gate in right]


def regated(array: Array, order: list[int]) -> Array:
    """Blocks along the last axis in another order."""
    blocks = np.split(array, len(order), axis=-1)
    return np.concatenate([blocks[place] for place in order], axis=-1)


def reflattened(array: Array, flat: Flattening) -> Array:
    """The rows of a kernel in the order that the other side's flattening gives."""
    sides = (flat.positions, flat.channels) if flat.left_last else (flat.channels, flat.positions)
    return array.reshape(*sides, -1).swapaxes(0, 1).reshape(array.shape)


def strips(values: PairOfValues, pair: SlotPair) -> Iterator[tuple[Array, Array]]:
    """Both sides, the left carried over, in strips; one strip where they are small or not cut alike."""
    axis = _strip_axis(pair)
    if axis is None:
        yield carried(total(values.left, pair.left), pair), total(values.right, pair.right)
        return
    left, right = pair.left[0].view, pair.right[0].view
    size = (left.shape or ())[axis]
    step = max(1, STRIP * size // max(1, left.count or 1))
    for start in range(0, size, step):
        stop = min(size, start + step)
        ours, theirs = _strip(values.left, left, axis, start, stop), _strip(values.right, right, axis, start, stop)
        yield (reflattened(ours, pair.flattening) if pair.flattening is not None else ours), theirs


def _strip_axis(pair: SlotPair) -> int | None:
    """The canonical axis along which both stored arrays can be cut; None for what is read as a whole."""
    left, right = pair.left[0].view, pair.right[0].view
    if (left.count or 0) <= STRIP or len(pair.left) != 1 or len(pair.right) != 1 or pair.swapped:
        return None
    if left.fold is not None or right.fold is not None or gate_order(pair) is not None or not _same_axes(left, right):
        return None
    return 0 if pair.flattening is None and _stored_axis(left, 0) == _stored_axis(right, 0) == 0 else -1


def _same_axes(left: View, right: View) -> bool:
    ranks = {len(view.shape or ()) for view in (left, right)} | {len(view.weight.shape or ()) for view in (left, right)}
    return len(ranks) == 1


def _stored_axis(view: View, axis: int) -> int:
    return view.axes[axis] if view.axes else axis % len(view.shape or (0,))


def _strip(values: Values, view: View, axis: int, start: int, stop: int) -> Array:
    """One strip in canonical form, without reading the rest."""
    at = _stored_axis(view, axis)
    shape = tuple(size or 0 for size in view.weight.shape or ())
    low, high = [0] * len(shape), list(shape)
    if view.rows is not None:
        low[0], high[0] = view.rows
    low[at], high[at] = low[at] + start, low[at] + stop
    box: Array = values.of(view.layer, view.weight).box(tuple(low), tuple(high))
    return box.transpose(view.axes) if view.axes else box
