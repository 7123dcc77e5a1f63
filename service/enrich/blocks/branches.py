"""Finds where paths split and join again: residual blocks, inception blocks, squeeze-and-excitation.

Knows who feeds whom among parts in topological order. Between two parts the graph can be cut where a single value
crosses; what lies between two such cuts and is more than one part is one block. Values that are taken by many from
afar, such as a mask, do not prevent a cut.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from service.enrich.blocks.names import has_number, split_path, stem_text
from service.enrich.blocks.parts import Part, Table, common_stem, together

_LARGEST = 48
"""A region of more parts is no block a person would name: a U-Net is one region from end to end."""
_MANY = 4
_FAR = 60
_DEEPEST = 3
"""Branches within branches: squeeze-and-excitation within an inverted residual block."""


def joined(
    parts: Sequence[Part],
    feeders: Sequence[Sequence[int]],
    free: Sequence[int | None],
    table: Table,
    depth: int = _DEEPEST,
) -> list[Part]:
    """`parts` with those that lie on branches put together up to where they join."""
    found: list[Part] = []
    previous = 0
    for start, end in regions(feeders, free):
        part = parts[start] if end - start == 1 else _branches(parts, feeders, (start, end), table, depth)
        follows = any(previous <= source < start for at in range(start, end) for source in feeders[at])
        found.append(part if part.follows is follows else msgspec.structs.replace(part, follows=follows))
        previous = start
    return found


def _branches(
    parts: Sequence[Part], feeders: Sequence[Sequence[int]], region: tuple[int, int], table: Table, depth: int
) -> Part:
    """One region. What it takes from outside counts as alive within it, except where branches join at its end."""
    start, end = region
    inner = parts[start:end]
    if depth > 1:
        takes: list[list[int]] = [
            [],
            *([max(source - start + 1, 0) for source in feeders[at]] for at in range(start, end)),
        ]
        takes[-1] = [source for source in takes[-1] if source]
        outside, *deeper = joined([inner[0], *inner], takes, [None] * len(takes), table, depth - 1)
        if outside is not None and len(deeper) > 1:
            inner = deeper
    return together("branches", _name(inner), inner, table)


def _name(parts: Sequence[Part]) -> str:
    """The stem of all names, the name of the join, or that of the first part with weights."""
    stem = common_stem(part.stem for part in parts)
    head = next((part for part in parts if part.weighty), parts[0])
    if stem and any(has_number(step) for step in stem):
        before, own = split_path(head.name)
        return f"{before}{stem_text(own, len(stem))}"
    return parts[-1].name if parts[-1].stem is not None else head.name


def regions(feeders: Sequence[Sequence[int]], free: Sequence[int | None]) -> list[tuple[int, int]]:
    """(start, end) of each run of parts that belongs together, in order, covering all.

    Args:
        feeders: For each part, the parts before it that feed it.
        free: For each part, from how many takers on what it gives does not prevent a cut: an input or a mask belongs
            to no block. None: always prevents one.

    Returns:
        Ranges of one part each, and of several where branches join at the last of them.
    """
    crossing = _crossing(feeders, free)
    found: list[tuple[int, int]] = []
    start = 0
    for end in range(1, len(feeders) + 1):
        if end == len(feeders) or crossing[end] <= 1:
            joins = len(feeders[end - 1]) > 1 and end - start <= _LARGEST
            found += [(start, end)] if joins else [(at, at + 1) for at in range(start, end)]
            start = end
    return found


def _crossing(feeders: Sequence[Sequence[int]], free: Sequence[int | None]) -> list[int]:
    """How many values cross the place before each part."""
    last, takers = list(range(len(feeders))), [0] * len(feeders)
    for at, sources in enumerate(feeders):
        for source in sources:
            if source < at:
                last[source] = at
                takers[source] += 1
    change = [0] * (len(feeders) + 2)
    for source, end in enumerate(last):
        far = takers[source] >= _MANY and end - source > _FAR
        limit = free[source]
        if end > source and not far and (limit is None or takers[source] < limit):
            change[source + 1] += 1
            change[end + 1] -= 1
    crossing, level = [], 0
    for step in change:
        level += step
        crossing.append(level)
    return crossing
