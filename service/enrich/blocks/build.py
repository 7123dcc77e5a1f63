"""Fills `Model.blocks`: the layers as a person takes them together. Knows parts and what a framework counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from service.blocks import Block
from service.enrich.blocks.limiting import limited
from service.enrich.blocks.parts import Part, Table, positions
from service.enrich.blocks.titles import title
from service.enrich.blocks.tree import COARSE, parts_of
from service.enrich.counts import PARAMETER_GROUPS, add
from service.enrich.likeness import Alike, alike
from service.frameworks import conventions
from service.tree import Group, Layer, Model, Weight

_LEVELS = ((5_000, 6), (COARSE, 3))
_LEAST_LEVELS = 2
"""(layers, levels of blocks written for up to so many): what lies deeper is listed by its layers only, so that blocks
never outweigh the layers themselves."""
_MOST_NAMED = 100
"""Occurrences of one repeat that are named."""


def add_blocks(model: Model, sorts: Alike | None = None) -> Model:
    """`model` with `blocks`; `sorts` of its layers.

    Every layer but a container without weights of its own is in exactly one of them. About n log n in layers;
    parameters of the blocks add up to what the model's framework counts, unless a size is unknown.
    """
    sorts = sorts or alike(model.layers)
    parts, table, opened = parts_of(model, sorts)
    writer = _Writer(model.layers, _counted(model, sorts), table, opened)
    levels = next((levels for layers, levels in _LEVELS if len(model.layers) <= layers), _LEAST_LEVELS)
    return msgspec.structs.replace(model, blocks=writer.blocks(parts, levels))


def _counted(model: Model, sorts: Alike) -> list[int | None]:
    """What each layer adds to the framework's count; Keras counts statistics too, a tied weight counts once."""
    groups: tuple[Group, ...] = (
        PARAMETER_GROUPS if conventions(model.info.framework) == "torch" else (*PARAMETER_GROUPS, "statistic")
    )
    counted = [_elements(layer.weights, groups) for layer, _ in sorts.sorts(model.layers)]
    return [counted[sort] for sort in sorts.numbers]


def _elements(weights: Sequence[Weight], groups: Sequence[Group]) -> int | None:
    """Elements of a layer's weights in `groups`, but for those that are counted elsewhere; None if one is unknown."""
    total = 0
    for weight in weights:
        if weight.tied_to is None and weight.group in groups:
            if weight.count is None:
                return None
            total += weight.count
    return total


class _Writer(NamedTuple):
    """Writes parts as blocks."""

    layers: Sequence[Layer]
    counted: Sequence[int | None]
    table: Table
    opened: Callable[[Part], Part]

    def blocks(self, parts: Sequence[Part], levels: int) -> tuple[Block, ...]:
        """The blocks of one list, no longer than a person reads, and `levels` of what they consist of."""
        shown = limited(parts, self.table)
        names = _unique([part.name for part in shown])
        return tuple(self.block(part, name, levels) for part, name in zip(shown, names, strict=True))

    def block(self, part: Part, name: str, levels: int) -> Block:
        """One block; of a repeat, what its first occurrence consists of."""
        part = self.opened(part)
        first = part.parts[0] if part.kind == "repeat" else part
        inner = first.parts if first.kind != "repeat" else (first,)
        return Block(
            name=name,
            kind=part.kind,
            title=title(part, self.layers),
            layers=tuple(self.layers[at].path for at in sorted(positions(first))),
            repeats=len(part.parts) if part.kind == "repeat" else 1,
            occurrences=tuple(one.name for one in part.parts[:_MOST_NAMED]) if part.kind == "repeat" else (),
            parameters=add(self.counted[at] for at in positions(part)),
            blocks=self.blocks(inner, levels - 1) if levels > 1 else (),
        )


def _unique(names: Sequence[str]) -> list[str]:
    """Names with a number behind those that occurred before."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
