"""Layers taken together while blocks are found; knows positions of layers, neither what a layer is nor its sentences.

A part keeps every occurrence of a repeat; a `Block` is written from it at the end.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Literal

import msgspec

PartKind = Literal["layer", "group", "branches", "stage", "repeat"]

Table = dict[Hashable, int]
"""Numbers given to signatures in order of appearance, so that equal structures compare as equal numbers."""


class Part(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Some layers taken as one.

    Attributes:
        kind: As in `Block`.
        name: Path of the layer or container it is named after.
        own: Positions in `Model.layers` of the layers that are in none of `parts`.
        parts: What it consists of; of a repeat, all its occurrences.
        mark: Equal for parts of equal structure: kinds, weight shapes, order.
        loose: Equal for parts of the same kinds of layers, whatever their sizes.
        size: Number of its layers.
        weighty: Whether any of them holds weights.
        stem: Steps of the names that all its layers begin with; None where the framework made the names up.
        type: Class of the container it stands for.
        follows: Whether it is known to run after the part before it: only such parts are "in a row".
        closed: Position of the container that it stands for, where that was not taken apart; None of all others.
    """

    kind: PartKind
    name: str
    mark: int
    loose: int
    size: int
    weighty: bool
    own: tuple[int, ...] = ()
    parts: tuple[Part, ...] = ()
    stem: tuple[str, ...] | None = None
    type: str | None = None
    follows: bool = True
    closed: int | None = None


def number(table: Table, signature: Hashable) -> int:
    """The number of a signature."""
    return table.setdefault(signature, len(table))


def together(kind: PartKind, name: str, parts: Sequence[Part], table: Table, type_: str | None = None) -> Part:
    """Several parts as one."""
    return Part(
        kind=kind,
        name=name,
        mark=number(table, (kind, type_, tuple(part.mark for part in parts))),
        loose=number(table, (kind, "loose", tuple(part.loose for part in parts))),
        size=sum(part.size for part in parts),
        weighty=any(part.weighty for part in parts),
        parts=tuple(parts),
        stem=common_stem(part.stem for part in parts),
        type=type_,
        follows=parts[0].follows,
    )


def common_stem(stems: Iterable[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """The steps that all begin with; None if there are only made-up names."""
    common: tuple[str, ...] | None = None
    for stem in stems:
        if stem is None or stem == common:
            continue
        common = stem if common is None else common[: _agreeing(common, stem)]
    return common


def _agreeing(left: Sequence[str], right: Sequence[str]) -> int:
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count


def positions(part: Part) -> Iterator[int]:
    """Positions of all its layers, of every occurrence."""
    waiting = [part]
    while waiting:
        at = waiting.pop()
        yield from at.own
        waiting.extend(reversed(at.parts))
