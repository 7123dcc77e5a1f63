"""Counts each layer's own weights by group; knows arithmetic, no format."""

from __future__ import annotations

from collections.abc import Iterable

from service.enrich.likeness import Alike
from service.tree import Counts, Group, Layer, Weight

PARAMETER_GROUPS: tuple[Group, ...] = ("trainable", "frozen", "unknown")
"""What `parameters` adds up; statistics are counted beside it."""


class Counting:
    """Counts layers, those of a sort once."""

    def __init__(self, sorts: Alike) -> None:
        self._sorts = sorts
        self._known: dict[int, Counts] = {}

    def of(self, at: int, layer: Layer) -> Counts:
        """The counts of the layer at this place."""
        number = self._sorts.numbers[at]
        found = self._known.get(number)
        if found is None:
            found = _count(layer)
            if self._sorts.times[number] > 1:
                self._known[number] = found
        return found


def elements(weights: Iterable[tuple[Weight, int]], *groups: Group) -> int | None:
    """Elements of so many of each weight in `groups` (all, if none is named); None if a size is unknown."""
    return add(_times(weight.count, times) for weight, times in weights if not groups or weight.group in groups)


def stored_bytes(weights: Iterable[tuple[Weight, int]], *groups: Group) -> int | None:
    """Bytes of so many of each weight in `groups` (all, if none is named); None if a size is unknown."""
    return add(_times(weight.bytes, times) for weight, times in weights if not groups or weight.group in groups)


def _times(value: int | None, times: int) -> int | None:
    return None if value is None else value * times


def add(values: Iterable[int | None]) -> int | None:
    """The sum; None as soon as one value is unknown."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _count(layer: Layer) -> Counts:
    sums: dict[str, int | None] = {"trainable": 0, "frozen": 0, "unknown": 0, "statistic": 0}
    for weight in layer.weights:
        so_far = sums.get(weight.group)
        if so_far is not None:
            sums[weight.group] = None if weight.count is None else so_far + weight.count
    trainable, frozen, unknown, statistics = sums.values()
    parameters = add((trainable, frozen, unknown))
    return Counts(parameters=parameters, trainable=trainable, frozen=frozen, statistics=statistics, unknown=unknown)
