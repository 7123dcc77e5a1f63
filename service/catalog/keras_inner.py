"""The layers inside Keras' composite layers: which attribute holds which, in the order Keras counts their weights.

Knows Bidirectional, wrappers, recurrent cells and attention; must not know files. Attribute names are those that
Keras uses as group names in the files it writes.
"""

from __future__ import annotations

from typing import Any

from service.catalog.keras_classes import KIND_OF_CLASS, class_of_group, snake_case
from service.catalog.keras_config import Spec, parse_layer
from service.tree import Frozen

_CELL_OF_LAYER = {
    "SimpleRNN": "SimpleRNNCell",
    "LSTM": "LSTMCell",
    "GRU": "GRUCell",
    "ConvLSTM1D": "ConvLSTMCell",
    "ConvLSTM2D": "ConvLSTMCell",
    "ConvLSTM3D": "ConvLSTMCell",
}
FUSED_CELL = frozenset(_CELL_OF_LAYER)
"""Recurrent layers whose single cell is an implementation detail: its variables count as their own."""

_PROJECTIONS = ("query", "key", "gate", "value", "output")


_HOLDERS = frozenset({"wrapper", "time_distributed", "spectral_norm", "preprocessing", "container"})
"""Kinds of Keras' own layers that may hold another one in their configuration."""


class Inner(Frozen, frozen=True, kw_only=True):
    """An inner layer: names its attribute may have in the file, and its class and arguments where they are known.

    `visible` is False for a cell that is an implementation detail: where the layer around it is the one that is
    reported, the cell's name is no part of its variables' names.
    """

    attributes: tuple[str, ...]
    class_name: str | None = None
    config: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies it for each
    name: str | None = None
    visible: bool = True


def inner_layers(class_name: str, config: dict[str, Any]) -> tuple[Inner, ...]:
    """The layers inside a layer of `class_name`, as far as its configuration tells."""
    if class_name in _CELL_OF_LAYER:
        cell = _CELL_OF_LAYER[class_name]
        return (Inner(attributes=("cell",), class_name=cell, config=config, name=snake_case(cell), visible=False),)
    kind = KIND_OF_CLASS.get(class_name)
    if kind in ("multi_head_attention", "grouped_query_attention"):
        return tuple(_projection(part, config) for part in _PROJECTIONS)
    if kind == "bidirectional":
        return _directions(config)
    if class_name == "StackedRNNCells":
        return _cells(config)
    if class_name == "RNN":
        return _cell(config)
    return _configured(config) if kind is None or kind in _HOLDERS else ()


def _projection(part: str, config: dict[str, Any]) -> Inner:
    bias = {"bias_axes": "h"} if config.get("use_bias", True) is True else {}
    return Inner(
        attributes=(f"{part}_dense", f"_{part}_dense"),
        class_name="EinsumDense",
        config={"dtype": config.get("dtype"), **bias},
        name="attention_output" if part == "output" else part,
    )


def _directions(config: dict[str, Any]) -> tuple[Inner, ...]:
    forward = parse_layer(config.get("layer"))
    backward = parse_layer(config.get("backward_layer")) or forward
    if forward is None or backward is None:
        return ()
    return (
        _of(forward, "forward_layer", f"forward_{forward.name.removeprefix('forward_')}"),
        _of(backward, "backward_layer", f"backward_{backward.name.removeprefix('backward_')}"),
    )


def _of(spec: Spec, attribute: str, name: str | None = None) -> Inner:
    return Inner(attributes=(attribute,), class_name=spec.class_name, config=spec.config, name=name or spec.name)


def _cells(config: dict[str, Any]) -> tuple[Inner, ...]:
    """Cells of a stack: numbered among those of one class, as every list of layers is."""
    found: list[Inner] = []
    names = GroupNames()
    value = config.get("cells")
    for item in value if isinstance(value, list) else []:
        spec = parse_layer(item)
        if spec is not None:
            found.append(_of(spec, f"cells/{names.next(spec.class_name)}"))
    return tuple(found)


def _cell(config: dict[str, Any]) -> tuple[Inner, ...]:
    cell = config.get("cell")
    if isinstance(cell, list):
        return (Inner(attributes=("cell",), class_name="StackedRNNCells", config={"cells": cell}),)
    spec = parse_layer(cell)
    return () if spec is None else (_of(spec, "cell"),)


def _configured(config: dict[str, Any]) -> tuple[Inner, ...]:
    """Layers that the configuration holds under the name of their attribute: wrappers, and custom layers that do so."""
    found = ((key, parse_layer(value)) for key, value in config.items() if isinstance(value, dict))
    return tuple(_of(spec, key) for key, spec in found if spec is not None and _is_layer(spec))


def _is_layer(spec: Spec) -> bool:
    return spec.class_name in KIND_OF_CLASS or "trainable" in spec.config


class GroupNames:
    """The group names Keras gives the layers of one list: class in snake case, numbered from the second on."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def next(self, class_name: str) -> str:
        """The name of the next layer of `class_name`."""
        base = snake_case(class_name)
        number = self._used[base] = self._used.get(base, -1) + 1
        return f"{base}_{number}" if number else base


def guessed_class(key: str, name: str | None, in_list: bool) -> str | None:
    """The class that a weight group without configuration probably belongs to.

    By the automatic name of the layer, or by the group's own name where groups are named after classes (`in_list`).
    """
    automatic = (name or "").removeprefix("forward_").removeprefix("backward_")
    by_name = class_of_group(automatic)
    return by_name or (class_of_group(key) if in_list else None)
