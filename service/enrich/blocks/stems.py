"""Puts parts into stages by the numbered stems of their names: `conv3_block2_1`, `conv3_block2_2` -> `conv3_block2`.

Knows names and order. A framework's own names (`conv2d_3`) say nothing and go with what surrounds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

from service.enrich.blocks.names import has_number
from service.enrich.blocks.parts import Part, Table, together
from service.enrich.blocks.repeats import fold, stage_name

_MOST_STEPS = 6

Stem = tuple[str, ...] | None


def staged(parts: Sequence[Part], table: Table, depth: int = 1) -> list[Part]:
    """`parts` with neighbours of one numbered stem in one stage, stages within stages; each list folded."""
    deepest = max((_numbered_steps(part.stem) for part in parts if part.stem), default=0)
    for steps in range(depth, min(deepest, _MOST_STEPS) + 1):
        slices = list(_slices(parts, steps))
        if len({stem for stem, _, _ in slices if stem}) >= 2:
            return fold([_one(parts[start:end], table, steps) for start, end in _whole(slices)], table)
    return fold(parts, table)


def _one(parts: Sequence[Part], table: Table, steps: int) -> Part:
    if len(parts) == 1:
        return parts[0]
    return together("stage", stage_name([part for part in parts if part.stem]), staged(parts, table, steps + 1), table)


def _whole(slices: Sequence[tuple[Stem, int, int]]) -> Iterator[tuple[int, int]]:
    """Slices with a stem as they are, the others part by part."""
    for stem, start, end in slices:
        if stem:
            yield start, end
        else:
            yield from ((at, at + 1) for at in range(start, end))


def _slices(parts: Sequence[Part], steps: int) -> Iterator[tuple[Stem, int, int]]:
    """(stem, start, end) of neighbours whose names share the first `steps` steps, the last of which counts."""
    stems = _filled([_stem(part, steps) for part in parts])
    start = 0
    for at in range(1, len(parts) + 1):
        if at == len(parts) or stems[at] != stems[start]:
            yield stems[start], start, at
            start = at


def _stem(part: Part, steps: int) -> Stem:
    """None: the name says nothing. (): the name says that it belongs to no numbered stem."""
    if part.stem is None:
        return None
    stem = part.stem[:steps]
    return stem if len(stem) == steps and has_number(stem[-1]) else ()


@lru_cache(maxsize=4096)
def _numbered_steps(stem: tuple[str, ...]) -> int:
    """How many steps there are up to the last that counts something."""
    return max((at + 1 for at, step in enumerate(stem) if has_number(step)), default=0)


def _filled(stems: Sequence[Stem]) -> list[Stem]:
    """Names that say nothing take the stem that stands before and after them."""
    after: list[Stem] = [None] * (len(stems) + 1)
    for at in range(len(stems) - 1, -1, -1):
        after[at] = stems[at] if stems[at] is not None else after[at + 1]
    filled: list[Stem] = []
    before: Stem = None
    for at, stem in enumerate(stems):
        before = stem if stem is not None else (before if before == after[at] else ())
        filled.append(before)
    return filled
