"""The one sentence that a person can quote, and the notes; knows the finished parts of a comparison, no units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from service.compare.causes import named
from service.compare.changes import RETYPED
from service.compare.proof import TOLD
from service.comparisons import Cause, HyperParameter, LayerPair, Problem
from service.language import Message, msg, msgn, sentences

Counts = tuple[int | None, int | None, int | None]
"""What the left framework counts, right minus left, and what of that is not explained."""


def summary(
    counts: Counts,
    causes: Sequence[Cause],
    layers: Sequence[LayerPair],
    problems: Sequence[Problem],
    settings: Sequence[HyperParameter] = (),
) -> Message:
    """The gap and its causes, and whether anything else differs; `settings` that are not the same."""
    total, gap, unexplained = counts
    rest = _unexplained(unexplained), _rest(causes, layers, {problem.text for problem in problems}, settings)
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
    told = tuple(cause.text for cause in causes[:TOLD])
    more = len(causes) - len(told)
    lead = msg("These differences cancel out.") if gap == 0 else None
    rest = msgn("There is {n} more cause.", "There are {n} more causes.", n=more) if more else None
    return sentences(lead, *told, rest)


def _unexplained(unexplained: int | None) -> Message | None:
    return msg("{count} of it are not explained.", count=abs(unexplained)) if unexplained else None


def _rest(
    causes: Sequence[Cause], layers: Sequence[LayerPair], told_already: set[Message], settings: Sequence[HyperParameter]
) -> Message | None:
    """What differs beside the counts."""
    touched = {path for cause in causes if cause.code != "statistics_in_buffers" for path in cause.layers}
    changed = [pair for pair in layers if _otherwise(pair, told_already) and not {pair.left, pair.right} & touched]
    alone = [pair for pair in layers if pair.status in ("added", "removed") and not {pair.left, pair.right} & touched]
    renamed = sum(pair.status == "renamed" for pair in layers)
    parts = [
        _listed(changed, "changed"), _listed(alone, "alone"), *_retyped(layers),
        msgn("{n} layer has another name.", "{n} layers have other names.", n=renamed) if renamed else None,
    ]  # fmt: skip
    told = [part for part in parts if part is not None]
    if not settings:
        return sentences(*told) if told else msg("Everything else is equal.")
    shown = tuple(_settings(settings))
    if told:
        return sentences(*told, msg("These settings are not the same: {settings}.", settings=shown))
    return msg("Everything else is equal but for settings: {settings}.", settings=shown)


def _otherwise(pair: LayerPair, told_already: set[Message]) -> bool:
    """Whether a layer changed in a way that is not told elsewhere."""
    return any(text not in told_already and text.id != RETYPED for text in pair.changes)


def _retyped(layers: Sequence[LayerPair]) -> Iterator[Message]:
    """Other element types, each change of types once."""
    counts: dict[tuple[object, object], int] = {}
    for pair in layers:
        for text in pair.changes:
            if text.id == RETYPED:
                args = dict(text.args)
                types = args.get("left"), args.get("right")
                counts[types] = counts.get(types, 0) + 1
    for (left, right), count in list(counts.items())[:TOLD]:
        yield msgn("{n} layer holds {right} instead of {left}.", "{n} layers hold {right} instead of {left}.",
                   n=count, left=left, right=right)  # fmt: skip


def _settings(settings: Sequence[HyperParameter]) -> Iterator[Message]:
    """Each name once, with the values of its first layer."""
    by_name: dict[str, list[HyperParameter]] = {}
    for setting in settings:
        by_name.setdefault(setting.name, []).append(setting)
    for name, found in list(by_name.items())[:TOLD]:
        yield msg("{name} of {layers} ({left} and {right})", name=name, layers=named(each.left for each in found),
                  left=str(found[0].converted), right=str(found[0].right_value))  # fmt: skip
    more = len(by_name) - TOLD
    if more > 0:
        yield msgn("{n} more", "{n} more", n=more)


def _listed(pairs: Sequence[LayerPair], what: str) -> Message | None:
    if not pairs:
        return None
    names = named(pair.left or pair.right or "" for pair in pairs)
    if what == "changed":
        return msgn("{n} layer changed otherwise: {layers}.", "{n} layers changed otherwise: {layers}.",
                    n=len(pairs), layers=names)  # fmt: skip
    return msgn("{n} layer is in one model only: {layers}.", "{n} layers are in one model only: {layers}.",
                n=len(pairs), layers=names)  # fmt: skip
