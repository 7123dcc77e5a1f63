"""Who feeds whom among the layers that one container holds; knows `Layer.inputs`, no kinds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from service.tree import Layer

_DEEPEST_LIFT = 32
"""How many containers up an edge is followed to find the neighbour that holds its other end."""


class Graph(NamedTuple):
    """Positions by path, and for each layer how many others take what it gives; containers do not count again."""

    layers: Sequence[Layer]
    places: dict[str, int]
    takers: list[int]

    def feeders(self, at: int) -> list[int]:
        """Positions of the layers that feed the layer at `at`, lifted to the container that holds it."""
        layer = self.layers[at]
        lifted = (self._lift(path, layer.parent) for path in layer.inputs or ())
        return [place for place in dict.fromkeys(lifted) if place is not None and place != at]

    def _lift(self, path: str, parent: str | None) -> int | None:
        for _ in range(_DEEPEST_LIFT):
            place = self.places.get(path)
            if place is None:
                return None
            above = self.layers[place].parent
            if above == parent:
                return place
            if above is None:
                return None
            path = above
        return None

    def only_feeder(self, at: int) -> int | None:
        """The one layer that feeds this one and nothing else; None if there is no such layer."""
        layer = self.layers[at]
        if layer.inputs is None or len(layer.inputs) != 1 or (layer.uses or 1) > 1:
            return None
        place = self.places.get(layer.inputs[0])
        if place is None or place == at or self.takers[place] != 1 or (self.layers[place].uses or 1) > 1:
            return None
        return place if self.layers[place].parent == layer.parent else None


def graph_of(layers: Sequence[Layer], holders: frozenset[str]) -> Graph:
    """The graph of a model whose containers are `holders`. Linear in layers and edges."""
    if not any([layer.inputs for layer in layers]):  # noqa: C419 - faster as a list
        return Graph(layers, {}, [])
    places: dict[str, int] = {}
    for at, layer in enumerate(layers):
        places.setdefault(layer.path, at)
    takers = [0] * len(layers)
    for layer in layers:
        if layer.path not in holders:
            for place in _known(places, layer.inputs or ()):
                takers[place] += 1
    return Graph(layers, places, takers)


def _known(places: dict[str, int], paths: Iterable[str]) -> Iterable[int]:
    return (places[path] for path in dict.fromkeys(paths) if path in places)
