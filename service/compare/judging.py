"""Compares the numbers of all pairs and has what differs diagnosed; knows the order of work, no explanation itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import msgspec

from service.compare.arrays import strips
from service.compare.diagnosis import diagnose
from service.compare.folding import folded
from service.compare.guesses import is_constant
from service.compare.matched import Match, UnitPair
from service.compare.rotary import turned
from service.compare.rounding import rounded_to
from service.compare.slots import SlotPair, pair_slots
from service.compare.transforms import is_quantised
from service.comparisons import Difference, Problem
from service.errors import InputError
from service.language import Message, msg
from service.values.base import ValuesUnavailable
from service.values.blocks import is_blocks
from service.values.differ import Differing
from service.values.pair import PairOfValues

_ROUNDED = 0.9999
"""Cosine similarity below which nothing was merely rounded."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the numbers show.

    Attributes:
        match: The pairs, some of them put together anew where only the numbers tell which is which.
        differences: By the identity of each pair of weights.
        problems: Known mistakes.
        unexplained: How many weights differ without one.
        apart: Whether so many do that these are two models, and what looks like a mistake in one would be chance.
        repaired: Right layers that were put together anew.
    """

    match: Match
    differences: dict[int, Difference]
    problems: tuple[Problem, ...]
    unexplained: int
    apart: bool
    repaired: tuple[str, ...]


@dataclass
class _Tally:
    """What is found while all pairs are compared. `telling`: pairs of weights that are not constants."""

    differences: dict[int, Difference] = field(default_factory=dict)
    telling: set[int] = field(default_factory=set)
    notes: dict[int, Message] = field(default_factory=dict)


def judge(match: Match, values: PairOfValues) -> Judged:
    """The differences of all pairs of weights, and what explains those that are different."""
    tally = _Tally()
    wrong = [(pair, slots) for pair in match.pairs for slots in _compared(pair, values, tally)]
    folds = folded(match, values, list({id(pair): pair for pair, _ in wrong}.values()))
    tally.differences.update(folds.differences)
    wrong = [each for each in wrong if id(each[1]) not in folds.notes]
    turns = turned(match, values, wrong)
    tally.differences.update(turns.differences)
    wrong = [each for each in wrong if id(each[1]) not in turns.orders]
    told = diagnose(match, values, [each for each in wrong if id(each[1]) not in folds.differences])
    anew = {id(pair): _joined(source, pair) for pair, source in told.exchanged}
    for pair in anew.values():
        _compared(pair, values, tally)
    known = told.explained | folds.differences.keys() | {id(slots) for pair, slots in wrong if id(pair) in anew}
    unknown = {id(slots) for _, slots in wrong} - known
    apart = len(unknown & tally.telling) > max(1, len(tally.telling - unknown))
    pairs = tuple(anew.get(id(pair), pair) for pair in match.pairs)
    noted = {**tally.notes, **folds.notes}
    return Judged(
        match=replace(match, pairs=pairs, noted=noted, folded=frozenset(folds.notes), rotary=turns.orders),
        differences=tally.differences,
        problems=() if apart else (*folds.problems, *told.problems),
        unexplained=len(wrong) if apart else len(unknown),
        apart=apart,
        repaired=tuple(dict.fromkeys(pair.right.layer.path for pair in anew.values() if pair.right is not None)),
    )


def _compared(pair: UnitPair, values: PairOfValues, tally: _Tally) -> list[SlotPair]:
    """Fill in the differences of one pair, and give back the weights that are different."""
    wrong: list[SlotPair] = []
    for slots in pair.slots:
        if slots.left and slots.right:
            tally.differences[id(slots)] = difference = _compare(values, slots, tally)
            if difference.verdict == "different":
                wrong.append(slots)
    return wrong


def _joined(source: UnitPair, pair: UnitPair) -> UnitPair:
    """The left unit of one pair with the right unit of another, which has its numbers."""
    if source.left is None or pair.right is None:
        return pair
    return UnitPair(left=source.left, right=pair.right, slots=tuple(pair_slots(source.left, pair.right, None)))


def _compare(values: PairOfValues, slots: SlotPair, tally: _Tally) -> Difference:
    """The difference of one pair after its transform; unknown, with the reason, where it cannot be had."""
    if not slots.fits:
        return _unknown(msg("The two have other sizes, or sizes that are not known."))
    if is_quantised(slots):
        return _unknown(
            msg("One side holds codes, which a scale or a table turns into values, so that the two are not compared.")
        )
    try:
        found = Differing(*(slot.view.weight.dtype for slot in (*slots.left, *slots.right)))
        for left, right in strips(values, slots):
            found.add(left, right)
            if not (is_constant(left) and is_constant(right)):
                tally.telling.add(id(slots))
        return _quantised(_rounded(found.result(), values, slots, tally), slots)
    except ValuesUnavailable as error:
        return _unknown(error.reason)
    except InputError as error:
        return _unknown(error.info.detail)


def _rounded(found: Difference, values: PairOfValues, slots: SlotPair, tally: _Tally) -> Difference:
    """Close, with a note, where one side was rounded to a smaller type than it is stored in."""
    if found.verdict != "different" or (found.max_relative or 0) > 1 or (found.cosine or 0) < _ROUNDED:
        return found
    kinds = {rounded_to(left, right) for left, right in strips(values, slots)}
    if len(kinds) != 1 or None in kinds:
        return found
    tally.notes[id(slots)] = msg("Equal up to the rounding of {dtype}.", dtype=str(*kinds))
    return msgspec.structs.replace(found, verdict="close")


def _quantised(found: Difference, slots: SlotPair) -> Difference:
    """Unknown where the numbers of one side's blocks differ from the other's: how far is told, not for what reason."""
    dtypes = {slot.view.weight.dtype: is_blocks(slot.view.weight.dtype) for slot in (*slots.left, *slots.right)}
    if found.verdict != "different" or set(dtypes.values()) != {True, False}:
        return found
    reason = msg(
        "One side is quantised in blocks ({dtypes}), whose numbers are held against those of the other: how far they"
        " are apart is told, but not whether that is the quantisation's doing alone.",
        dtypes=tuple(sorted(dtype or "" for dtype, packed in dtypes.items() if packed)),
    )  # fmt: skip
    return msgspec.structs.replace(found, verdict="unknown", reason=reason)


def _unknown(reason: Message) -> Difference:
    return Difference(verdict="unknown", reason=reason)
