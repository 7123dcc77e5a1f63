"""The tensors of one model while its plan runs, and the order of its calls; knows plans and Keras tensors.

Must not know how a layer is made or what is reported of it.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import keras
import numpy as np

from service.builders.common import as_shape, invalid
from service.builders.keras_calls import Constant
from service.builders.keras_plan import Call, LayerSpec, ModelSpec, Ref, refs
from service.language import msg
from service.tree import Shape

Tensor = Any
"""A `KerasTensor`; None where its shape is not known."""


class Env:
    """What each call of one model returned; where that is not known, what the file recorded of it."""

    def __init__(self, model: ModelSpec) -> None:
        self.model = model
        self._outputs: dict[tuple[str, int], list[Tensor]] = {}
        self._recorded: dict[tuple[str, int, int], Ref] = {}
        for spec in model.layers:
            for call in spec.calls:
                for ref in refs((call.args, call.kwargs)):
                    if ref.shape is not None:
                        self._recorded[ref.layer, ref.node, ref.tensor] = ref

    def put(self, layer: str, node: int, tensors: list[Tensor]) -> None:
        """Note the outputs of a call; an empty list where nothing is known of them."""
        self._outputs[layer, node] = tensors

    def tensor(self, ref: Ref) -> Tensor:
        """The tensor that `ref` names; InvalidSpec if its layer has fewer outputs."""
        tensors = self._outputs.get((ref.layer, ref.node), [])
        if tensors and ref.tensor >= len(tensors):
            place, name = self.model.pointer, ref.layer[:100]
            raise invalid(
                place,
                msg('{place}: "{name}" has no output number {number}.', place=place, name=name, number=ref.tensor),
            )
        found = tensors[ref.tensor] if tensors else None
        if found is not None:
            return found
        recorded = self._recorded.get((ref.layer, ref.node, ref.tensor), ref)
        return None if recorded.shape is None else symbolic(recorded.shape, recorded.dtype)

    def recorded(self, layer: str) -> list[Tensor]:
        """The outputs of a layer's first call as far as the file records them."""
        found = sorted(key for key in self._recorded if key[:2] == (layer, 0))
        if [key[2] for key in found] != list(range(len(found))):
            return []
        return [self.tensor(Ref(*key)) for key in found]

    def resolve(self, value: Any, replaced: dict[Ref, Tensor]) -> Any:
        """Nested arguments with tensors for their `Ref`s; `replaced` goes first."""
        if isinstance(value, Ref):
            return replaced[value] if value in replaced else self.tensor(value)
        if isinstance(value, Constant):
            return np.asarray(value.value, value.dtype)
        if isinstance(value, list | tuple):
            return [self.resolve(item, replaced) for item in value]
        if isinstance(value, dict):
            return {key: self.resolve(item, replaced) for key, item in value.items()}
        return value


def symbolic(shape: Shape, dtype: str | None = None) -> Tensor:
    """A tensor of a shape that nothing computes; float32 where the dtype is not one of Keras'."""
    try:
        return keras.KerasTensor(shape, dtype or "float32")
    except ValueError:
        return keras.KerasTensor(shape, "float32")


def shapes(tensors: list[Tensor]) -> tuple[Shape, ...] | None:
    """Shapes with an open batch axis; None if there are none or one is not known."""
    if not tensors or any(tensor is None for tensor in tensors):
        return None
    return tuple(as_shape((None, *tensor.shape[1:]) if tensor.shape else ()) for tensor in tensors)


def from_build_shape(spec: LayerSpec, call: Call) -> dict[Ref, Tensor]:
    """Inputs as recorded when the layer was built, where that is unambiguous; else nothing."""
    given = refs((call.args, call.kwargs))
    recorded = spec.build_shape
    if not isinstance(recorded, list) or not recorded:
        return {}
    each = recorded if isinstance(recorded[0], list) else [recorded]
    found = [_sizes(shape) for shape in each]
    if len(found) != len(given) or any(shape is None for shape in found):
        return {}
    return {ref: symbolic(shape) for ref, shape in zip(given, found, strict=True) if shape is not None}


def _sizes(value: Any) -> Shape | None:
    if not isinstance(value, list) or not all(size is None or (type(size) is int and size >= 0) for size in value):
        return None
    return tuple(value)


def order(model: ModelSpec) -> list[tuple[LayerSpec, int]]:
    """All calls so that each comes after those that feed it; InvalidSpec names the layers of a cycle."""
    waits: dict[tuple[str, int], int] = {}
    feeds: dict[tuple[str, int], list[tuple[str, int]]] = {}
    entries = {spec.name for spec in model.layers if spec.form == "input"}
    specs = {spec.name: spec for spec in model.layers}
    for spec in model.layers:
        for number, call in enumerate(spec.calls):
            sources = {(ref.layer, ref.node) for ref in refs((call.args, call.kwargs)) if ref.layer not in entries}
            waits[spec.name, number] = len(sources)
            for source in sources:
                feeds.setdefault(source, []).append((spec.name, number))
    ready = deque(key for key, count in waits.items() if not count)
    done: list[tuple[LayerSpec, int]] = []
    while ready:
        key = ready.popleft()
        done.append((specs[key[0]], key[1]))
        for fed in feeds.get(key, ()):
            waits[fed] -= 1
            if not waits[fed]:
                ready.append(fed)
    if len(done) < len(waits):
        _raise_cycle(model, {name for (name, _), count in waits.items() if count})
    return done


def _raise_cycle(model: ModelSpec, names: set[str]) -> None:
    first = next(spec for spec in model.layers if spec.name in names)
    listed = ", ".join(f'"{spec.name[:60]}"' for spec in model.layers if spec.name in names)[:300]
    raise invalid(
        first.pointer,
        msg("{label}: the layers {layers} feed one another in a circle.", label=first.label, layers=listed),
    )
