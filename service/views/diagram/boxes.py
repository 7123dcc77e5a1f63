"""What a diagram shows: boxes within boxes, from a report's blocks or layers; knows no graph, no layout, no markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from service.enrich.blocks.build import add_blocks
from service.enrich.blocks.titles import WORDS
from service.language import Message, msg, verbatim
from service.tree import Block, Layer, Model, Report, Shape
from service.views.diagram.categories import category, category_of
from service.views.rows import layer_count

Level = Literal["block", "layer"]

MOST_LAYERS = 400
"""Boxes of single layers that one picture holds; above it repeats are folded, then blocks are shown."""
MOST_BLOCKS = 40
"""Boxes up to which blocks are opened, level by level."""


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """One box. `boxes` is what it holds, if it is drawn as a frame; of a repeat, one occurrence.

    Attributes:
        id: Its number in this diagram; 0 is the whole.
        name: Shortened to what is not said by the frame around it.
        path: The full name.
        title: What it is.
        layers: Paths of the layers it stands for.
        parameters: What the framework counts in all occurrences; None if unknown.
        shape: Shape of what it gives, None if unknown.
        category: See `categories.CATEGORIES`.
        times: How often it occurs in a row.
    """

    id: int
    name: str
    path: str
    title: Message
    layers: tuple[str, ...]
    parameters: int | None
    shape: Shape | None
    category: str
    times: int = 1
    boxes: tuple[Box, ...] = ()


class Content(NamedTuple):
    """The outermost boxes and what has to be said about them."""

    boxes: tuple[Box, ...]
    notes: tuple[Message, ...]


class _Maker:
    """Makes boxes and numbers them."""

    def __init__(self, report: Report) -> None:
        self.framework = report.model.framework
        self.layers = {layer.path: layer for layer in report.layers}
        self.number = 0

    def of_block(self, block: Block, levels: int, prefix: str, *, single: bool) -> Box:
        """A block, opened `levels` deep; `single` opens groups into their layers, too."""
        self.number += 1
        number = self.number
        within = block.occurrences[0] if block.occurrences else block.name
        inner: tuple[Box, ...] = ()
        if levels > 0 and block.blocks:
            inner = tuple(self.of_block(one, levels - 1, within, single=single) for one in block.blocks)
        elif single and levels > 0 and len(block.layers) > 1:
            inner = tuple(self.of_layer(self.layers[path], within) for path in block.layers if path in self.layers)
        held = [self.layers[path] for path in block.layers if path in self.layers]
        return Box(
            id=number,
            name=_short(block.name, prefix),
            path=block.name,
            title=_once(block),
            layers=block.layers,
            parameters=block.parameters,
            shape=_last_shape(held),
            category=category_of(block.kind, held),
            times=block.repeats,
            boxes=inner,
        )

    def of_layer(self, layer: Layer, prefix: str = "") -> Box:
        """A single layer."""
        self.number += 1
        return Box(
            id=self.number,
            name=_short(layer.path, prefix),
            path=layer.path,
            title=verbatim(layer.type) if layer.type else Message(WORDS.get(layer.kind, WORDS["unknown"])),
            layers=(layer.path,),
            parameters=layer_count(layer, self.framework),
            shape=_last_shape([layer]),
            category=category(layer.kind).id,
        )


def content(report: Report, level: Level, most: int = MOST_LAYERS) -> Content:
    """The boxes of a report at a level; with more than `most` single layers, folded or by blocks, and it says so."""
    if level == "block":
        return Content(_by_block(report), ())
    leaves = _leaves(report)
    if len(leaves) <= most:
        maker = _Maker(report)
        return Content(tuple(maker.of_layer(layer) for layer in leaves), ())
    folded = _opened(report, 99, single=True)
    if _count(folded) <= most:
        note = msg("{layers} layers are more than one picture holds: what repeats is shown once.", layers=len(leaves))
        return Content(folded, (note,))
    note = msg("{layers} layers are more than one picture holds: blocks are shown instead.", layers=len(leaves))
    return Content(_by_block(report), (note,))


def _by_block(report: Report) -> tuple[Box, ...]:
    """Blocks, opened as many levels as keep the picture readable."""
    found = _opened(report, 0, single=False)
    for levels in range(1, 8):
        deeper = _opened(report, levels, single=False)
        if _count(deeper) > MOST_BLOCKS or (levels > 1 and _count(deeper) == _count(found)):
            break
        found = deeper
    return found


def _opened(report: Report, levels: int, *, single: bool) -> tuple[Box, ...]:
    maker = _Maker(report)
    return tuple(maker.of_block(block, levels, "", single=single) for block in _blocks(report))


def _blocks(report: Report) -> Sequence[Block]:
    """The report's blocks; found now for a report that was stored before there were any."""
    return report.blocks or add_blocks(Model(info=report.model, layers=report.layers)).blocks


def _count(boxes: Sequence[Box]) -> int:
    return sum(_count(box.boxes) if box.boxes else 1 for box in boxes)


def _leaves(report: Report) -> list[Layer]:
    parents = {layer.parent for layer in report.layers}
    return [layer for layer in report.layers if layer.weights or layer.path not in parents]


def _once(block: Block) -> Message:
    """What one occurrence is: that it repeats is shown beside it."""
    if block.kind != "repeat":
        return block.title
    found = dict(block.title.args).get("what")
    return found if isinstance(found, Message) else block.title


def _short(name: str, prefix: str) -> str:
    """`conv1` for `layer1.0.conv1` within `layer1.0`."""
    rest = name[len(prefix) + 1 :]
    return rest if prefix and rest and name.startswith((f"{prefix}.", f"{prefix}/")) else name


def _last_shape(layers: Sequence[Layer]) -> Shape | None:
    shapes = next((layer.output_shapes for layer in reversed(layers) if layer.output_shapes), None)
    return shapes[0] if shapes else None
