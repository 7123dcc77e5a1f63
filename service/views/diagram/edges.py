"""Who feeds whom among boxes: each edge between two boxes of one frame; knows `Layer.inputs` and boxes, no layout.

An edge between boxes of different frames is drawn between the two that stand side by side in the innermost frame
around both; what enters or leaves a frame is noted, so that it can be continued inside. A layer that is in no box (a
later occurrence of what repeats) stands for the box of the layer listed before it, and only for what it gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec

from service.tree import Layer
from service.views.diagram.boxes import Box

MOST_EDGES = 2000


class Edge(NamedTuple):
    """From one box to another of the same frame; `known` is False where only the order of layers suggests it."""

    source: int
    target: int
    known: bool = True


class Frame(msgspec.Struct):
    """The edges within one frame, the boxes that take from outside it and those that give to the outside."""

    edges: dict[tuple[int, int], bool] = msgspec.field(default_factory=dict)
    entries: dict[int, None] = msgspec.field(default_factory=dict)
    exits: dict[int, None] = msgspec.field(default_factory=dict)


class Wiring(NamedTuple):
    """The edges of a diagram.

    Attributes:
        frames: Edges between neighbours, by the number of the box around them (0: the whole).
        pairs: The same edges from innermost box to innermost box; False where only the order suggests one.
        guessed: Whether there is such an edge.
        cut: Whether edges were left out.
    """

    frames: dict[int, Frame]
    pairs: dict[tuple[int, int], bool]
    guessed: bool
    cut: bool


class _Places:
    """Where each box stands, and the box of each layer."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        self.trails: dict[int, tuple[int, ...]] = {}
        self.of_layer: dict[str, int] = {}
        self.order: list[int] = []
        waiting: list[tuple[Box, tuple[int, ...]]] = [(box, (0,)) for box in reversed(boxes)]
        while waiting:
            box, above = waiting.pop()
            self.trails[box.id] = trail = (*above, box.id)
            if box.boxes:
                waiting += [(inner, trail) for inner in reversed(box.boxes)]
            else:
                self.order.append(box.id)
                for path in box.layers:
                    self.of_layer.setdefault(path, box.id)


def wiring(boxes: Sequence[Box], layers: Sequence[Layer]) -> Wiring:
    """The edges of all frames. Linear in layers and their inputs."""
    places = _Places(boxes)
    frames: dict[int, Frame] = {0: Frame()}
    pairs: dict[tuple[int, int], bool] = {}
    sources, targets = _sources(places, layers), _targets(places, layers)
    unfed = set(places.order)
    for layer in layers:
        target = targets.get(layer.path)
        if target is None:
            continue
        if layer.inputs is not None:
            unfed.discard(target)
        for source in _given(sources, layer.inputs or ()):
            if source != target and len(pairs) < MOST_EDGES:
                pairs[source, target] = True
    cut = len(pairs) >= MOST_EDGES
    pairs |= {(before, box): False for before, box in pairwise(places.order) if box in unfed}
    for (source, target), known in pairs.items():
        _connect(frames, places.trails[source], places.trails[target], known=known)
    return Wiring(frames, pairs, not all(pairs.values()), cut)


def _sources(places: _Places, layers: Sequence[Layer]) -> dict[str, int]:
    """The box that stands for each layer as one that gives: its own, that of what it holds, or that before it."""
    found: dict[str, int] = {}
    last: int | None = None
    for layer in layers:
        last = places.of_layer.get(layer.path, last)
        if last is not None:
            found[layer.path] = last
    for layer in reversed(layers):
        if layer.parent is not None and layer.parent not in places.of_layer and layer.path in found:
            above = found.get(layer.parent)
            found[layer.parent] = max(above if above is not None else 0, found[layer.path])
    return found


def _targets(places: _Places, layers: Sequence[Layer]) -> dict[str, int]:
    """The box that takes what is given to each layer; for a container, its first, if the file does not tell more."""
    found = dict(places.of_layer)
    parents = {layer.path: layer.parent for layer in layers}
    for layer in layers:
        box, above = places.of_layer.get(layer.path), layer.parent
        while box is not None and not layer.inputs and above is not None and above not in found:
            found[above] = box
            above = parents.get(above)
    return found


def _given(sources: dict[str, int], inputs: Iterable[str]) -> list[int]:
    return [sources[path] for path in dict.fromkeys(inputs) if path in sources]


def _connect(frames: dict[int, Frame], giving: tuple[int, ...], taking: tuple[int, ...], *, known: bool) -> None:
    """Note an edge in the frame around both ends, and where it leaves and enters the frames between."""
    shared = 0
    while giving[shared] == taking[shared]:
        shared += 1
    around = frames.setdefault(giving[shared - 1], Frame())
    pair = (giving[shared], taking[shared])
    around.edges[pair] = around.edges.get(pair, False) or known
    for frame, inner in pairwise(giving[shared:]):
        frames.setdefault(frame, Frame()).exits[inner] = None
    for frame, inner in pairwise(taking[shared:]):
        frames.setdefault(frame, Frame()).entries[inner] = None
