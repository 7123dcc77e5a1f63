"""Says once what the layers of a very large model say alike; knows which explanations and costs are one object.

Must not know what they say.

A model of 100,000 layers has a few hundred explanations and costs, and repeating them makes nine tenths of its report.
Above `MANY` layers a layer that is explained and costs as an earlier one says so by that one's path (`Layer.like`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec

from service.tree import Layer, Model

MANY = 20_000


class Sharing:
    """Tells for one layer after the other whether what is said of it was said before."""

    def __init__(self, layers: int) -> None:
        self._many = layers > MANY
        self._first: dict[Hashable, str] = {}

    def like(self, path: str, told: Hashable) -> str | None:
        """Path of the first layer with an equal `told`, None for that one itself, and in models of fewer layers."""
        if not self._many:
            return None
        first = self._first.setdefault(told, path)
        return None if first is path else first


def say_once(model: Model) -> Model:
    """`model` with explanations and costs only where they occur first, if it has more than MANY layers."""
    return msgspec.structs.replace(model, layers=shared(model.layers))


def shared(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers as a report of so many holds them. Explanations and costs count as equal where they are one object."""
    sharing = Sharing(len(layers))
    return tuple([layer if layer.cost is None else _shortened(layer, sharing) for layer in layers])


def _shortened(layer: Layer, sharing: Sharing) -> Layer:
    path = sharing.like(layer.path, (id(layer.explanation), id(layer.cost)))
    return layer if path is None else msgspec.structs.replace(layer, explanation=None, cost=None, like=path)


def whole(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers with their explanations and costs, wherever these are said."""
    if not any(layer.like for layer in layers):
        return tuple(layers)
    by_path = {layer.path: layer for layer in layers if layer.like is None}
    return tuple(like(layer, by_path.get(layer.like or "")) for layer in layers)


def like(layer: Layer, other: Layer | None) -> Layer:
    """`layer` with what it has in common with `other`."""
    if other is None:
        return layer
    return msgspec.structs.replace(layer, explanation=other.explanation, cost=other.cost)
