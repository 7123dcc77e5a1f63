"""Compares the numbers of all pairs and has what differs diagnosed; knows the order of work, no explanation itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

from service.compare.arrays import strips
from service.compare.diagnosis import diagnose
from service.compare.matched import Match, UnitPair
from service.compare.slots import SlotPair, pair_slots
from service.comparisons import Difference, Problem
from service.errors import InputError
from service.language import Message, msg
from service.values.base import ValuesUnavailable
from service.values.differ import Differing
from service.values.pair import PairOfValues


@dataclass(frozen=True, slots=True)
class Judged:
    """What the numbers show.

    Attributes:
        match: The pairs, some of them put together anew where only the numbers tell which is which.
        differences: By the identity of each pair of weights.
        problems: Known mistakes.
        unexplained: How many weights differ without one.
        repaired: Right layers that were put together anew.
    """

    match: Match
    differences: dict[int, Difference]
    problems: tuple[Problem, ...]
    unexplained: int
    repaired: tuple[str, ...]


def judge(match: Match, values: PairOfValues) -> Judged:
    """The differences of all pairs of weights, and what explains those that are different."""
    found: dict[int, Difference] = {}
    wrong: list[tuple[UnitPair, SlotPair]] = []
    for pair in match.pairs:
        wrong.extend((pair, slots) for slots in _compared(pair, values, found))
    told = diagnose(match, values, wrong)
    anew = {id(pair): _joined(source, pair) for pair, source in told.exchanged}
    for pair in anew.values():
        _compared(pair, values, found)
    pairs = tuple(anew.get(id(pair), pair) for pair in match.pairs)
    again = {id(pair) for pair, _ in told.exchanged}
    return Judged(
        match=replace(match, pairs=pairs),
        differences=found,
        problems=told.problems,
        unexplained=sum(id(slots) not in told.explained and id(pair) not in again for pair, slots in wrong),
        repaired=tuple(dict.fromkeys(pair.right.layer.path for pair in anew.values() if pair.right is not None)),
    )


def _compared(pair: UnitPair, values: PairOfValues, found: dict[int, Difference]) -> list[SlotPair]:
    """Fill in the differences of one pair, and give back the weights that are different."""
    wrong: list[SlotPair] = []
    for slots in pair.slots:
        if slots.left and slots.right:
            found[id(slots)] = difference = compare_numbers(values, slots)
            if difference.verdict == "different":
                wrong.append(slots)
    return wrong


def _joined(source: UnitPair, pair: UnitPair) -> UnitPair:
    """The left unit of one pair with the right unit of another, which has its numbers."""
    if source.left is None or pair.right is None:
        return pair
    return UnitPair(left=source.left, right=pair.right, slots=tuple(pair_slots(source.left, pair.right, None)))


def compare_numbers(values: PairOfValues, slots: SlotPair) -> Difference:
    """The difference of one pair after its transform; unknown, with the reason, where it cannot be had."""
    if not slots.fits:
        return _unknown(msg("The two have other sizes, or sizes that are not known."))
    try:
        tally = Differing(*(slot.view.weight.dtype for slot in (*slots.left, *slots.right)))
        for left, right in strips(values, slots):
            tally.add(left, right)
        return tally.result()
    except ValuesUnavailable as error:
        return _unknown(error.reason)
    except InputError as error:
        return _unknown(error.info.detail)


def _unknown(reason: Message) -> Difference:
    return Difference(verdict="unknown", reason=reason)
