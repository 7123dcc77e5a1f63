"""Breaks a picture that is much taller than wide into columns, read from left to right; knows places and lines."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt

from service.views.diagram.layout import GAP_Y, Place, Placed

_TALL = 2400.0
"""Pixels of height above which a picture is broken."""
_ASPECT = 1.2
_GUTTER = 64.0
_BEND = GAP_Y / 2 - 2


def in_columns(placed: Placed) -> Placed:
    """`placed` in as many columns as make it about as wide as high; broken only where a single value passes."""
    starts = _starts(placed)
    if len(starts) == 1:
        return placed
    stride = placed.width + _GUTTER
    places = {}
    for key, place in placed.places.items():
        column = _column(starts, place.y + place.height / 2)
        places[key] = Place(place.x + column * stride, place.y - starts[column], place.width, place.height)
    lines = [(edge, _moved(points, starts, stride)) for edge, points in placed.lines]
    ends = [*starts[1:], placed.height]
    height = max(end - start for start, end in zip(starts, ends, strict=True))
    return Placed(places, lines, stride * len(starts) - _GUTTER, height)


def _starts(placed: Placed) -> list[float]:
    """The height at which each column begins."""
    starts = [0.0]
    if placed.height <= _TALL:
        return starts
    count = ceil(sqrt(placed.height / (_ASPECT * (placed.width + _GUTTER))))
    for cut in placed.cuts:
        if cut - starts[-1] >= placed.height / count and len(starts) < count:
            starts.append(cut)
    return starts


def _column(starts: Sequence[float], y: float) -> int:
    return max(index for index, start in enumerate(starts) if y >= start or index == 0)


def _moved(points: Sequence[tuple[float, float]], starts: Sequence[float], stride: float) -> list[tuple[float, float]]:
    """The points in their columns; from one column to the next through the gutter between them."""
    found: list[tuple[float, float]] = []
    before = 0
    for index, (x, y) in enumerate(points):
        column = _column(starts, y)
        place = (x + column * stride, y - starts[column])
        if index and column > before:
            last_x, last_y = found[-1]
            gutter = column * stride - _GUTTER / 2
            found += [(last_x, last_y + _BEND), (gutter, last_y + _BEND), (gutter, -_BEND), (place[0], -_BEND)]
        found.append(place)
        before = column
    return found
