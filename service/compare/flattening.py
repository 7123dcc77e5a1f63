"""Where a linear layer sees a map made flat, and in which order; knows channel conventions, no numbers.

Keras keeps channels last, so Flatten gives (height, width, channel); PyTorch keeps them first, so it gives (channel,
height, width). Only the number of channels and of positions matters, not the sides of the map: both orders run
through height before width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from service.compare.order import MAX_STEPS, only_feeders
from service.compare.units import Unit
from service.tree import Layer, Report


@dataclass(frozen=True, slots=True)
class Flat:
    """A map made flat. `last`: whether one position's channels lie together (height, width, channel)."""

    channels: int
    positions: int
    last: bool


class Flattenings:
    """What one model says of the inputs of its linear layers. `units` in the order in which they are aligned.

    `channels_last` is the framework's own way, for where the model says nothing.
    """

    def __init__(self, report: Report, units: Sequence[Unit]) -> None:
        self._layers = {layer.path: layer for layer in report.layers}
        self._above = only_feeders(report)
        self._units = units
        self._torch = report.model.framework not in _CHANNELS_LAST
        self.channels_last = not self._torch

    def of(self, index: int) -> Flat | None:
        """The map that a unit sees flat; None if its inputs are nothing of the kind."""
        unit = self._units[index]
        kernel = unit.slots.get("kernel")
        if unit.family != "linear" or kernel is None or len(kernel.view.shape or ()) != 2:
            return None
        inputs = (kernel.view.shape or (0,))[0]
        if unit.layer.inputs:
            return self._by_graph(unit.layer, inputs)
        return self._by_place(index, inputs)

    def _by_graph(self, layer: Layer, inputs: int) -> Flat | None:
        """Up to the Flatten that feeds the layer, and from there to what made the map."""
        flatten = self._first(layer, lambda at: at.kind == "reshape" and _is_flat(at))
        if flatten is None or not flatten.input_shapes:
            return None
        shape = flatten.input_shapes[0]
        maker = self._first(flatten, lambda at: bool(at.weights) or at.kind == "input")
        if len(shape) < 3 or (len(shape) == 3 and (maker is None or not maker.kind.startswith(_MAPS))):
            return None
        last = self._channels_last(flatten, maker)
        mapped_last = last if self._torch else not _is_first(maker)
        channels = shape[-1] if mapped_last else shape[1]
        return _flattening(channels, inputs, last)

    def _first(self, layer: Layer, wanted: Callable[[Layer], bool]) -> Layer | None:
        """The first layer up the only way that is `wanted`, through layers without weights and normalisations."""
        path: str | None = layer.path
        for _ in range(MAX_STEPS):
            path = self._above.get(path or "")
            at = self._layers.get(path or "")
            if at is None:
                return None
            norm = at.kind.endswith("_norm")
            if wanted(at) and not norm:
                return at
            if at.weights and not norm:
                return None
        return None

    def _channels_last(self, flatten: Layer, maker: Layer | None) -> bool:
        if self._torch:
            return self._turned(flatten)
        return flatten.config.get("data_format") == "channels_first" or not _is_first(maker)

    def lies_last(self, index: int) -> bool:
        """Whether a map before a unit, of which nothing else is told, has its channels last when it is made flat."""
        return self.channels_last or self._turned(self._units[index].layer)

    def _turned(self, layer: Layer) -> bool:
        """Whether axes are exchanged on the way up to what made the map, so that channels come last."""
        turning = self._first(layer, lambda at: _order(at) is not None)
        order = _order(turning) if turning is not None else None
        return order is not None and len(order) > 2 and order[-1] == 1

    def _by_place(self, index: int, inputs: int) -> Flat | None:
        """Without a graph: the last layer before it is a convolution whose channels divide the inputs."""
        for before in range(index - 1, max(-1, index - MAX_STEPS), -1):
            unit = self._units[before]
            if unit.family == "norm":
                continue
            kernel = unit.slots.get("kernel")
            if not unit.family.startswith(("conv", "deconv")) or kernel is None or not kernel.view.shape:
                return None
            return _flattening(kernel.view.shape[-1], inputs, not self._torch)
        return None


_CHANNELS_LAST = frozenset({"keras", "tensorflow", "tflite", "jax", "mlx"})
"""Frameworks whose maps have their channels last, unless a layer says otherwise."""
_MAPS = ("conv", "depthwise_conv", "separable_conv")


def _order(layer: Layer) -> list[Any] | None:
    """The order that a layer puts axes into; None for one that does nothing of the kind."""
    given = layer.config.get("perm", layer.config.get("order")) if layer.kind == "reshape" else None
    return list(given) if isinstance(given, list | tuple) else None


def _is_flat(layer: Layer) -> bool:
    shapes, given = layer.output_shapes, layer.input_shapes
    return bool(shapes and given) and len((shapes or ((),))[0]) == 2 and len((given or ((),))[0]) > 2


def _is_first(layer: Layer | None) -> bool:
    return layer is not None and layer.config.get("data_format") == "channels_first"


def _flattening(channels: int | None, inputs: int, last: bool) -> Flat | None:
    if not channels or inputs % channels or channels in (inputs, 1):
        return None
    return Flat(channels=channels, positions=inputs // channels, last=last)
