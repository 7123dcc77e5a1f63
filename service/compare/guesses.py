"""What a wrong conversion makes of one weight: known mistakes as arrays; knows arithmetic, no alignment.

Each guess is what the right array would be, had that mistake been made with the left one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from math import prod

import numpy as np

from service.compare.arrays import Array, canonical, carried, gate_order, regated
from service.compare.slots import SlotPair

Guess = tuple[str, Array]
"""A code, with what it is about after a colon (`gate_order:2,0,1`), and the array."""
_LOOSE = {"float16": 4e-3, "bfloat16": 3e-2}
_EPSILONS = (0.0, 1e-3, 1e-5, 1.001e-5, 1e-6, 1e-12)
_SAMPLES = 257


def agrees(left: Array, right: Array, dtype: str | None = None) -> bool:
    """Whether two arrays are the same up to rounding; a sample is looked at first."""
    if left.shape != right.shape:
        return False
    bound = 0.2 if (dtype or "").startswith("float8") else _LOOSE.get(dtype or "", 2e-5)
    return _close(sampled(left), sampled(right), bound) and _close(left, right, bound)


def sampled(array: Array) -> Array:
    """A few numbers from all over an array."""
    at = np.linspace(0, max(0, array.size - 1), min(array.size, _SAMPLES)).astype(np.int64)
    found: Array = array[np.unravel_index(at, array.shape)] if array.ndim else array
    return found


def _close(left: Array, right: Array, bound: float) -> bool:
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(left), np.abs(right))
        scale = float(np.max(size, initial=0.0))
        return bool(np.all(np.abs(left - right) <= bound * size + bound * 1e-2 * scale))


def guesses(left: Array, right: Array, pair: SlotPair) -> Iterator[Guess]:
    """Every known mistake that can be made with this weight. `left` in its own canonical form, `right` in its own."""
    expected = carried(left, pair)
    yield from _turned(expected, pair)
    yield from _reshaped(left, pair)
    if pair.flattening is not None:
        yield "flatten_order", carried(left, replace(pair, flattening=None))
    yield from _gates(left, pair)
    if expected.shape == right.shape:
        yield from _scaled(expected, right, pair)
        yield from _variances(expected, right, pair)


def _turned(expected: Array, pair: SlotPair) -> Iterator[Guess]:
    """Axes of one length that were not, or wrongly, exchanged."""
    shape = expected.shape
    gates = len(pair.right[0].gates) or 1
    if expected.ndim == 2 and shape[1] == gates * shape[0]:
        yield "not_transposed", np.concatenate([block.T for block in np.split(expected, gates, axis=1)], axis=1)
    if expected.ndim > 2 and shape[-1] == shape[-2]:
        yield "inputs_outputs_swapped", expected.swapaxes(-1, -2)
    if expected.ndim > 3 and shape[0] == shape[1] > 1:
        yield "height_width_swapped", expected.swapaxes(0, 1)
    spatial = tuple(range(expected.ndim - 2))
    if prod(shape[axis] for axis in spatial) > 1:
        yield "flipped", np.flip(expected, spatial)
    heads = pair.left[0].view.weight.shape or ()
    if expected.ndim == 2 and len(heads) == 3:
        yield from _heads(expected, heads)


def _heads(expected: Array, stored: tuple[int | None, ...]) -> Iterator[Guess]:
    """(d, heads, size) read as (d, size, heads), or its transpose for the output."""
    sizes = [size or 0 for size in stored]
    if (sizes[0], sizes[1] * sizes[2]) == expected.shape:
        yield "head_order", expected.reshape(sizes).swapaxes(1, 2).reshape(expected.shape)
    elif (sizes[0] * sizes[1], sizes[2]) == expected.shape:
        yield "head_order", expected.reshape(sizes).swapaxes(0, 1).reshape(expected.shape)


def _reshaped(left: Array, pair: SlotPair) -> Iterator[Guess]:
    """The stored numbers in their stored order, as if shapes were all that matters."""
    ours, theirs = pair.left[0].view, pair.right[0].view
    if len(pair.left) > 1 or len(pair.right) > 1 or ours.fold or theirs.fold or ours.rows or theirs.rows:
        return
    if (ours.axes or (0,)) == (theirs.axes or (0,)) or len(ours.axes) != len(theirs.axes):
        return
    if len(set(left.shape)) == 1 and left.ndim == 2:
        return  # the same as not transposed
    stored = left.transpose(np.argsort(ours.axes)) if ours.axes else left
    yield "reshaped", canonical(stored.reshape([size or 0 for size in theirs.weight.shape or ()]), theirs)


def _gates(left: Array, pair: SlotPair) -> Iterator[Guess]:
    """Every other order of the gates."""
    count = len(pair.left[0].gates)
    if count < 2 or len(pair.right[0].gates) != count or left.shape[-1] % count:
        return
    right = gate_order(pair) or list(range(count))
    for order in permutations(range(count)):
        if list(order) != right:
            yield f"gate_order:{','.join(map(str, order))}", regated(left, list(order))


def _scaled(expected: Array, right: Array, pair: SlotPair) -> Iterator[Guess]:
    """All numbers times one, or times one per output."""
    yield "negated", -expected
    with np.errstate(all="ignore"):
        power = float(np.vdot(expected, expected))
        factor = float(np.vdot(expected, right)) / power if power else 0.0
        if expected.size >= 4 and np.isfinite(factor) and abs(factor) > 1e-6 and abs(abs(factor) - 1) > 1e-3:
            name = "bias_twice" if len(pair.left) != len(pair.right) and abs(factor - 2) < 1e-3 else "scaled"
            yield f"{name}:{factor:.6g}", expected * factor
        if expected.ndim >= 2 and expected.size // expected.shape[-1] >= 4:
            each = channel_factors(expected, right)
            if float(np.ptp(each)) > 1e-3 * float(np.max(np.abs(each), initial=0.0)):
                yield "channels_scaled", expected * each


def channel_factors(expected: Array, right: Array) -> Array:
    """For each output the factor between two kernels, by least squares."""
    axes = tuple(range(expected.ndim - 1))
    found: Array = (expected * right).sum(axis=axes) / np.maximum((expected * expected).sum(axis=axes), 1e-30)
    return found


def _variances(expected: Array, right: Array, pair: SlotPair) -> Iterator[Guess]:
    """A variance stored with epsilon in it, or as a standard deviation."""
    if pair.role != "moving_variance":
        return
    added = float(np.median(right - expected))
    if 1e-9 < abs(added) < 0.1:
        yield f"epsilon_in_variance:{added:.4g}", expected + added
    with np.errstate(all="ignore"):
        for epsilon in _EPSILONS:
            yield "standard_deviation", np.sqrt(expected + epsilon)
            yield "inverse_deviation", 1 / np.sqrt(expected + epsilon)
