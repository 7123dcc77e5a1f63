"""Counts each layer's own weights by group; knows arithmetic, no format."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from service.tree import Counts, Group, Layer, Model, Weight

PARAMETER_GROUPS: tuple[Group, ...] = ("trainable", "frozen", "unknown")
"""What `parameters` adds up; statistics are counted beside it."""
_NOTHING = (0, 0, 0, 0)


def count_layers(model: Model) -> Model:
    """`model` with `counts` on every layer; layers with the same numbers share theirs."""
    known: dict[tuple[int | None, ...], Counts] = {}
    layers = tuple(msgspec.structs.replace(layer, counts=_count(layer, known)) for layer in model.layers)
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


def _count(layer: Layer, known: dict[tuple[int | None, ...], Counts]) -> Counts:
    if not layer.weights and _NOTHING in known:
        return known[_NOTHING]
    sums: dict[str, int | None] = {"trainable": 0, "frozen": 0, "unknown": 0, "statistic": 0}
    for weight in layer.weights:
        so_far = sums.get(weight.group)
        if so_far is not None:
            sums[weight.group] = None if weight.count is None else so_far + weight.count
    numbers = tuple(sums.values())
    found = known.get(numbers)
    if found is None:
        trainable, frozen, unknown, statistics = numbers
        parameters = add((trainable, frozen, unknown))
        found = known[numbers] = Counts(
            parameters=parameters, trainable=trainable, frozen=frozen, statistics=statistics, unknown=unknown
        )
    return found
