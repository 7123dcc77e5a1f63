"""What a wrong conversion makes of one weight: known mistakes as arrays; knows arithmetic, no alignment.

Each guess is what the right array would be, had that mistake been made with the left one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import numpy as np

from service.compare.arrays import Array, canonical, carried, gate_order, regated
from service.compare.attention import is_fused
from service.compare.slots import SlotPair

Guess = tuple[str, Array]
"""A code, with what it is about after a colon (`gate_order:2,0,1`), and the array."""
_LOOSE = {"float16": 4e-3, "bfloat16": 3e-2}
EPSILONS = (0.0, 1e-3, 1e-5, 1.001e-5, 1e-6, 1e-12)
_SAMPLES = 257
_MAX_HEADS = 64
"""Most numbers of heads that are tried where the model does not tell it."""
_AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def agrees(left: Array, right: Array, dtype: str | None = None) -> bool:
    """Whether two arrays are the same up to rounding; a sample is looked at first."""
    if left.shape != right.shape:
        return False
    bound = 0.2 if (dtype or "").startswith("float8") else _LOOSE.get(dtype or "", 2e-5)
    return _close(sampled(left), sampled(right), bound) and _close(left, right, bound)


def sampled(array: Array) -> Array:
    """A few numbers from all over an array."""
    if array.size <= _SAMPLES:
        return array.reshape(-1)
    at = np.linspace(0, array.size - 1, _SAMPLES).astype(np.int64)
    found: Array = array[np.unravel_index(at, array.shape)]
    return found


def is_constant(array: Array) -> bool:
    """Whether all numbers are the same one, so that they can be told from no other order of themselves."""
    if not array.size:
        return True
    first = array.flat[0]
    return bool((sampled(array) == first).all()) and bool((array == first).all())


def _close(left: Array, right: Array, bound: float) -> bool:
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(left), np.abs(right))
        scale = float(np.max(size, initial=0.0))
        return bool(np.all(np.abs(left - right) <= bound * size + bound * 1e-2 * scale))


def guesses(left: Array, right: Array, pair: SlotPair) -> Iterator[Guess]:
    """Every known mistake that can be made with this weight. `left` in its own canonical form, `right` in its own."""
    expected = carried(left, pair)
    if _same_numbers(left, right):
        yield from _turned(expected, pair)
        yield from _heads(expected, pair)
        yield from _reshaped(left, pair)
        yield from _stacked(expected, pair)
        if pair.flattening is not None:
            yield "flatten_order", carried(left, replace(pair, flattening=None))
        yield from _gates(left, pair)
    if expected.shape == right.shape:
        yield from _moved(expected, right, pair)
        yield from _scaled(expected, right, pair)
        yield from _variances(expected, right, pair)


def _same_numbers(left: Array, right: Array) -> bool:
    """Whether one may hold the numbers of the other in another order: their sizes and squares add up alike."""
    with np.errstate(all="ignore"):
        sums = [(float(np.abs(side).sum(dtype=np.float64)), float(np.vdot(side, side))) for side in (left, right)]
    return all(abs(ours - theirs) <= 1e-2 * max(ours, theirs) for ours, theirs in zip(*sums, strict=True))


def _turned(expected: Array, pair: SlotPair) -> Iterator[Guess]:
    """Axes of one length that were not, or wrongly, exchanged; filters read backwards; multipliers before channels."""
    shape = expected.shape
    gates = len(pair.right[0].gates) or 1
    if expected.ndim == 2 and shape[1] == gates * shape[0]:
        yield "not_transposed", np.concatenate([block.T for block in np.split(expected, gates, axis=1)], axis=1)
    if expected.ndim > 2 and shape[-1] == shape[-2]:
        yield "inputs_outputs_swapped", expected.swapaxes(-1, -2)
    if expected.ndim > 3 and shape[0] == shape[1] > 1:
        yield "height_width_swapped", expected.swapaxes(0, 1)
    yield from _flipped(expected)
    for side in (pair.left[0].view, pair.right[0].view):
        if side.weight.layout in ("HWIM", "WIM") and expected.ndim > 2:
            channels, multiplier = (size or 0 for size in (side.weight.shape or (0, 0))[-2:])
            if channels * multiplier == shape[-1] and min(channels, multiplier) > 1:
                sizes = (channels, multiplier) if side is pair.left[0].view else (multiplier, channels)
                yield "multiplier_order", expected.reshape(*shape[:-1], *sizes).swapaxes(-1, -2).reshape(shape)


def _flipped(expected: Array) -> Iterator[Guess]:
    """Filters mirrored along one axis, some or all of them."""
    names = _AXES.get(expected.ndim - 2, ())
    spatial = [axis for axis in range(len(names)) if expected.shape[axis] > 1]
    for chosen in range(1, 1 << len(spatial)):
        axes = [axis for place, axis in enumerate(spatial) if chosen >> place & 1]
        whole = len(axes) == len(spatial) > 1
        code = "flipped" if whole and len(names) == 2 else f"mirrored:{','.join(names[axis] for axis in axes)}"
        yield code, np.flip(expected, tuple(axes))


def _heads(expected: Array, pair: SlotPair) -> Iterator[Guess]:
    """(d, heads, size) read as (d, size, heads), or its transpose for the output, with any number of heads."""
    if expected.ndim != 2:
        return
    stored = [slot.view.weight.shape or () for slot in (pair.left[0], pair.right[0])]
    if not any(len(shape) == 3 for shape in stored) and not pair.tag:
        return
    for axis in (0, 1):
        width = expected.shape[axis]
        for heads in divisors(width):
            sizes = (heads, width // heads)
            split = (*sizes, -1) if axis == 0 else (expected.shape[0], *sizes)
            if (pair.tag == "output") == (axis == 0):
                yield "head_order", expected.reshape(split).swapaxes(axis, axis + 1).reshape(expected.shape)


def divisors(width: int) -> list[int]:
    """Numbers of heads that a width can have, but for one, and one each."""
    return [heads for heads in range(2, min(width // 2, _MAX_HEADS) + 1) if width % heads == 0]


def _stacked(expected: Array, pair: SlotPair) -> Iterator[Guess]:
    """Query, key and value stacked in another order, where both sides stack them."""
    view = pair.right[0].view
    if pair.role not in ("kernel", "bias") and "qkv" not in pair.role:
        return
    axis = expected.ndim - 1 if pair.role == "kernel" else 0
    if not is_fused(view.layer) or view.rows is not None or not expected.ndim or expected.shape[axis] % 3:
        return
    blocks = np.split(expected, 3, axis=axis)
    for order in permutations(range(3)):
        if order != (0, 1, 2):
            code = f"projection_order:{','.join(map(str, order))}"
            yield code, np.concatenate([blocks[place] for place in order], axis=axis)


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


def _moved(expected: Array, right: Array, pair: SlotPair) -> Iterator[Guess]:
    """Rows of an embedding one further up or down: what came in at the end is taken as it is."""
    if pair.role != "embedding" or expected.ndim != 2 or expected.shape[0] < 3:
        return
    for step in (1, -1):
        moved = np.roll(expected, step, axis=0)
        edge = 0 if step > 0 else -1
        moved[edge] = right[edge]
        yield f"rows_shifted:{step}", moved


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
        for epsilon in EPSILONS:
            yield "standard_deviation", np.sqrt(expected + epsilon)
            yield "inverse_deviation", 1 / np.sqrt(expected + epsilon)


def partly(expected: Array, right: Array, dtype: str | None) -> str | None:
    """What sets the two apart where they are the same but for some numbers: a code, or None."""
    if expected.shape != right.shape:
        return None
    with np.errstate(all="ignore"):
        finite = np.isfinite(expected) & np.isfinite(right)
        odd = finite.size - int(finite.sum())
        if odd:
            whole = not is_constant(right[finite]) and agrees(expected[finite], right[finite], dtype)
            return f"not_finite:{odd}" if whole else None
        apart = expected != right
        told = int(np.count_nonzero(expected))
        same = int(np.count_nonzero(~apart & (expected != 0)))
    few = 2 * same > told and same > 2 and not is_constant(expected[~apart])
    return f"some_values:{int(apart.sum())}" if few else None
