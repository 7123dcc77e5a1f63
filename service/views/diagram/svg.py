"""A diagram as SVG: one self-contained file that reads in the light and in the dark; knows boxes and places.

Nothing is fetched and nothing runs: no script, no link, no font, no image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from service.language import msg
from service.translation import Say
from service.tree import Report
from service.views.diagram.boxes import Box, Level
from service.views.diagram.categories import Category, legend
from service.views.diagram.drawing import OUT, Drawing, Spot, draw
from service.views.diagram.edges import Edge
from service.views.diagram.labels import FRAME_HEAD, LINE, PADDING, heading, label, legend_width, wrapped
from service.views.diagram.scene import scene
from service.views.diagram.style import CLASS, style
from service.views.escape import xml

_MARGIN = 24.0
_HEAD = 54.0
_ROW = 22.0
_NOTE = 20.0
_LEAST_WIDTH = 480.0
_MARKER = (
    '<defs><marker id="diagram-to" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="a" d="M0 0L8 4L0 8z"/></marker></defs>'
)


def svg(report: Report, say: Say, level: Level = "block") -> str:
    """The report's graph at block or layer level as an SVG document.

    Every name is escaped; the document has a title and a description for those who do not see it.
    """
    shown = scene(report, level)
    drawing = draw(shown, say)
    inner = max(drawing.width, _LEAST_WIDTH)
    below = list(_below(drawing, [say(note) for note in shown.notes], inner, say))
    width, height = inner + 2 * _MARGIN, below[-1].bottom + _MARGIN
    description = say(msg("The graph of the model from top to bottom, in {boxes} boxes.", boxes=len(drawing.leaves)))
    title = xml(heading(report))
    parts = [
        _opening(width, height),
        f'<title id="diagram-title">{title}</title>',
        f'<desc id="diagram-description">{xml(description)}</desc>',
        f"<style>{style()}</style>",
        _MARKER,
        f'<text class="h" x="{_MARGIN:.0f}" y="34">{title}</text>',
        f'<g transform="translate({_MARGIN + (inner - drawing.width) / 2:.1f} {_HEAD:.1f})">',
        *(line for frame in drawing.frames for line in _frame(frame, say)),
        *(_line(edge, points) for edge, points in drawing.lines),
        *(line for leaf in drawing.leaves for line in _box(leaf, say)),
        "</g>",
        *(one.text for one in below),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _opening(width: float, height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{CLASS}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-labelledby="diagram-title diagram-description">'
    )


def _frame(spot: Spot, say: Say) -> Iterator[str]:
    """A box with content: a frame, with one behind it if it repeats."""
    shown = label(spot.box, say)
    yield _told(spot.box, say)
    if spot.box.times > 1:
        yield _rectangle(spot, "f k", 10, 5)
    yield _rectangle(spot, "f", 10)
    yield _text("n", spot.x + PADDING, spot.y + 18, shown.name)
    yield _text("s", spot.x + PADDING, spot.y + FRAME_HEAD - 8, shown.about)
    yield from _badge(spot, shown.badge)
    yield "</g>"


def _box(spot: Spot, say: Say) -> Iterator[str]:
    shown = label(spot.box, say)
    yield _told(spot.box, say)
    if spot.box.times > 1:
        yield _rectangle(spot, f"b c-{spot.box.category}", 6, 5)
    yield _rectangle(spot, f"b c-{spot.box.category}", 6)
    for index, (kind, text) in enumerate(shown.lines):
        yield _text(kind, spot.x + PADDING, spot.y + 17 + LINE * index, text)
    yield from _badge(spot, shown.badge)
    yield "</g>"


def _told(box: Box, say: Say) -> str:
    """The group of a box, with what a pointer that rests on it is told: the full name and what it is."""
    return f"<g><title>{xml(f'{box.path}: {say(box.title)}')}</title>"


def _rectangle(spot: Spot, classes: str, radius: int, shift: int = 0) -> str:
    return (
        f'<rect class="{classes}" x="{spot.x + shift:.1f}" y="{spot.y + shift:.1f}" '
        f'width="{spot.width:.1f}" height="{spot.height:.1f}" rx="{radius}"/>'
    )


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{xml(text)}</text>'


def _badge(spot: Spot, text: str) -> Iterator[str]:
    """`× 12` at the upper right corner."""
    if text:
        width = 8.0 * len(text) + 10
        left, y = spot.x + spot.width - width - 6, spot.y + 5
        yield f'<rect class="t" x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="18" rx="9"/>'
        yield f'<text class="u" text-anchor="middle" x="{left + width / 2:.1f}" y="{y + 13:.1f}">{xml(text)}</text>'


def _line(edge: Edge, points: Sequence[tuple[float, float]]) -> str:
    """A curve that leaves and enters upright."""
    x, y = points[0]
    path = [f"M{x:.1f} {y:.1f}"]
    for to_x, to_y in points[1:]:
        if abs(to_x - x) < 0.5:
            path.append(f"V{to_y:.1f}")
        elif abs(to_y - y) < 0.5:
            path.append(f"H{to_x:.1f}")
        else:
            middle = (y + to_y) / 2
            path.append(f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    end = "" if edge.target == OUT else ' marker-end="url(#diagram-to)"'
    return f'<path class="{"e" if edge.known else "e g"}" d="{"".join(path)}"{end}/>'


class _Row(NamedTuple):
    """A line below the picture and where it ends."""

    text: str
    bottom: float


def _below(drawing: Drawing, notes: Sequence[str], width: float, say: Say) -> Iterator[_Row]:
    """The legend, then the notes; at least one row."""
    y = _HEAD + drawing.height + 34
    x = 0.0
    for key in legend({spot.box.category for spot in drawing.leaves}):
        room = legend_width(say(key.word))
        if x and x + room > width:
            x, y = 0.0, y + _ROW
        yield _Row(_key(key, say, _MARGIN + x, y), y)
        x += room
    y += _NOTE / 2
    for line in (line for note in notes for line in wrapped(note, width)):
        y += _NOTE
        yield _Row(_text("l", _MARGIN, y, line), y)
    yield _Row("", y)


def _key(key: Category, say: Say, x: float, y: float) -> str:
    square = f'<rect class="b c-{key.id}" x="{x:.1f}" y="{y - 11:.1f}" width="14" height="14" rx="3"/>'
    return square + _text("l", x + 20, y, say(key.word))
