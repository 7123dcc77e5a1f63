"""Finds layers and projections that hold one another's numbers; knows structure and numbers, no single mistakes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from service.compare.arrays import Array, carried, plain, read, total
from service.compare.attention import PROJECTIONS
from service.compare.guesses import agrees, divisors, is_constant, sampled
from service.compare.matched import Match, UnitPair
from service.compare.verdicts import Explained, problem
from service.comparisons import Problem
from service.errors import InputError
from service.values.base import Values, ValuesUnavailable
from service.values.pair import PairOfValues

MAX_PEERS = 256
"""Most layers of one structure among which a mistaken one is looked for."""
Exchange = tuple[UnitPair, UnitPair]
"""A pair, and the pair whose left unit has its right numbers."""


def exchanged(match: Match, values: PairOfValues, wrong: Sequence[UnitPair]) -> list[Exchange]:
    """Units whose right numbers are those of another left unit of the same structure, each with that unit's pair."""
    groups: dict[object, list[UnitPair]] = defaultdict(list)
    for pair in match.pairs if wrong else ():
        if pair.left is not None and pair.right is not None:
            groups[pair.left.signature].append(pair)
    samples = _Samples(values)
    found: list[Exchange] = []
    for pair in wrong:
        peers = groups[pair.left.signature][:MAX_PEERS] if pair.left is not None else []
        source = next((other for other in peers if other is not pair and samples.agree(pair, other)), None)
        if source is not None and _all_agree(pair, source, values):
            found.append((pair, source))
    return found


def named(found: Sequence[Exchange]) -> Iterator[tuple[list[Problem], UnitPair]]:
    """Problems of units that hold another one's numbers; what is exchanged in a circle is one problem."""
    sources = {id(pair): source for pair, source in found}
    told: set[int] = set()
    for pair, source in found:
        circle = _circle(pair, sources)
        done = id(pair) in told
        told.update(id(each) for each in circle)
        yield [] if done else [_told(pair, source, circle)], pair


def _circle(pair: UnitPair, sources: dict[int, UnitPair]) -> list[UnitPair]:
    """The pairs from source to source until this one comes again; this one alone if it does not."""
    circle, at = [pair], sources.get(id(pair))
    while at is not None and at is not pair and len(circle) < len(PROJECTIONS):
        circle.append(at)
        at = sources.get(id(at))
    return circle if at is pair else [pair]


def _told(pair: UnitPair, source: UnitPair, circle: Sequence[UnitPair]) -> Problem:
    tags = {each.left.tag: each for each in circle if each.left is not None}
    if set(tags) == set(PROJECTIONS):
        order = ",".join(str(PROJECTIONS.index(_source_tag(tags[tag], circle))) for tag in PROJECTIONS)
        slots = tuple(slots for each in circle for slots in each.slots)
        return problem(pair, Explained(codes=(f"projection_order:{order}",), slots=slots))
    code = "copied_from" if len(circle) == 1 else "exchanged"
    return problem(pair, Explained(codes=(code,), other=source))


def _source_tag(pair: UnitPair, circle: Sequence[UnitPair]) -> str:
    """What the unit is that has this pair's right numbers: the next one in the circle."""
    source = circle[(circle.index(pair) + 1) % len(circle)]
    return source.left.tag if source.left is not None else ""


class _Samples:
    """A few numbers of the main weight of each unit, read once: most units are told apart by them."""

    def __init__(self, values: PairOfValues) -> None:
        self._values = values
        self._left: dict[int, Array | None] = {}
        self._right: dict[int, Array | None] = {}

    def agree(self, pair: UnitPair, other: UnitPair) -> bool:
        """Whether the other pair's left unit may hold this pair's right numbers."""
        if id(other) not in self._left:
            self._left[id(other)] = self._sample(other, left=True)
        if id(pair) not in self._right:
            self._right[id(pair)] = self._sample(pair, left=False)
        ours, theirs = self._left[id(other)], self._right[id(pair)]
        return ours is not None and theirs is not None and agrees(ours, theirs, "float16")

    def _sample(self, pair: UnitPair, *, left: bool) -> Array | None:
        both = [slots for slots in pair.slots if slots.left and slots.right and slots.fits]
        slots = max(both, key=lambda each: each.right[0].view.count or 0, default=None)
        if slots is None:
            return None
        try:
            whole = (
                carried(total(self._values.left, slots.left), slots) if left else total(self._values.right, slots.right)
            )
        except (ValuesUnavailable, InputError):
            return None
        return plain(sampled(whole))


def _all_agree(pair: UnitPair, other: UnitPair, values: PairOfValues) -> bool:
    """Whether the other pair's left weights, carried over, are this pair's right ones; zeros and ones prove nothing."""
    sources = {slots.role: slots for slots in other.slots if slots.left and slots.right}
    compared = 0
    for slots in pair.slots:
        source = sources.get(slots.role)
        if not slots.left or not slots.right or source is None:
            continue
        try:
            ours = carried(plain(total(values.left, source.left)), slots)
            theirs = plain(total(values.right, slots.right))
        except (ValuesUnavailable, InputError):
            return False
        if not agrees(ours, theirs, slots.right[0].view.weight.dtype):
            return False
        compared += not is_constant(theirs)
    return compared > 0


def by_head(values: PairOfValues, wrong: Sequence[UnitPair]) -> Iterator[tuple[Problem, list[UnitPair]]]:
    """Stacks of query, key and value that are put together head by head on one side."""
    stacks: dict[tuple[str, str], dict[str, UnitPair]] = defaultdict(dict)
    for pair in wrong:
        if pair.left is not None and pair.right is not None and pair.left.tag in PROJECTIONS:
            stacks[pair.left.layer.path, pair.right.layer.path][pair.left.tag] = pair
    for tags in stacks.values():
        if set(tags) == set(PROJECTIONS):
            pairs = [tags[tag] for tag in PROJECTIONS]
            if _is_by_head(pairs, values):
                slots = tuple(slots for pair in pairs for slots in pair.slots)
                yield problem(pairs[0], Explained(codes=("heads_stacked",), slots=slots)), pairs


def _is_by_head(pairs: Sequence[UnitPair], values: PairOfValues) -> bool:
    try:
        ours, theirs = (_stack(pairs, values.left, left=True), _stack(pairs, values.right, left=False))
    except (ValuesUnavailable, InputError):
        return False
    if ours is None or theirs is None or ours.shape != theirs.shape or is_constant(theirs):
        return False
    width = ours.shape[1] // 3
    for heads in (*divisors(width), width):
        split = (ours.shape[0], 3, heads, width // heads)
        for one, other in ((ours, theirs), (theirs, ours)):
            if agrees(one.reshape(split).swapaxes(1, 2).reshape(ours.shape), other):
                return True
    return False


def _stack(pairs: Sequence[UnitPair], values: Values, *, left: bool) -> Array | None:
    """The three kernels side by side, (in, 3 x out)."""
    kernels = []
    for pair in pairs:
        slots = next((slots for slots in pair.slots if slots.role == "kernel"), None)
        side = None if slots is None else slots.left if left else slots.right
        if not side or len(side[0].view.shape or ()) != 2:
            return None
        kernels.append(plain(read(values, side[0].view)))
    alike = len({kernel.shape for kernel in kernels}) == 1
    return np.concatenate(kernels, axis=1) if alike else None
