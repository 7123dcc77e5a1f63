"""Layers of the runs that are like an earlier one: that one's layers under other paths, with their own places.

Knows layers and where their arrays lie; must not know what makes runs alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from service.catalog.named_arrays import Stored
from service.catalog.named_repeats import Again, Repeats
from service.catalog.named_tree import Node, check_layers
from service.catalog.named_weights import Ledger, safe
from service.config import Limits
from service.tree import Layer, Weight


class _Slot(NamedTuple):
    """One layer of a run.

    Attributes:
        layer: As the first run has it.
        behind: Its path behind that of the run, and the dot before.
        above: The place of its parent among the run's layers.
        weights: Its weights, and the number of each one's array in the run.
    """

    layer: Layer
    behind: str
    above: int
    weights: tuple[tuple[Weight, int], ...]


def with_repeats(
    layers: Sequence[Layer], nodes: Mapping[str, Node], repeats: Repeats, ledger: Ledger, limits: Limits
) -> list[Layer]:
    """`layers` with those inside each run that is like an earlier one.

    Raises:
        LimitExceeded: More layers or weights than one analysis may describe.
    """
    places = {layer.path: at for at, layer in enumerate(layers) if layer.path in repeats.first}
    slots: dict[str, list[_Slot]] = {}
    found: list[Layer] = []
    for layer in layers:
        again = repeats.again.get(layer.path)
        if again is None:
            found.append(layer)
            continue
        known = slots.get(again.first)
        if known is None:
            known = slots[again.first] = _slots(layers, places[again.first], nodes, repeats.first[again.first])
        check_layers(len(found) + len(known), limits)
        ledger.count(len(again.arrays))
        found += _made(known, layer, again)
    return found


def _slots(layers: Sequence[Layer], start: int, nodes: Mapping[str, Node], arrays: Sequence[Stored]) -> list[_Slot]:
    """The layers of the run whose own layer is at `start`: those inside follow it."""
    numbers = {id(one): number for number, one in enumerate(arrays)}
    path = layers[start].path
    inside = list(_inside(layers, start, f"{path}."))
    places = {layer.path: place for place, layer in enumerate(inside)}
    return [
        _Slot(layer, layer.path[len(path) :], places.get(layer.parent or "", 0), tuple(
            (weight, numbers[id(one)])
            for weight, one in zip(layer.weights, nodes[layer.path].arrays.values(), strict=True)
        ))
        for layer in inside
    ]  # fmt: skip


def _inside(layers: Sequence[Layer], start: int, prefix: str) -> Iterator[Layer]:
    """The layer at `start` and those behind it whose paths begin with `prefix`."""
    yield layers[start]
    for at in range(start + 1, len(layers)):
        if not layers[at].path.startswith(prefix):
            return
        yield layers[at]


def _made(slots: Sequence[_Slot], own: Layer, again: Again) -> list[Layer]:
    """The layers of one run."""
    start, arrays = own.path, again.arrays
    paths = [start]  # of its layers; a layer's parent is the same text as that layer's path
    found = [replace(slots[0].layer, path=start, name=own.name)]
    for layer, behind, above, weights in slots[1:]:
        path = start + behind
        paths.append(path)
        if weights:
            placed = tuple([_placed(weight, arrays[number]) for weight, number in weights])
            found.append(replace(layer, path=path, parent=paths[above], weights=placed))
        else:
            found.append(replace(layer, path=path, parent=paths[above]))
    return found


def _placed(weight: Weight, one: Stored) -> Weight:
    """A weight as another array stores it."""
    key = safe(one.stored_as or one.name)
    if weight.location is None:  # it lies nowhere as values, or the file does not tell where
        return replace(weight, stored_as=key)
    return replace(weight, stored_as=key, location=one.location)
