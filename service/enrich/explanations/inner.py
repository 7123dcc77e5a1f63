"""Wrappers that add nothing to the count of the layer inside: which layer that is, with its weights as its own.

Knows Keras' TimeDistributed, SpectralNormalization and Wrapper, whose configuration holds the inner layer.
"""

from __future__ import annotations

from typing import Any

import msgspec

from service.catalog.keras_classes import kind_of
from service.catalog.keras_variables import layout_of
from service.language import Message, msg
from service.tree import Layer, Weight

WRAPPERS = frozenset({"time_distributed", "spectral_norm", "wrapper"})


def unwrapped(layer: Layer, framework: str) -> Layer | None:
    """The layer inside, as if it stood alone; None where the configuration does not name it."""
    inner = layer.config.get("layer") if framework == "keras" and layer.kind in WRAPPERS else None
    class_name = inner.get("class_name") if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or not isinstance(class_name, str):
        return None
    module = inner.get("module")
    kind = kind_of(class_name, module if isinstance(module, str) else None)
    if kind in WRAPPERS:
        return None
    config: Any = inner.get("config")
    weights = tuple(_own(weight, class_name) for weight in layer.weights)
    return msgspec.structs.replace(
        layer, kind=kind, type=class_name, config=config if isinstance(config, dict) else {}, weights=weights
    )


def _own(weight: Weight, class_name: str) -> Weight:
    """A weight under the name and layout it has in a layer of its own."""
    rank = len(weight.shape) if weight.shape is not None else None
    layout = weight.layout or layout_of(class_name, weight.role, rank)
    return msgspec.structs.replace(weight, name=weight.name.partition("/")[2] or weight.name, layout=layout)


def wrapping(layer: Layer) -> Message | None:
    """What a wrapper does to the count."""
    if layer.kind == "time_distributed":
        return msg("The same inner layer is used at every time step, so the number of steps does not change the count.")
    if layer.kind == "wrapper":
        return msg("A wrapper has no weights of its own: these are those of the layer inside.")
    return None
