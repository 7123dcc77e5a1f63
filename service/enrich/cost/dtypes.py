"""The element type of activations: by a layer's policy, its weights, the model's weights; float32 by assumption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from service.catalog.torch_dtypes import element_bits
from service.language import Message, msg
from service.tree import Layer, Weight

AS_WEIGHTS = msg("Activations have the element type of the layer's weights.")
AS_MODEL = msg("Activations have the element type of most of the model's weights.")
AS_POLICY = msg("Activations have the element type that the layer's policy computes in.")
ASSUMED = msg("The element type of activations is not recorded: float32 is assumed.")

_COMPUTED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


def is_float(dtype: str | None) -> bool:
    """Whether arithmetic in this type is floating point of at least 16 bits."""
    return dtype in ("float16", "bfloat16", "float32", "float64")


def of_model(weights: Iterable[tuple[Weight, int]]) -> tuple[str, Message]:
    """The floating-point type of most weight elements of a model that has so many of each weight."""
    counts: Counter[str] = Counter()
    for weight, times in weights:
        if weight.dtype is not None and is_float(weight.dtype):
            counts[weight.dtype] += (weight.count or 0) * times
    return (counts.most_common(1)[0][0], AS_MODEL) if counts else ("float32", ASSUMED)


def of_layer(layer: Layer, model: tuple[str, Message], *, torch: bool) -> tuple[str, Message]:
    """The type of a layer's outputs, and how it was told."""
    if not torch:
        computed = _policy(layer.config.get("dtype"))
        if computed is not None:
            return computed, AS_POLICY
    for weight in layer.weights:
        if is_float(weight.dtype):
            return str(weight.dtype), AS_WEIGHTS
    return model


def _policy(value: Any) -> str | None:
    """`float16` for `mixed_float16`, also inside Keras 3's `{"class_name": "DTypePolicy", "config": {"name": ...}}`."""
    if isinstance(value, dict):
        config = value.get("config")
        value = config.get("name") if isinstance(config, dict) else None
    if not isinstance(value, str):
        return None
    name = value.rpartition("_from_")[2]
    computed = _COMPUTED.get(name, name)
    return computed if is_float(computed) or element_bits(computed) is not None else None
