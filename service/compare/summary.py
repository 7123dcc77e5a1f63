"""The one sentence that a person can quote, and the notes; knows the finished parts of a comparison, no units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from service.compare.causes import named
from service.comparisons import Cause, Difference, LayerPair, Problem
from service.language import Message, msg, msgn, sentences

_TOLD = 3
"""Most causes or problems that the summary tells; all are in the lists."""


def summary(
    gap: int | None,
    total: int | None,
    unexplained: int | None,
    causes: Sequence[Cause],
    layers: Sequence[LayerPair],
    problems: Sequence[Problem],
) -> Message:
    """The gap and its causes, and whether anything else differs."""
    rest = _unexplained(unexplained), _rest(causes, layers, {problem.text for problem in problems})
    if _is_one(gap, causes):
        return sentences(msg("The gap of {gap} is {cause}", gap=abs(gap or 0), cause=causes[0].text), *rest)
    return sentences(_gap(gap, total), _because(gap, causes), *rest)


def _is_one(gap: int | None, causes: Sequence[Cause]) -> bool:
    return bool(gap) and len(causes) == 1 and causes[0].code == "statistics_in_buffers"


def _gap(gap: int | None, total: int | None) -> Message:
    if gap is None:
        return msg("The gap cannot be told: not every weight has a known size.")
    if gap:
        return msg("The right model counts {gap} more than the left one.", gap=gap) if gap > 0 else msg(
            "The right model counts {gap} less than the left one.", gap=-gap)  # fmt: skip
    return msg("Both models count {total}.", total=total or 0)


def _because(gap: int | None, causes: Sequence[Cause]) -> Message | None:
    if not causes:
        return None
    told = tuple(cause.text for cause in causes[:_TOLD])
    more = len(causes) - len(told)
    lead = msg("These differences cancel out.") if gap == 0 else None
    rest = msgn("There is {n} more cause.", "There are {n} more causes.", n=more) if more else None
    return sentences(lead, *told, rest)


def _unexplained(unexplained: int | None) -> Message | None:
    return msg("{count} of it are not explained.", count=abs(unexplained)) if unexplained else None


def _rest(causes: Sequence[Cause], layers: Sequence[LayerPair], told_already: set[Message]) -> Message | None:
    """What differs beside the counts."""
    touched = {path for cause in causes if cause.code != "statistics_in_buffers" for path in cause.layers}
    changed = [pair for pair in layers if set(pair.changes) - told_already and not {pair.left, pair.right} & touched]
    alone = [pair for pair in layers if pair.status in ("added", "removed") and not {pair.left, pair.right} & touched]
    renamed = sum(pair.status == "renamed" for pair in layers)
    parts = [
        _listed(changed, "changed"), _listed(alone, "alone"),
        msgn("{n} layer has another name.", "{n} layers have other names.", n=renamed) if renamed else None,
    ]  # fmt: skip
    told = [part for part in parts if part is not None]
    return sentences(*told) if told else msg("Everything else is equal.")


def _listed(pairs: Sequence[LayerPair], what: str) -> Message | None:
    if not pairs:
        return None
    names = named(pair.left or pair.right or "" for pair in pairs)
    if what == "changed":
        return msgn("{n} layer changed otherwise: {layers}.", "{n} layers changed otherwise: {layers}.",
                    n=len(pairs), layers=names)  # fmt: skip
    return msgn("{n} layer is in one model only: {layers}.", "{n} layers are in one model only: {layers}.",
                n=len(pairs), layers=names)  # fmt: skip


def proved(
    said: Message, layers: Iterable[LayerPair], problems: Sequence[Problem], unexplained: int, *, converted: bool
) -> Message:
    """The summary with what the numbers show: mistakes come first, a proof comes last.

    Two versions in one framework (not `converted`) may well hold other numbers: that is told last, and is no mistake.
    """
    found = [weight.difference for pair in layers for weight in pair.weights if weight.difference is not None]
    if unexplained and not problems and not converted:
        known = sum(difference.verdict != "unknown" for difference in found)
        return sentences(said, msg("The values of {count} of {all} weights differ.", count=unexplained, all=known))
    if problems or unexplained:
        return sentences(_mistakes(problems), _different(unexplained, bool(problems)), said)
    return sentences(said, _equal(found))


def _mistakes(problems: Sequence[Problem]) -> Message | None:
    if not problems:
        return None
    told = sentences(*(problem.text for problem in problems[:_TOLD]))
    more = len(problems) - _TOLD
    return sentences(
        msgn("The conversion is wrong in one place: {mistakes}", "The conversion is wrong in {n} places: {mistakes}",
             n=len(problems), mistakes=told),
        msgn("There is {n} more mistake.", "There are {n} more mistakes.", n=more) if more > 0 else None,
    )  # fmt: skip


def _different(count: int, beside: bool) -> Message | None:
    if not count:
        return None
    if beside:
        return msgn("{n} more weight differs, and no known mistake explains it.",
                    "{n} more weights differ, and no known mistake explains them.", n=count)  # fmt: skip
    return msgn("The values of {n} weight differ, and no known mistake of a conversion explains it.",
                "The values of {n} weights differ, and no known mistake of a conversion explains them.",
                n=count)  # fmt: skip


def _equal(found: Sequence[Difference]) -> Message:
    compared = [difference for difference in found if difference.verdict != "unknown"]
    if not compared:
        return msg("No values could be compared.")
    if len(compared) < len(found):
        return msg("The values of {known} of {all} weights are equal; the others could not be compared.",
                   known=len(compared), all=len(found))  # fmt: skip
    worst = max(difference.max_absolute or 0.0 for difference in compared)
    if worst:
        return msgn("The values of {n} weight are equal (largest difference {difference}).",
                    "The values of all {n} weights are equal (largest difference {difference}).",
                    n=len(compared), difference=f"{worst:.2g}")  # fmt: skip
    return msgn("The values of {n} weight are equal.", "The values of all {n} weights are equal.", n=len(compared))
