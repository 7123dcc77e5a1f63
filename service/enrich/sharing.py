"""Says once what the layers of a very large model say alike; knows which explanations and costs are one object.

Must not know what they say.

A model of 100,000 layers has a few hundred explanations and costs, and repeating them makes nine tenths of its report.
Above `MANY` layers a layer that is explained and costs as an earlier one says so by that one's path (`Layer.like`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from service.tree import Layer, Model

MANY = 20_000


def say_once(model: Model) -> Model:
    """`model` with explanations and costs only where they occur first, if it has more than MANY layers."""
    return msgspec.structs.replace(model, layers=shared(model.layers))


def shared(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers as a report of so many holds them. Explanations and costs count as equal where they are one object."""
    if len(layers) <= MANY:
        return tuple(layers)
    first: dict[tuple[int, int], str] = {}
    found: list[Layer] = []
    for layer in layers:
        path = first.setdefault((id(layer.explanation), id(layer.cost)), layer.path)
        if path is layer.path or layer.cost is None:
            found.append(layer)
        else:
            found.append(msgspec.structs.replace(layer, explanation=None, cost=None, like=path))
    return tuple(found)


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
