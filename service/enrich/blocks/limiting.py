"""Keeps a list of parts short enough to read: what is alike in kind goes together, then neighbours; knows no layers."""

from __future__ import annotations

from collections.abc import Sequence

from service.enrich.blocks.names import pattern
from service.enrich.blocks.parts import Part, Table, together
from service.enrich.blocks.repeats import runs

MOST = 40
"""Lines of one list that a person reads without scrolling far."""


def limited(parts: Sequence[Part], table: Table) -> list[Part]:
    """At most `MOST` parts with the same layers in the same order."""
    found = list(parts)
    if len(found) > MOST:
        alike = _loosely(found, table)
        found = alike if len(alike) > 1 else found
    while len(found) > MOST:
        size = min(MOST, -(-len(found) // MOST))
        found = [_chunk(found[start : start + size], table) for start in range(0, len(found), size)]
    return found


def _loosely(parts: Sequence[Part], table: Table) -> list[Part]:
    """Runs of the same kinds of layers, sizes aside, put into one stage each."""
    found: list[Part] = []
    at = 0
    for run in runs([part.loose for part in parts]):
        found += parts[at : run.start]
        found += [_chunk(parts[run.start : run.end], table)]
        at = run.end
    return [*found, *parts[at:]]


def _chunk(parts: Sequence[Part], table: Table) -> Part:
    if len(parts) == 1:
        return parts[0]
    return together("stage", pattern([part.name for part in parts]), parts, table)
