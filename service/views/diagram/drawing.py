"""Puts frames within frames: sizes from the inside out, places from the outside in; knows layout and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from service.translation import Say
from service.views.diagram.boxes import Box
from service.views.diagram.columns import in_columns
from service.views.diagram.edges import Edge
from service.views.diagram.labels import FRAME_HEAD, label
from service.views.diagram.layout import Placed, layout
from service.views.diagram.scene import Scene

_BORDER = 14.0
IN, OUT = 0, 1 << 60
"""Numbers of the points where lines enter and leave a frame: before and after all boxes."""


class Spot(NamedTuple):
    """A box and where it lies."""

    box: Box
    x: float
    y: float
    width: float
    height: float


class Drawing(NamedTuple):
    """Everything with its final coordinates: frames from the outside in, boxes without content, lines."""

    frames: list[Spot]
    leaves: list[Spot]
    lines: list[tuple[Edge, list[tuple[float, float]]]]
    width: float
    height: float


def draw(scene: Scene, say: Say) -> Drawing:
    """Coordinates for all of a scene."""
    placed: dict[int, Placed] = {}
    _measure(scene.boxes, 0, scene, say, placed)
    whole = placed[0] = in_columns(placed[0])
    drawing = Drawing([], [], [], whole.width, whole.height)
    _collect(scene.boxes, 0, 0.0, 0.0, placed, drawing)
    return drawing


def _measure(boxes: Sequence[Box], frame: int, scene: Scene, say: Say, placed: dict[int, Placed]) -> Placed:
    """Lay out a frame after the frames within it; depth is bounded by that of blocks."""
    sizes: dict[int, tuple[float, float]] = {}
    for box in boxes:
        text = label(box, say)
        if box.boxes:
            inner = _measure(box.boxes, box.id, scene, say, placed)
            width = max(inner.width + 2 * _BORDER, text.width)
            sizes[box.id] = (width, inner.height + FRAME_HEAD + (0.0 if scene.frame(box.id).exits else _BORDER))
        else:
            sizes[box.id] = (text.width, text.height)
    edges = scene.edges(frame)
    held = scene.frame(frame)
    if frame:
        sizes |= ({IN: (1.0, 0.0)} if held.entries else {}) | ({OUT: (1.0, 0.0)} if held.exits else {})
        known = all(edge.known for edge in edges)
        edges += [Edge(IN, one, known) for one in held.entries] + [Edge(one, OUT, known) for one in held.exits]
    placed[frame] = layout(sizes, edges)
    return placed[frame]


def _collect(boxes: Sequence[Box], frame: int, x: float, y: float, placed: dict[int, Placed], drawing: Drawing) -> None:
    inside = placed[frame]
    for edge, points in inside.lines:
        drawing.lines.append((edge, [(x + at_x, y + at_y) for at_x, at_y in points]))
    for box in boxes:
        place = inside.places[box.id]
        spot = Spot(box, x + place.x, y + place.y, place.width, place.height)
        if box.boxes:
            drawing.frames.append(spot)
            within = placed[box.id]
            left = spot.x + (spot.width - within.width) / 2
            _collect(box.boxes, box.id, left, spot.y + FRAME_HEAD, placed, drawing)
        else:
            drawing.leaves.append(spot)
