"""Rows of query and key projections in the order that llama.cpp wants them in; knows that order, no file.

Rotary embeddings turn pairs of numbers. Hugging Face pairs the first half of a head with its second half, llama.cpp
neighbours; its conversion scripts put the rows of each head into that order for families that need it
(`LlamaModel.permute` in convert_hf_to_gguf.py: reshape to (heads, 2, size / 2), exchange the last two). That is no
difference of the models.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from service.compare.arrays import Array, carried, plain, total
from service.compare.guesses import agrees
from service.compare.matched import Match, Rotary, UnitPair
from service.compare.slots import SlotPair
from service.comparisons import Difference
from service.errors import InputError
from service.values.base import ValuesUnavailable
from service.values.differ import differ
from service.values.pair import PairOfValues

_MAX_HEADS = 256
_TURNED = ("query", "key")


@dataclass
class Turning:
    """What was found, by the identity of pairs of weights: the differences that are left, and how rows were moved."""

    differences: dict[int, Difference] = field(default_factory=dict)
    orders: dict[int, Rotary] = field(default_factory=dict)


def turned(match: Match, values: PairOfValues, wrong: Iterable[tuple[UnitPair, SlotPair]]) -> Turning:
    """Those of `wrong` (their values are different) that are equal once their rows are in one order."""
    found = Turning()
    sides = match.left.model.framework == "ggml", match.right.model.framework == "ggml"
    if sides[0] == sides[1]:
        return found
    for _, slots in wrong:
        if slots.tag in _TURNED and slots.role in ("kernel", "bias"):
            _try(slots, values, found, to_pairs=sides[1])
    return found


def _try(slots: SlotPair, values: PairOfValues, found: Turning, *, to_pairs: bool) -> None:
    dtype = slots.right[0].view.weight.dtype
    try:
        ours, theirs = carried(plain(total(values.left, slots.left)), slots), plain(total(values.right, slots.right))
    except (ValuesUnavailable, InputError):
        return
    if ours.shape != theirs.shape or not ours.ndim:
        return
    for heads in _heads(ours.shape[-1]):
        moved = _reordered(ours, heads, to_pairs=to_pairs)
        if agrees(moved, theirs, dtype):
            left = differ(moved, theirs)
            same = left.verdict != "different"
            found.differences[id(slots)] = left if same else msgspec.structs.replace(left, verdict="close")
            found.orders[id(slots)] = Rotary(heads, to_pairs)
            return


def _heads(width: int) -> list[int]:
    """Numbers of heads, whose sizes are even."""
    return [heads for heads in range(1, min(width // 2, _MAX_HEADS) + 1) if width % (2 * heads) == 0]


def _reordered(array: Array, heads: int, *, to_pairs: bool) -> Array:
    """The last axis with the halves of each head interleaved, or taken apart again."""
    half = array.shape[-1] // heads // 2
    sizes = (2, half) if to_pairs else (half, 2)
    return array.reshape(*array.shape[:-1], heads, *sizes).swapaxes(-1, -2).reshape(array.shape)
