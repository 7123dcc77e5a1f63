"""Findings on whether the bytes of the arrays are all there, once each, where the file says; knows extents, no format.

A structure that cannot be read at all is an error; one that can, with arrays missing, cut off or in each other's way,
is described, and the answer says exactly which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from service.language import Message, msg
from service.plain import text
from service.tree import Finding, Severity

MAX_LISTED = 50
"""Most findings of one rule that are listed one by one; one more says how many there are beside."""


class Extent(NamedTuple):
    """The bytes `begin` to `end` of `member` that an array is said to have."""

    name: str
    begin: int
    end: int


def check_extents(
    extents: Sequence[Extent], size: int, *, member: str | None = None, holes: bool = True, alignment: int = 1
) -> list[Finding]:
    """Findings of rules data_past_end, data_overlap and data_hole on arrays in a region of `size` bytes.

    Args:
        extents: Of all arrays in the region, in any order, relative to its start.
        size: Bytes that are there.
        member: The file or archive member, for the sentences.
        holes: Whether the format forbids bytes that belong to no array.
        alignment: Gaps shorter than this are padding.
    """
    ordered = sorted(extents, key=lambda one: (one.begin, one.end))
    found = {
        "data_past_end": [_past(one, size, member) for one in ordered if one.end > size],
        "data_overlap": list(_overlaps(ordered, member)),
        "data_hole": list(_holes(ordered, size, member, alignment)) if holes else [],
    }
    return [finding for rule, findings in found.items() for finding in listed(rule, findings)]


def listed(rule: str, findings: Sequence[Finding]) -> list[Finding]:
    """The first of many findings of one rule, and one that counts the rest."""
    kept = list(islice(findings, MAX_LISTED))
    rest = len(findings) - len(kept)
    if rest:
        kept.append(Finding(rule=rule, severity=kept[0].severity, what=msg("And {rest} more like these.", rest=rest)))
    return kept


def truncated(needed: int, size: int, member: str | None = None) -> Finding:
    """The file ends before its arrays do."""
    return Finding(
        rule="data_truncated",
        severity="high",
        path=member,
        what=msg(
            "The arrays need {needed} bytes, but only {size} are there: the file was cut off or is still being "
            "downloaded.",
            needed=needed,
            size=size,
        ),
        action=msg("Compare its size with the original's and download it again."),
    )


def wrong_size(name: str, declared: int, expected: int) -> Finding:
    """An array whose stored bytes do not fit its shape and element type."""
    return Finding(
        rule="data_wrong_size",
        severity="high",
        path=text(name),
        what=msg(
            "{name} has {declared} bytes; its shape and element type need {expected}.",
            name=text(name, 200),
            declared=declared,
            expected=expected,
        ),
    )


def declared_differs(what: Message, declared: int, counted: int, *, severity: Severity = "medium") -> Finding:
    """A number that the file or its index states and that is not what was counted; `what` names it."""
    return Finding(
        rule="declared_mismatch",
        severity=severity,
        what=msg(
            "{what}: {declared} is declared, {counted} were counted.", what=what, declared=declared, counted=counted
        ),
        why=msg("The files come from different versions of the model, or the statement was never updated."),
    )


def _past(one: Extent, size: int, member: str | None) -> Finding:
    return Finding(
        rule="data_past_end",
        severity="high",
        path=text(one.name),
        what=msg(
            "{name} lies at bytes {begin} to {end} of {member}, but its data ends at {size}.",
            name=text(one.name, 200), begin=one.begin, end=one.end, member=_name(member), size=size,
        ),
    )  # fmt: skip


def _overlaps(ordered: Sequence[Extent], member: str | None) -> Iterable[Finding]:
    last: Extent | None = None
    for one in ordered:
        if last is not None and one.begin < last.end and one.end > one.begin:
            yield Finding(
                rule="data_overlap",
                severity="high",
                path=text(one.name),
                what=msg(
                    "{name} and {other} share bytes {begin} to {end} of {member}.",
                    name=text(one.name, 200), other=text(last.name, 200), begin=one.begin,
                    end=min(one.end, last.end), member=_name(member),
                ),
            )  # fmt: skip
        if last is None or one.end > last.end:
            last = one


def _holes(ordered: Sequence[Extent], size: int, member: str | None, alignment: int) -> Iterable[Finding]:
    at = 0
    for begin, end in [*((one.begin, one.end) for one in ordered), (size, size)]:
        if begin - at >= max(alignment, 1):
            yield Finding(
                rule="data_hole",
                severity="low",
                what=msg(
                    "Bytes {begin} to {end} of {member} belong to no array.", begin=at, end=begin, member=_name(member)
                ),
            )
        at = max(at, end)


def _name(member: str | None) -> Message | str:
    return msg("the file") if member is None else text(member, 200)
