"""What a pickle could do when loaded, as `Danger`s: its globals, its oddities, pickles hidden in its strings.

Knows pickle traces and the list of known names; no container.
"""

from __future__ import annotations

import re

import msgspec

from service.catalog.pickle_nested import NESTED_DEPTH, Budget, among_junk, budget_for, hidden, sequence
from service.catalog.torch_globals import REFERENCE, judge
from service.config import Limits
from service.language import msg
from service.parsers.pickle_types import Trace
from service.source import Source
from service.tree import Danger, Severity

MAX_LISTED = 200
"""Most dangers of one pickle listed one by one."""

_ODDITIES: dict[str, tuple[Severity, str | None]] = {
    "pickle_computed_call": ("high", None),
    "pickle_computed_global": ("high", None),
    "pickle_type_confusion": ("high", "CVE-2026-24747"),
    "pickle_extension": ("high", None),
    "pickle_frame": ("high", None),
    "pickle_leftovers": ("medium", None),
    "pickle_persistent_id": ("high", None),
    "pickle_allocation": ("medium", None),
    "pickle_memo": ("medium", None),
}


def dangers_alone(trace: Trace, source: Source, limits: Limits, member: str | None) -> list[Danger]:
    """As `dangers_of`, for a pickle that should be alone in `source`: with those of what follows it."""
    found = dangers_of(trace, source, limits, member)
    return found if trace.broken is not None else [*found, *trailing(source, trace.end, limits, member)]


def dangers_of(trace: Trace, source: Source, limits: Limits, member: str | None) -> list[Danger]:
    """Everything in one pickle of `source` that could run code when loaded, worst kinds first as they occur."""
    return [*_of_trace(trace, member), *_nested(trace, source, limits, member, budget_for(source))]


def _of_trace(trace: Trace, member: str | None) -> list[Danger]:
    judged = [danger for use in trace.uses.values() if (danger := judge(use, member)) is not None]
    judged.sort(key=lambda danger: (_RANK[danger.severity], danger.offset or 0))
    found = judged[:MAX_LISTED]
    if len(judged) > MAX_LISTED:
        rest = msg("{count} further names would be imported or called.", count=len(judged) - MAX_LISTED)
        found.append(Danger(code="pickle_global", severity=judged[MAX_LISTED].severity, what=rest, member=member))
    for odd in trace.oddities:
        severity, reference = _ODDITIES[odd.code]
        found.append(
            Danger(
                code=odd.code,
                severity=severity,
                what=odd.what,
                member=member,
                offset=odd.offset,
                reference=reference or REFERENCE,
            )
        )
    return found


_RANK: dict[Severity, int] = {"critical": 0, "high": 1, "medium": 2, "low": 3, "info": 4}


def is_serious(dangers: list[Danger]) -> bool:
    """Whether any of them could run code the file's author chose."""
    return any(danger.severity in ("critical", "high") for danger in dangers)


# Pickles inside strings


def _nested(
    trace: Trace, source: Source, limits: Limits, member: str | None, budget: Budget, depth: int = NESTED_DEPTH
) -> list[Danger]:
    """Dangers of pickles hidden in the strings of a pickle, as they are, encoded or compressed."""
    found: list[Danger] = []
    for offset, inner in hidden(trace, source, budget):
        if len(found) >= MAX_LISTED:
            break
        for nested in sequence(inner, 0, limits, budget):
            inside = believed(nested, member)
            if depth > 1:
                inside.extend(_nested(nested, inner, limits, member, budget, depth - 1))
            found.extend(_within(danger, offset) for danger in inside)
    if budget.cut and depth == NESTED_DEPTH:
        what = msg("More strings look as pickles do than are looked into; what the rest would run is not known.")
        found.append(Danger(code="pickle_unsearched", severity="high", what=what, member=member, offset=trace.end))
    return found


def believed(trace: Trace, member: str | None) -> list[Danger]:
    """Dangers of what may be a pickle. Where it breaks off, which other bytes do, only what it names and would run."""
    found = _of_trace(trace, member)
    if trace.broken is None:
        return found
    return [one for one in found if one.severity in ("critical", "high") and _NAME.match(one.detail or "")]


_NAME = re.compile(r"[A-Za-z_][\w.]*\.[A-Za-z_][\w.]*\Z", re.ASCII)


def _within(danger: Danger, offset: int) -> Danger:
    return msgspec.structs.replace(
        danger, what=msg("In a pickle hidden in a string: {what}", what=danger.what), offset=offset
    )


# What follows the pickle


def trailing(source: Source, end: int, limits: Limits, member: str | None) -> list[Danger]:
    """Dangers of whatever lies behind the STOP of a pickle that should be alone in its member."""
    if end >= source.size:
        return []
    what = msg("{count} bytes follow the end of the pickle; a loader would not look at them.", count=source.size - end)
    found = [Danger(code="pickle_trailing", severity="medium", what=what, member=member, offset=end)]
    budget, reached = budget_for(source), end
    for trace in sequence(source, end, limits, budget):
        found.extend(believed(trace, member))
        found.extend(_nested(trace, source, limits, member, budget))
        reached = trace.end if trace.broken is None else reached
    for trace in among_junk(source, reached, limits, budget):
        found.extend(believed(trace, member))
    return found
