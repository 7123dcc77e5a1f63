"""Finds which known mistake explains the weights that differ; knows guesses and their precedence, no files.

A weight is explained by itself (its axes, gates, inputs), by another weight of its layer (mean and variance), or by
another layer of the same structure. Where several explanations fit alike, all are named and none is chosen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from service.compare.arrays import Array, carried, plain, total
from service.compare.evidence import told_apart
from service.compare.exchanges import by_head, exchanged, named
from service.compare.guesses import agrees, guesses, is_constant, partly
from service.compare.matched import Match, UnitPair
from service.compare.slots import SlotPair
from service.compare.verdicts import Explained, problem
from service.comparisons import Problem
from service.errors import InputError
from service.values.base import ValuesUnavailable
from service.values.pair import PairOfValues

Wrong = list[tuple[UnitPair, SlotPair]]
MAX_WEIGHTS = 256
MAX_ELEMENTS = 1 << 26
"""Most weights, and elements of them, that are diagnosed: where more are wrong there is no single mistake."""


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
    found: dict[int, list[Problem]] = defaultdict(list)
    explained: set[int] = set()
    for held in by_unit.values():
        unit = held[0][0]
        told, rest = _covering([slots for _, slots in held], codes)
        if rest:
            left.append(unit)
        found[id(unit)].extend(problem(unit, each) for each in told)
        explained.update(id(slots) for each in told for slots in each.slots)
    for stacked, pairs in by_head(values, left):
        found[id(pairs[0])].append(stacked)
        explained.update(id(slots) for pair in pairs for slots in pair.slots)
        left = [pair for pair in left if pair not in pairs]
    moved = exchanged(match, values, left)
    weak = tuple((pair, source) for pair, source in moved if not told_apart(match, pair, source))
    weak = weak if {id(pair) for pair, _ in weak} == {id(source) for _, source in weak} else ()
    for problems, pair in named([each for each in moved if each not in weak]):
        found[id(pair)].extend(problems)
        explained.update(id(slots) for slots in pair.slots)
    return Diagnosis(
        problems=tuple(each for pair in match.pairs for each in found.get(id(pair), ())),
        explained=frozenset(explained),
        exchanged=weak,
    )


def _bounded(wrong: Wrong) -> Wrong:
    """As many weights as are looked at."""
    sizes = accumulate(slots.right[0].view.count or 0 for _, slots in wrong)
    return [each for each, size in zip(wrong[:MAX_WEIGHTS], sizes, strict=False) if size <= MAX_ELEMENTS]


def _codes(pair: UnitPair, slots: SlotPair, values: PairOfValues) -> frozenset[str]:
    """Everything that explains one weight; a vector of zeros or ones is explained by nothing but an exchange."""
    try:
        ours, theirs = plain(total(values.left, slots.left)), plain(total(values.right, slots.right))
    except (ValuesUnavailable, InputError):
        return frozenset()
    dtype = slots.right[0].view.weight.dtype
    others = {f"weight_of:{role}" for role in _siblings(pair, slots, theirs, values, dtype)}
    if is_constant(theirs):
        return frozenset({f"constant:{code}" for code in others})
    own = {code for code, array in guesses(ours, theirs, slots) if agrees(array, theirs, dtype)}
    if not own | others:
        code = partly(carried(ours, slots), theirs, dtype)
        return frozenset({code} if code is not None else ())
    return frozenset(own | others)


def _siblings(pair: UnitPair, slots: SlotPair, theirs: Array, values: PairOfValues, dtype: str | None) -> Iterator[str]:
    """Roles of the same unit whose left numbers are found here on the right."""
    for other in pair.slots:
        if other is slots or not other.left or not other.right or other.shapes[1] != slots.shapes[1]:
            continue
        try:
            ours = carried(plain(total(values.left, other.left)), other)
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
    strong = {id(slots): frozenset(code for code in codes[id(slots)] if not code.startswith("constant:"))
              for slots in wrong}  # fmt: skip
    rest = [slots for slots in wrong if strong[id(slots)]]
    unexplained = [slots for slots in wrong if not strong[id(slots)]]
    found: list[Explained] = []
    while rest:
        tally: dict[str, list[SlotPair]] = defaultdict(list)
        for slots in rest:
            for code in strong[id(slots)]:
                tally[code].append(slots)
        most = max(len(held) for held in tally.values())
        best = sorted(code for code, held in tally.items() if len(held) == most)
        first = tally[best[0]]
        alike = tuple(code for code in best if tally[code] == first)
        found.append(Explained(codes=alike, slots=tuple(first)))
        rest = [slots for slots in rest if slots not in first]
    return found, unexplained


def _within(wrong: Sequence[SlotPair], codes: dict[int, frozenset[str]]) -> Explained | None:
    """Two weights of one unit that hold one another's numbers, and that nothing else explains."""
    roles = {slots.role: slots for slots in wrong}
    for slots in wrong:
        for code in codes[id(slots)]:
            other = roles.get(code.removeprefix("weight_of:")) if code.startswith("weight_of:") else None
            if other is not None and codes[id(slots)] == {code} and _is_only(codes[id(other)], slots.role):
                return Explained(codes=(f"swapped_with:{other.role}",), slots=(slots, other))
    return None


def _is_only(codes: frozenset[str], role: str) -> bool:
    """Whether one weight holds the numbers of another, or is constant and may do so."""
    return codes == {f"weight_of:{role}"} or f"constant:weight_of:{role}" in codes
