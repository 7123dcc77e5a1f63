"""Places boxes in layers from top to bottom: Sugiyama's method in its simplest form; knows sizes and edges, no text.

K. Sugiyama, S. Tagawa, M. Toda, "Methods for Visual Understanding of Hierarchical System Structures", 1981: ranks by
longest path, dummies where an edge passes a rank, order within ranks by barycentres, then coordinates. A frame is laid
out on its own and is one box for the frame around it, so that frames never overlap. All coordinates are in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

from service.views.diagram.edges import Edge

GAP_X = 28.0
GAP_Y = 30.0
_DUMMY = 14.0
_SWEEPS = 4
_SHIFTS = 6
MOST_DUMMIES = 4000
"""Beyond it long edges are drawn straight."""


class Place(msgspec.Struct):
    """Where a box lies: left, top, width and height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """Horizontal centre."""
        return self.x + self.width / 2


class Placed(msgspec.Struct):
    """A frame's boxes by number, and the points of each edge from top to bottom; sizes of the whole.

    `cuts` are the heights between two ranks that a single value passes: where a long picture may be broken.
    """

    places: dict[int, Place]
    lines: list[tuple[Edge, list[tuple[float, float]]]]
    width: float
    height: float
    cuts: list[float] = []


def layout(sizes: Mapping[int, tuple[float, float]], edges: Sequence[Edge]) -> Placed:
    """Places for all boxes.

    Args:
        sizes: Width and height by number; numbers grow in the order in which boxes are listed.
        edges: Between these; one that leads back in that order is drawn but decides no rank.
    """
    forward = [edge for edge in edges if edge.source < edge.target]
    ranks = _ranks(sorted(sizes), forward)
    grid = _Grid(sizes, ranks)
    chains = [(edge, grid.chain(edge)) for edge in forward]
    grid.order()
    grid.place()
    lines = [(edge, grid.points(chain)) for edge, chain in chains]
    lines += [(edge, grid.points([edge.source, edge.target])) for edge in edges if edge.source > edge.target]
    return Placed({key: grid.places[key] for key in sizes}, lines, grid.width, grid.height, grid.cuts(forward))


def _ranks(keys: Sequence[int], edges: Sequence[Edge]) -> dict[int, int]:
    """The longest path that leads to each box; boxes are numbered in topological order."""
    incoming: dict[int, list[int]] = {key: [] for key in keys}
    for edge in edges:
        incoming[edge.target].append(edge.source)
    ranks: dict[int, int] = {}
    for key in keys:
        ranks[key] = 1 + max((ranks[source] for source in incoming[key]), default=-1)
    return _late(keys, edges, ranks)


def _late(keys: Sequence[int], edges: Sequence[Edge], ranks: dict[int, int]) -> dict[int, int]:
    """Boxes that nothing feeds move down to what they feed first: a mask stands beside what it masks."""
    fed = {edge.target for edge in edges}
    below: dict[int, int] = {}
    for edge in edges:
        below[edge.source] = min(below.get(edge.source, ranks[edge.target]), ranks[edge.target])
    return {key: max(below[key] - 1, 0) if key not in fed and key in below else ranks[key] for key in keys}


class _Grid:
    """Ranks of boxes and dummies."""

    def __init__(self, sizes: Mapping[int, tuple[float, float]], ranks: dict[int, int]) -> None:
        self.sizes = dict(sizes)
        self.rank = dict(ranks)
        self.rows: list[list[int]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
        for key in sorted(ranks):
            self.rows[ranks[key]].append(key)
        self.up: dict[int, list[int]] = {}
        self.down: dict[int, list[int]] = {}
        self.places: dict[int, Place] = {}
        self.dummies = 0
        self.width = self.height = 0.0

    def chain(self, edge: Edge) -> list[int]:
        """The edge as a chain through a dummy in each rank between."""
        between = range(self.rank[edge.source] + 1, self.rank[edge.target])
        chain = [edge.source]
        if self.dummies + len(between) <= MOST_DUMMIES:
            for row in between:
                self.dummies += 1
                key = -self.dummies
                self.sizes[key] = (_DUMMY, 0.0)
                self.rank[key] = row
                self.rows[row].append(key)
                chain.append(key)
        chain.append(edge.target)
        for upper, lower in pairwise(chain):
            self.down.setdefault(upper, []).append(lower)
            self.up.setdefault(lower, []).append(upper)
        return chain

    def order(self) -> None:
        """Few crossings: each rank by the mean position of its neighbours above, then below, in turns."""
        at = {key: float(index) for row in self.rows for index, key in enumerate(row)}
        for sweep in range(_SWEEPS):
            downwards = sweep % 2 == 0
            neighbours = self.up if downwards else self.down
            for row in self.rows if downwards else reversed(self.rows):
                means = {key: _mean([at[other] for other in neighbours.get(key, ())], at[key]) for key in row}
                row.sort(key=means.__getitem__)
                at.update((key, float(index)) for index, key in enumerate(row))

    def place(self) -> None:
        """Coordinates: ranks below one another, boxes as near to the middle of their neighbours as room allows."""
        top = 0.0
        for row in self.rows:
            height = max((self.sizes[key][1] for key in row), default=0.0)
            left = -sum(self.sizes[key][0] + GAP_X for key in row) / 2
            for key in row:
                width, own = self.sizes[key]
                self.places[key] = Place(left, top + (height - own) / 2, width, own)
                left += width + GAP_X
            top += height + GAP_Y
        for sweep in range(_SHIFTS):
            downwards = sweep % 2 == 0
            for row in self.rows if downwards else reversed(self.rows):
                self._shift(row, self.up if downwards else self.down)
        self._to_origin()
        self.height = max(top - GAP_Y, 0.0)

    def _shift(self, row: Sequence[int], neighbours: Mapping[int, Sequence[int]]) -> None:
        """Move a rank's boxes towards their neighbours without changing the order."""
        wanted = [
            _mean([self.places[other].middle for other in neighbours.get(key, ())], self.places[key].middle)
            for key in row
        ]
        lefts = self._pushed(row, wanted)
        rights = [-x for x in reversed(self._pushed(list(reversed(row)), [-x for x in reversed(wanted)]))]
        for key, left, right in zip(row, lefts, rights, strict=True):
            place = self.places[key]
            place.x = (left + right) / 2 - place.width / 2

    def _pushed(self, row: Sequence[int], wanted: Sequence[float]) -> list[float]:
        """Middles from left to right, each where it wants to be or as near right of its neighbour as it fits."""
        middles: list[float] = []
        edge = float("-inf")
        for key, want in zip(row, wanted, strict=True):
            half = self.sizes[key][0] / 2
            middles.append(max(want, edge + half))
            edge = middles[-1] + half + GAP_X
        return middles

    def _to_origin(self) -> None:
        left = min((place.x for place in self.places.values()), default=0.0)
        for place in self.places.values():
            place.x -= left
        self.width = max((place.x + place.width for place in self.places.values()), default=0.0)

    def cuts(self, edges: Sequence[Edge]) -> list[float]:
        """Heights between ranks that only one box's value passes."""
        lowest: dict[int, int] = {}
        for edge in edges:
            lowest[edge.source] = max(lowest.get(edge.source, 0), self.rank[edge.target])
        passing = [0] * (len(self.rows) + 1)
        for source, last in lowest.items():
            passing[self.rank[source]] += 1
            passing[last] -= 1
        found, count = [], 0
        for row, change in zip(self.rows, passing, strict=False):
            count += change
            if count == 1:
                found.append(max(self.places[key].y + self.places[key].height for key in row) + GAP_Y / 2)
        return found

    def points(self, chain: Sequence[int]) -> list[tuple[float, float]]:
        """From the bottom of the first to the top of the last, through dummies; a rank is passed upright."""
        first, last = self.places[chain[0]], self.places[chain[-1]]
        points = [(first.middle, first.y + first.height)]
        for key in chain[1:-1]:
            row = self.rank[key]
            tall = [self.places[other] for other in self.rows[row]]
            points += [
                (self.places[key].middle, min(place.y for place in tall)),
                (self.places[key].middle, max(place.y + place.height for place in tall)),
            ]
        return [*points, (last.middle, last.y)]


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
