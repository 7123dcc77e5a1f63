"""Which layers of a model are alike in all that is counted, explained and weighed of them; knows layers, no rule.

A deep model repeats its layers by the hundred: what holds for all of a sort is worked out for the first of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from service.tree import Layer, Weight


@dataclass(frozen=True, slots=True)
class Alike:
    """Sorts of layers.

    Attributes:
        numbers: The sort of each layer.
        first: Of each sort, the place of its first layer.
        times: Of each sort, how many layers are of it.
    """

    numbers: Sequence[int]
    first: Sequence[int]
    times: Sequence[int]

    def sorts(self, layers: Sequence[Layer]) -> Iterator[tuple[Layer, int]]:
        """One layer of each sort, and how many there are."""
        return ((layers[at], times) for at, times in zip(self.first, self.times, strict=True))

    def weights(self, layers: Sequence[Layer]) -> Iterator[tuple[Weight, int]]:
        """The weights of one layer of each sort, and how many such layers there are."""
        return ((weight, times) for layer, times in self.sorts(layers) for weight in layer.weights)


def alike(layers: Sequence[Layer]) -> Alike:
    """The sorts of a model's layers, in linear time."""
    known: dict[Hashable, int] = {}
    numbers: list[int] = []
    first: list[int] = []
    times: list[int] = []
    for at, layer in enumerate(layers):
        number = known.setdefault(_sort(layer), len(first))
        if number == len(first):
            first.append(at)
            times.append(1)
        else:
            times[number] += 1
        numbers.append(number)
    return Alike(numbers, first, times)


def _sort(layer: Layer) -> Hashable:
    """Equal for layers that are alike. Of the settings all count but the name; of the path, whether it is a LoRA's."""
    what = (layer.kind, layer.type, layer.type_source, layer.module, layer.custom, tuple([
        (one.name, one.role, one.shape, one.dtype, one.count, one.stored_count, one.bytes, one.group, one.layout,
         one.tied_to, one.persistent)
        for one in layer.weights
    ]))  # fmt: skip
    if not layer.config and "lora_" not in layer.path:
        return what
    settings = {name: value for name, value in layer.config.items() if name != "name"}
    return what, msgspec.json.encode(settings), layer.path if "lora_" in layer.path else None
