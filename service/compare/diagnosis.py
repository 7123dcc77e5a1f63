"""Finds which known mistake explains the weights that differ; knows guesses and their precedence, no files.

A weight is explained by itself (its axes, gates, inputs), by another weight of its layer (mean and variance), or by
another layer of the same structure. Where several explanations fit alike, all are named and none is chosen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from service.compare.arrays import Array, carried, read, total
from service.compare.evidence import told_apart
from service.compare.guesses import agrees, channel_factors, guesses, sampled
from service.compare.matched import Match, UnitPair
from service.compare.slots import SlotPair
from service.compare.units import Unit
from service.compare.verdicts import Explained, norm_after, problem
from service.comparisons import Problem
from service.errors import InputError
from service.values.base import ValuesUnavailable
from service.values.pair import PairOfValues

Wrong = list[tuple[UnitPair, SlotPair]]
MAX_WEIGHTS = 256
MAX_ELEMENTS = 1 << 26
"""Most weights, and elements of them, that are diagnosed: where more are wrong there is no single mistake."""
MAX_PEERS = 256
"""Most layers of one structure among which a mistaken one is looked for."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found: mistakes, the weights that they explain, and pairs whose right units belong to other left ones.

    `exchanged`: pairs of (pair, pair whose left unit has its right numbers) that structure does not tell apart.
    """

    problems: tuple[Problem, ...]
    explained: frozenset[int]
    exchanged: tuple[tuple[UnitPair, UnitPair], ...]


def diagnose(match: Match, values: PairOfValues, wrong: Wrong) -> Diagnosis:
    """One problem per mistake and place, in the order of the left model."""
    looked = _bounded(wrong)
    codes = {id(slots): _codes(pair, slots, values) for pair, slots in looked}
    by_unit: dict[int, Wrong] = defaultdict(list)
    for pair, slots in looked:
        by_unit[id(pair)].append((pair, slots))
    left: list[UnitPair] = []
    found: list[Problem] = []
    explained: set[int] = set()
    for held in by_unit.values():
        unit = held[0][0]
        told, rest = _covering([slots for _, slots in held], codes)
        told, rest = _with_bias(told, rest, unit, match, values)
        if rest:
            left.append(unit)
        found.extend(problem(unit, each, match) for each in told)
        explained.update(id(slots) for each in told for slots in each.slots)
    exchanged = _exchanged(match, values, left)
    weak = tuple((pair, source) for pair, source in exchanged if not told_apart(match, pair, source))
    weak = weak if {id(pair) for pair, _ in weak} == {id(source) for _, source in weak} else ()
    for problems, pair in _named(match, [each for each in exchanged if each not in weak]):
        found.extend(problems)
        explained.update(id(slots) for slots in pair.slots)
    return Diagnosis(problems=tuple(found), explained=frozenset(explained), exchanged=weak)


def _bounded(wrong: Wrong) -> Wrong:
    """As many weights as are looked at."""
    sizes = accumulate(slots.right[0].view.count or 0 for _, slots in wrong)
    return [each for each, size in zip(wrong[:MAX_WEIGHTS], sizes, strict=False) if size <= MAX_ELEMENTS]


def _named(match: Match, exchanged: Sequence[tuple[UnitPair, UnitPair]]) -> Iterator[tuple[list[Problem], UnitPair]]:
    """Problems of units that hold another one's numbers; two that hold one another's are one problem."""
    sources = {id(pair): source for pair, source in exchanged}
    told: set[int] = set()
    for pair, source in exchanged:
        both = sources.get(id(source)) is pair
        code = "exchanged" if both else "copied_from"
        done = both and id(source) in told
        told.add(id(pair))
        yield [] if done else [problem(pair, Explained(codes=(code,), other=source), match)], pair


def _codes(pair: UnitPair, slots: SlotPair, values: PairOfValues) -> frozenset[str]:
    """Everything that explains one weight."""
    try:
        ours, theirs = total(values.left, slots.left), total(values.right, slots.right)
    except (ValuesUnavailable, InputError):
        return frozenset()
    dtype = slots.right[0].view.weight.dtype
    ours, theirs = _number(ours), _number(theirs)
    own = {code for code, array in guesses(ours, theirs, slots) if agrees(array, theirs, dtype)}
    others = {f"weight_of:{code}" for code in _siblings(pair, slots, theirs, values, dtype)}
    return frozenset(own | others)


def _number(array: Array) -> Array:
    """Floats that sums and products of do not overflow."""
    return array.astype(np.float64 if array.dtype.itemsize >= 8 else np.float32, copy=False)


def _siblings(pair: UnitPair, slots: SlotPair, theirs: Array, values: PairOfValues, dtype: str | None) -> Iterator[str]:
    """Roles of the same unit whose left numbers are found here on the right."""
    for other in pair.slots:
        if other is slots or not other.left or not other.right or other.shapes[1] != slots.shapes[1]:
            continue
        try:
            ours = carried(_number(total(values.left, other.left)), other)
        except (ValuesUnavailable, InputError):
            continue
        if agrees(ours, theirs, dtype):
            yield other.role


def _covering(wrong: Sequence[SlotPair], codes: dict[int, frozenset[str]]) -> tuple[list[Explained], list[SlotPair]]:
    """The fewest mistakes that explain a unit's weights, and the weights that none explains."""
    pair = _within(wrong, codes)
    if pair is not None:
        others, unknown = _covering([slots for slots in wrong if slots not in pair.slots], codes)
        return [pair, *others], unknown
    rest = [slots for slots in wrong if codes[id(slots)]]
    unexplained = [slots for slots in wrong if not codes[id(slots)]]
    found: list[Explained] = []
    while rest:
        tally: dict[str, list[SlotPair]] = defaultdict(list)
        for slots in rest:
            for code in codes[id(slots)]:
                tally[code].append(slots)
        most = max(len(held) for held in tally.values())
        best = sorted(code for code, held in tally.items() if len(held) == most)
        first = tally[best[0]]
        alike = tuple(code for code in best if tally[code] == first)
        found.append(Explained(codes=alike, slots=tuple(first)))
        rest = [slots for slots in rest if slots not in first]
    return found, unexplained


def _with_bias(
    told: list[Explained], rest: list[SlotPair], unit: UnitPair, match: Match, values: PairOfValues
) -> tuple[list[Explained], list[SlotPair]]:
    """A bias into which the normalisation after its layer was folded, beside a kernel with the same mistake."""
    bias = next((slots for slots in rest if slots.role == "bias"), None)
    kernel = next((each for each in told if "channels_scaled" in each.codes), None)
    norm = norm_after(unit, match)
    if bias is None or kernel is None or norm is None or not _is_folded(kernel.slots[0], bias, norm, values):
        return told, rest
    whole = replace(kernel, slots=(*kernel.slots, bias))
    return [whole if each is kernel else each for each in told], [slots for slots in rest if slots is not bias]


def _is_folded(kernel: SlotPair, bias: SlotPair, norm: Unit, values: PairOfValues) -> bool:
    """Whether bias' = (bias - mean) x factor + offset, with the factors of the kernel."""
    try:
        ours, theirs = carried(_number(total(values.left, kernel.left)), kernel), total(values.right, kernel.right)
        given, found = total(values.left, bias.left), total(values.right, bias.right)
        mean, offset = (read(values.left, norm.slots[role].view) for role in ("moving_mean", "offset"))
    except (ValuesUnavailable, InputError, KeyError):
        return False
    factors = channel_factors(ours, theirs)
    dtype = bias.right[0].view.weight.dtype
    return factors.shape == given.shape == mean.shape == offset.shape and agrees(
        _number((given - mean) * factors + offset), _number(found), "float16" if dtype == "float32" else dtype
    )


def _within(wrong: Sequence[SlotPair], codes: dict[int, frozenset[str]]) -> Explained | None:
    """Two weights of one unit that hold one another's numbers, and that nothing else explains."""
    roles = {slots.role: slots for slots in wrong}
    for slots in wrong:
        for code in codes[id(slots)]:
            other = roles.get(code.removeprefix("weight_of:")) if code.startswith("weight_of:") else None
            if other is not None and codes[id(slots)] == {code} and codes[id(other)] == {f"weight_of:{slots.role}"}:
                return Explained(codes=(code,), slots=(slots, other))
    return None


def _exchanged(match: Match, values: PairOfValues, wrong: Sequence[UnitPair]) -> list[tuple[UnitPair, UnitPair]]:
    """Units whose right numbers are those of another left unit of the same structure, each with that unit's pair."""
    groups: dict[object, list[UnitPair]] = defaultdict(list)
    for pair in match.pairs if wrong else ():
        if pair.left is not None and pair.right is not None:
            groups[pair.left.signature].append(pair)
    samples = Samples(values)
    found: list[tuple[UnitPair, UnitPair]] = []
    for pair in wrong:
        peers = groups[pair.left.signature][:MAX_PEERS] if pair.left is not None else []
        source = next((other for other in peers if other is not pair and samples.agree(pair, other)), None)
        if source is not None and _all_agree(pair, source, values):
            found.append((pair, source))
    return found


class Samples:
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
        return _number(sampled(whole))


def _all_agree(pair: UnitPair, other: UnitPair, values: PairOfValues) -> bool:
    """Whether the other pair's left weights, carried over, are this pair's right ones."""
    sources = {slots.role: slots for slots in other.slots if slots.left and slots.right}
    compared = 0
    for slots in pair.slots:
        source = sources.get(slots.role)
        if not slots.left or not slots.right or source is None:
            continue
        try:
            ours = carried(_number(total(values.left, source.left)), slots)
            theirs = _number(total(values.right, slots.right))
        except (ValuesUnavailable, InputError):
            return False
        if not agrees(ours, theirs, slots.right[0].view.weight.dtype):
            return False
        compared += 1
    return compared > 0
