"""What a pickle could do when loaded, as `Danger`s: its globals, its oddities, pickles hidden in its strings.

Knows pickle traces and the list of known names; no container.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

import msgspec

from service.catalog.torch_globals import REFERENCE, judge
from service.config import Limits
from service.language import msg
from service.parsers.pickle_opcodes import run
from service.parsers.pickle_types import Blob, Trace
from service.source import BytesSource, Source, WindowSource
from service.tree import Danger, Severity

MAX_LISTED = 200
"""Most dangers of one pickle listed one by one."""
NESTED_DEPTH = 3
_NESTED_TRIES = 200
_NESTED_OPCODES = 200_000
_PICKLES_IN_A_ROW = 20

_ODDITIES: dict[str, tuple[Severity, str | None]] = {
    "pickle_computed_call": ("high", None),
    "pickle_computed_global": ("high", None),
    "pickle_type_confusion": ("high", "CVE-2026-24747"),
    "pickle_extension": ("high", None),
    "pickle_frame": ("high", None),
    "pickle_leftovers": ("medium", None),
}
_BASE64 = re.compile(r"(?:gA[IJKLMNOPQRSTUVWXYZ]|Y|K|I|X|l|b)[A-Za-z0-9+/\s]{20,}={0,2}\s*\Z")
_HEX = re.compile(r"(?:800[2-5]|63|28)(?:[0-9a-fA-F]{2}){10,}\Z")
_OLD_PICKLE = re.compile(rb"\(*(?:c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n|i[A-Za-z_][\w.]*\n)")


def dangers_alone(trace: Trace, source: Source, limits: Limits, member: str | None) -> list[Danger]:
    """As `dangers_of`, for a pickle that should be alone in `source`: with those of what follows it."""
    found = dangers_of(trace, source, limits, member)
    return found if trace.broken is not None else [*found, *trailing(source, trace.end, limits, member)]


def dangers_of(trace: Trace, source: Source, limits: Limits, member: str | None) -> list[Danger]:
    """Everything in one pickle of `source` that could run code when loaded, worst kinds first as they occur."""
    return [*_of_trace(trace, member), *_nested(trace, source, limits, member, NESTED_DEPTH)]


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


def _nested(trace: Trace, source: Source, limits: Limits, member: str | None, depth: int) -> list[Danger]:
    """Dangers of pickles hidden in the strings of a pickle, as they are, in base64 or in hex."""
    found: list[Danger] = []
    small = msgspec.structs.replace(limits, pickle_opcodes=min(_NESTED_OPCODES, limits.pickle_opcodes))
    for tries, (offset, inner) in enumerate(_hidden(trace, source)):
        if tries >= _NESTED_TRIES or len(found) >= MAX_LISTED:
            break
        for nested in _sequence(inner, 0, small):
            inside = _of_trace(nested, member)
            if depth > 1:
                inside.extend(_nested(nested, inner, limits, member, depth - 1))
            if nested.broken is None or is_serious(inside):
                found.extend(_within(danger, offset) for danger in inside)
    return found


def _sequence(source: Source, start: int, limits: Limits) -> Iterator[Trace]:
    """Pickles one behind the other, up to the first that breaks."""
    for _ in range(_PICKLES_IN_A_ROW):
        if start >= source.size:
            return
        trace = run(source, start, limits)
        yield trace
        if trace.broken is not None:
            return
        start = trace.end


def _hidden(trace: Trace, source: Source) -> Iterator[tuple[int, Source]]:
    for offset, value in trace.texts:
        if isinstance(value, Blob):
            window = WindowSource(source, value.offset, value.length)
            if not value.is_text and _starts_pickle(window.read_at(0, min(64, window.size))):
                yield offset, window
            continue
        data = value if isinstance(value, bytes) else _decoded(value)
        if isinstance(value, bytes) and data is not None and not _starts_pickle(data):
            data = _decoded(value.decode("latin-1"))
        if data is not None and _starts_pickle(data):
            yield offset, BytesSource(data, source.meter)


def _decoded(value: str) -> bytes | None:
    try:
        if _HEX.match(value):
            return bytes.fromhex(value)
        if _BASE64.match(value):
            return base64.b64decode(value)
    except (ValueError, binascii.Error):
        return None
    return value.encode("latin-1", "replace") if _OLD_PICKLE.match(value.encode("latin-1", "replace")) else None


def _starts_pickle(data: bytes) -> bool:
    return (data[:1] == b"\x80" and data[1:2] in b"\x02\x03\x04\x05" and len(data) > 2) or bool(_OLD_PICKLE.match(data))


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
    for trace in _sequence(source, end, limits):
        found.extend(_of_trace(trace, member))
    return found
