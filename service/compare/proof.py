"""What the values of two models have in common, in words; knows verdicts and problems, no arrays.

Across frameworks the question is whether one is a conversion of the other; within one, what has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from service.compare.causes import named
from service.comparisons import Difference, LayerPair, Problem, WeightPair
from service.language import Message, msg, msgn, sentences

TOLD = 3
"""Most causes or problems that the summary tells; all are in the lists."""
ALIKE = 0.9
"""Cosine similarity from which two weights are alike: independent ones of some hundred numbers stay below 0.3."""
Compared = tuple[LayerPair, WeightPair, Difference]


def proved(
    said: Message, layers: Iterable[LayerPair], problems: Sequence[Problem], unexplained: int, *,
    converted: bool, apart: bool,
) -> Message:  # fmt: skip
    """The summary with what the numbers show: mistakes come first, a proof comes last.

    Two versions in one framework (not `converted`) may well hold other numbers: that is told last, and is no mistake.
    Neither is it where most numbers are others (`apart`): these are two models.
    """
    found = [(pair, weight, weight.difference) for pair in layers for weight in pair.weights if weight.difference]
    if problems:
        return sentences(_mistakes(problems, converted=converted), _different(unexplained), said)
    if unexplained and not converted:
        return sentences(said, *_changed(found))
    if apart:
        return sentences(_two(found), said)
    if unexplained:
        return sentences(_unknown(unexplained), said)
    return sentences(said, _equal([difference for *_, difference in found]))


def _mistakes(problems: Sequence[Problem], *, converted: bool) -> Message:
    told = sentences(*(problem.text for problem in problems[:TOLD]))
    more = len(problems) - TOLD
    lead = (
        msgn("The conversion is wrong in one place: {mistakes}", "The conversion is wrong in {n} places: {mistakes}",
             n=len(problems), mistakes=told)
        if converted
        else msgn("The values differ in a known way in one place: {mistakes}",
                  "The values differ in a known way in {n} places: {mistakes}", n=len(problems), mistakes=told)
    )  # fmt: skip
    rest = msgn("There is {n} more mistake.", "There are {n} more mistakes.", n=more) if more > 0 else None
    return sentences(lead, rest)


def _different(count: int) -> Message | None:
    if not count:
        return None
    return msgn("{n} more weight differs, and no known mistake explains it.",
                "{n} more weights differ, and no known mistake explains them.", n=count)  # fmt: skip


def _unknown(count: int) -> Message:
    return msgn("The values of {n} weight differ, and no known mistake of a conversion explains it.",
                "The values of {n} weights differ, and no known mistake of a conversion explains them.",
                n=count)  # fmt: skip


def _two(found: Sequence[Compared]) -> Message:
    """Two models that are no conversion of one another."""
    differ, known = _differing(found), _known(found)
    cosine = _typical(differ)
    if cosine is not None and cosine >= ALIKE:
        return msg(
            "These are two models of one structure whose values are alike but not the same, as when one was trained"
            " further: {count} of {all} weights differ (typical cosine similarity {cosine}).",
            count=len(differ), all=known, cosine=_figure(cosine),
        )  # fmt: skip
    return msg(
        "These are two models of one structure with different values, not a conversion of one another: {count} of {all}"
        " weights differ (typical cosine similarity {cosine}).",
        count=len(differ), all=known, cosine="?" if cosine is None else f"{cosine:.2f}",
    )  # fmt: skip


def _changed(found: Sequence[Compared]) -> Iterator[Message]:
    """Two versions of one model: how many weights changed, how much, and in which layers."""
    differ, known = _differing(found), _known(found)
    cosine = _typical(differ)
    if cosine is None:
        yield msg("The values of {count} of {all} weights changed.", count=len(differ), all=known)
    else:
        yield msg("The values of {count} of {all} weights changed (typical cosine similarity {cosine}).",
                  count=len(differ), all=known, cosine=_figure(cosine))  # fmt: skip
    yield from _largest(differ)
    if len(differ) < known:
        paths = dict.fromkeys(_path(pair) for pair, *_ in differ)
        same = dict.fromkeys(_path(pair) for pair, *_ in found if _path(pair) not in paths)
        yield msg("Changed: {layers}.", layers=named(paths))
        if same:
            yield msg("Unchanged: {layers}.", layers=named(same))


def _largest(differ: Sequence[Compared]) -> Iterator[Message]:
    finite = [each for each in differ if each[2].max_absolute is not None]
    if finite:
        pair, weight, difference = max(finite, key=lambda each: each[2].max_absolute or 0.0)
        yield msg("The largest change is {change}, in {weight} of {layer}.", change=f"{difference.max_absolute:.2g}",
                  weight=weight.left[0] if weight.left else "", layer=_path(pair))  # fmt: skip


def _path(pair: LayerPair) -> str:
    return pair.left or pair.right or ""


def _differing(found: Sequence[Compared]) -> list[Compared]:
    return [each for each in found if each[2].verdict == "different"]


def _known(found: Sequence[Compared]) -> int:
    return sum(difference.verdict != "unknown" for *_, difference in found)


def _typical(found: Sequence[Compared]) -> float | None:
    cosines = [difference.cosine for *_, difference in found if difference.cosine is not None]
    return median(cosines) if cosines else None


def _figure(cosine: float) -> str:
    """With as many digits as it takes to tell it from one."""
    return next((text for digits in range(2, 8) if float(text := f"{cosine:.{digits}f}") < 1), "1")


def _equal(found: Sequence[Difference]) -> Message:
    compared = [difference for difference in found if difference.verdict != "unknown"]
    if not compared:
        return msg("No values could be compared.")
    if len(compared) < len(found):
        return msg("The values of {known} of {all} weights are equal; the others could not be compared.",
                   known=len(compared), all=len(found))  # fmt: skip
    worst = max(difference.max_absolute or 0.0 for difference in compared)
    if any(difference.verdict == "close" for difference in compared):
        return msgn("The values of {n} weight are equal up to rounding (largest difference {difference}).",
                    "The values of all {n} weights are equal up to rounding (largest difference {difference}).",
                    n=len(compared), difference=f"{worst:.2g}")  # fmt: skip
    return msgn("The values of {n} weight are equal.", "The values of all {n} weights are equal.", n=len(compared))
