"""Counts each layer's own weights by group; knows arithmetic, no format."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from service.tree import Counts, Group, Layer, Model, Weight

PARAMETER_GROUPS: tuple[Group, ...] = ("trainable", "frozen", "unknown")
"""What `parameters` adds up; statistics are counted beside it."""


def count_layers(model: Model) -> Model:
    """`model` with `counts` on every layer."""
    layers = tuple(msgspec.structs.replace(layer, counts=_count(layer)) for layer in model.layers)
    return msgspec.structs.replace(model, layers=layers)


def elements(weights: Iterable[Weight], *groups: Group) -> int | None:
    """Elements of the weights in `groups` (all, if none is named); None if a size is unknown."""
    return add(weight.count for weight in weights if not groups or weight.group in groups)


def add(values: Iterable[int | None]) -> int | None:
    """The sum; None as soon as one value is unknown."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _count(layer: Layer) -> Counts:
    weights = layer.weights
    return Counts(
        parameters=elements(weights, *PARAMETER_GROUPS),
        trainable=elements(weights, "trainable"),
        frozen=elements(weights, "frozen"),
        statistics=elements(weights, "statistic"),
        unknown=elements(weights, "unknown"),
    )
