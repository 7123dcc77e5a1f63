"""Two reports with their units put together, before it is said in words; knows the steps, no framework's sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from service.compare import order, splitting
from service.compare.align import Line, align
from service.compare.flattening import Flattenings
from service.compare.slots import Flattening, SlotPair, pair_slots
from service.compare.units import Slot, Unit
from service.language import Message
from service.tree import Report


@dataclass(frozen=True, slots=True)
class UnitPair:
    """Two units that are the same thing, or one without counterpart, and their weights."""

    left: Unit | None
    right: Unit | None
    slots: tuple[SlotPair, ...]


class Rotary(NamedTuple):
    """Rows of each of `heads` heads: from halves to neighbouring pairs (`to_pairs`), or back."""

    heads: int
    to_pairs: bool


@dataclass(frozen=True, slots=True)
class Match:
    """Both reports and all their units, in the order of the left model; what is added stands where it was added.

    `noted`: what values show of pairs of weights, by identity; `folded`: those that a folded normalisation explains;
    `rotary`: those whose rows are in another order for a rotary embedding.
    """

    left: Report
    right: Report
    pairs: tuple[UnitPair, ...]
    noted: Mapping[int, Message] = field(default_factory=dict)
    folded: frozenset[int] = frozenset()
    rotary: Mapping[int, Rotary] = field(default_factory=dict)

    @property
    def one_framework(self) -> bool:
        """Whether both speak of layers and weights in the same words."""
        return self.left.model.framework == self.right.model.framework


def match(left: Report, right: Report) -> Match:
    """All units of both reports, each once."""
    split = not (splitting.has_fused(left) and splitting.has_fused(right))
    names = left.model.framework == right.model.framework
    ours = order.laid_out(left, splitting.units(left, split_fused=split, constants=names))
    theirs = order.laid_out(right, splitting.units(right, split_fused=split, constants=names))
    found = align(Line(ours, order.feeders(left, ours)), Line(theirs, order.feeders(right, theirs)), names=names)
    flat = Flattenings(left, ours), Flattenings(right, theirs)
    pairs = [
        _pair(ours[i] if i is not None else None, theirs[j] if j is not None else None,
              _flattening(flat, i, j) if not names else None)
        for i, j in _in_order(len(ours), len(theirs), found)
    ]  # fmt: skip
    return Match(left=left, right=right, pairs=tuple(pairs))


def _in_order(left: int, right: int, found: dict[int, int]) -> list[tuple[int | None, int | None]]:
    """Index pairs in the left order; an unpaired right one comes after the pair of the right one before it."""
    by_right = {j: i for i, j in found.items()}
    after: dict[int, list[int]] = {}
    last = -1
    for j in range(right):
        if j in by_right:
            last = by_right[j]
        else:
            after.setdefault(last, []).append(j)
    ordered: list[tuple[int | None, int | None]] = [(None, j) for j in after.get(-1, ())]
    for i in range(left):
        ordered.append((i, found.get(i)))
        ordered.extend((None, j) for j in after.get(i, ()))
    return ordered


def _flattening(flat: tuple[Flattenings, Flattenings], i: int | None, j: int | None) -> Flattening | None:
    """The map behind a kernel whose inputs the two frameworks put into another order."""
    if i is None or j is None:
        return None
    left, right = flat[0].of(i), flat[1].of(j)
    told = left or right
    if told is None:
        return None
    left_last = left.last if left is not None else flat[0].lies_last(i)
    right_last = right.last if right is not None else flat[1].lies_last(j)
    if left_last == right_last:
        return None
    return Flattening(channels=told.channels, positions=told.positions, left_last=left_last)


def _pair(left: Unit | None, right: Unit | None, flattening: Flattening | None) -> UnitPair:
    if left is not None and right is not None:
        return UnitPair(left=left, right=right, slots=tuple(pair_slots(left, right, flattening)))
    if left is not None:
        return UnitPair(left=left, right=None, slots=tuple(_alone(left.slots, left=True)))
    return UnitPair(left=None, right=right, slots=tuple(_alone(right.slots if right else {}, left=False)))


def _alone(slots: dict[str, Slot], *, left: bool) -> list[SlotPair]:
    return [SlotPair(role=slot.role, left=(slot,) if left else (), right=() if left else (slot,))
            for slot in slots.values()]  # fmt: skip
