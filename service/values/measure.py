"""Fills `Weight.statistics` for a model's weights: each stored array is read once; knows no storage and no format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from service.errors import InputError
from service.formats import Upload
from service.language import Message, msgn
from service.measured import VECTOR, WeightStatistics
from service.tree import Layer, Model, Weight
from service.values.base import Values, ValuesUnavailable, WeightValues
from service.values.channels import channels_of
from service.values.elements import Array
from service.values.opening import open_values, reason_of
from service.values.statistics import accumulator, finite_or_none

Progress = Callable[[int, int], None]
"""Called with bytes looked at so far, and bytes of all weights, both as stored."""

_PER_CHANNEL = frozenset({"scale", "offset", "moving_mean", "moving_variance", "mean", "variance"})
"""Roles of a normalisation's weights, which have a value per channel."""


def measure(upload: Upload, model: Model, progress: Progress) -> Model:
    """`model` with the statistics of every weight of its layers; those of `states` are not measured.

    A weight whose values cannot be read says why in its statistics. Weights that are the same stored array are
    measured once. Memory is bounded whatever the weights' sizes.
    """
    run = _Run(open_values(upload, model), model, progress)
    layers = tuple(run.layer(layer) for layer in model.layers)
    return msgspec.structs.replace(model, layers=layers, notes=(*model.notes, *_of_blocks(layers)))


def _of_blocks(layers: Iterable[Layer]) -> tuple[Message, ...]:
    """A note where statistics are not of what is stored."""
    held = chain.from_iterable(layer.weights for layer in layers)
    dtypes = [weight.dtype or "" for weight in held if weight.statistics is not None and weight.statistics.dequantised]
    if not dtypes:
        return ()
    return (
        msgn(
            "The statistics of {n} weight are of the numbers that its blocks ({dtypes}) stand for, dequantised to"
            " single precision as ggml does, not of the codes that are stored.",
            "The statistics of {n} weights are of the numbers that their blocks ({dtypes}) stand for, dequantised to"
            " single precision as ggml does, not of the codes that are stored.",
            n=len(dtypes), dtypes=tuple(sorted(set(dtypes))),
        ),
    )  # fmt: skip


class _Run:
    """One pass over a model; remembers what it has measured by where it lies."""

    def __init__(self, values: Values, model: Model, progress: Progress) -> None:
        self._values = values
        self._progress = progress
        self._known: dict[Hashable, WeightStatistics] = {}
        self._done = 0
        named: dict[Hashable, list[Weight]] = defaultdict(list)
        for layer in model.layers:
            for weight in layer.weights:
                named[_identity(weight)].append(weight)
        self._layouts = {key: next((w.layout for w in found if w.layout), None) for key, found in named.items()}
        self._listed = {key for key, found in named.items() if any(w.role in _PER_CHANNEL for w in found)}
        self._total = sum(found[0].bytes or 0 for found in named.values())

    def layer(self, layer: Layer) -> Layer:
        """The layer with its weights measured."""
        weights = tuple(
            msgspec.structs.replace(weight, statistics=self._statistics(layer, weight)) for weight in layer.weights
        )
        return msgspec.structs.replace(layer, weights=weights) if weights else layer

    def _statistics(self, layer: Layer, weight: Weight) -> WeightStatistics:
        key = _identity(weight)
        if key not in self._known:
            before = self._done
            self._known[key] = self._measured(layer, weight)
            self._done = before + (weight.bytes or 0)
            self._progress(self._done, self._total)
        return self._known[key]

    def _measured(self, layer: Layer, weight: Weight) -> WeightStatistics:
        try:
            return self._look(self._values.of(layer, weight), _identity(weight))
        except ValuesUnavailable as error:
            return WeightStatistics(status="unavailable", reason=error.reason)
        except InputError as error:
            return WeightStatistics(status="unavailable", reason=reason_of(error).reason)

    def _look(self, values: WeightValues, key: Hashable) -> WeightStatistics:
        seen = statistics_of(values, self._layouts[key], self._advance)
        if values.dequantised:
            seen = msgspec.structs.replace(seen, dequantised=True)
        if key in self._listed and 0 < values.count <= VECTOR and values.element.code.kind != "c":
            return msgspec.structs.replace(seen, values=_listed(values.array()))
        return seen

    def _advance(self, size: int) -> None:
        self._done += size
        self._progress(min(self._done, self._total), self._total)


def statistics_of(
    values: WeightValues, layout: str | None = None, advance: Callable[[int], None] | None = None
) -> WeightStatistics:
    """All statistics of one weight. `advance` is told the bytes of each chunk.

    Raises:
        InputError: The values are broken, or more than may be read.
    """
    channels = channels_of(layout, values.shape) if values.element.code.kind != "c" else None
    found = accumulator(values.element, channels)
    for chunk in values.chunks():
        found.add(chunk)
        if advance is not None:
            advance(chunk.size * values.bytes // values.count)
    return found.result()


def _identity(weight: Weight) -> Hashable:
    """Equal for weights that are the same stored array, read the same way."""
    place: Any = weight.location
    if place is None or place.offset is None:
        return weight.stored_as, place, id(weight)
    return place, weight.shape, weight.dtype


def _listed(vector: Array) -> tuple[float | None, ...]:
    """A vector's values; a float32 as the shortest decimal that stands for it."""
    if vector.dtype == np.float32:
        return tuple(finite_or_none(float(str(value))) for value in vector.reshape(-1))
    return tuple(finite_or_none(float(value)) for value in vector.reshape(-1))
