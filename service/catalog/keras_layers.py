"""The layers of a report from a Keras configuration and the shelf its weights lie on.

Knows paths, nesting, edges, sharing and trainability; must not know how files store anything.
"""

from __future__ import annotations

from typing import Any

from service.catalog.keras_classes import is_custom, kind_of
from service.catalog.keras_config import Spec, plain_config
from service.catalog.keras_paths import Paths
from service.catalog.keras_shapes import LayerShapes, infer_shapes
from service.catalog.keras_shelf import Found, Shelf
from service.errors import LimitExceeded
from service.language import Message, msg
from service.tree import Layer, Shape, Weight

MODEL_ITSELF = "."
"""Path of the entry that holds variables owned by the model itself."""

_UNKNOWN = LayerShapes(inputs=None, outputs=None)
_STRUCTURE = frozenset({"layers", "input_layers", "output_layers"})
"""Parts of a nested model's configuration that the report gives as layers and edges."""


class Layers:
    """Builds the list; `layers` and `notes` are the result."""

    def __init__(self, model: Spec, max_weights: int) -> None:
        self._shapes = infer_shapes(model)
        self._limit = self._room = max_weights
        self._paths = Paths()
        self._first: dict[tuple[Any, ...], str] = {}
        self._stored: dict[tuple[str, ...], tuple[str, tuple[Weight, ...]]] = {}
        self.layers: list[Layer] = []
        self.notes: list[Message] = []

    def model(self, spec: Spec, shelf: Shelf) -> None:
        """Everything inside the top model, and what it holds itself."""
        self._members(spec, shelf, None, spec.trainable, ())
        self._own(MODEL_ITSELF, None, shelf.own(spec.trainable))

    def _members(
        self, spec: Spec, shelf: Shelf, parent: str | None, trainable: bool | None, fed_by: tuple[tuple[str, ...], ...]
    ) -> None:
        """The layers of one model; `fed_by` are the paths behind each of its inputs."""
        paths = {layer.pointer: self._paths.take(parent, layer.name) for layer in spec.members}
        edges = _edges(spec, paths, fed_by)
        for layer in spec.members:
            path = paths[layer.pointer]
            switch = _both(trainable, layer.trainable)
            if layer.layers is None:
                self._leaf(layer, path, parent, switch, shelf, edges[layer.pointer])
            else:
                self._nested(layer, path, parent, switch, shelf, edges[layer.pointer])

    def _leaf(
        self,
        layer: Spec,
        path: str,
        parent: str | None,
        trainable: bool | None,
        shelf: Shelf,
        edges: tuple[tuple[str, ...], ...] | None,
    ) -> None:
        shared = self._shared_with(layer, path, shelf)
        found = Found() if shared else shelf.weights(layer, trainable)
        if found.keys:
            first, weights = self._stored.setdefault(found.keys, (path, found.weights))
            if first != path and shelf.repeats(weights, found.weights):
                shared, found = first, Found()
        self._add(self._entry(layer, path, parent, edges, shared, found))

    def _nested(
        self,
        layer: Spec,
        path: str,
        parent: str | None,
        trainable: bool | None,
        shelf: Shelf,
        edges: tuple[tuple[str, ...], ...] | None,
    ) -> None:
        shared = self._shared_with(layer, path, shelf)
        inner = shelf.inner(layer)
        own = Found() if shared else inner.own(trainable)
        self._add(self._entry(layer, path, parent, edges, shared, own))
        self._members(layer, inner, path, trainable, edges or ())

    def _own(self, path: str, parent: str | None, found: Found) -> None:
        if found.weights:
            self._add(
                Layer(
                    path=path,
                    name=path,
                    kind="parameter",
                    type_source="unknown",
                    parent=parent,
                    weights=found.weights,
                    notes=found.notes,
                )
            )

    def _entry(
        self,
        layer: Spec,
        path: str,
        parent: str | None,
        edges: tuple[tuple[str, ...], ...] | None,
        shared: str | None,
        found: Found,
    ) -> Layer:
        shapes = self._shapes.get(layer.pointer, _UNKNOWN)
        return Layer(
            path=path,
            name=layer.name,
            parent=parent,
            type=layer.class_name,
            module=layer.module,
            kind=_kind(layer),
            custom=not layer.operation and is_custom(layer.class_name, layer.module),
            config=_config(layer),
            trainable=layer.trainable,
            input_shapes=_input_shapes(layer, shapes),
            output_shapes=shapes.outputs,
            inputs=_flat(edges),
            shared_with=shared,
            uses=_uses(layer, edges),
            weights=found.weights,
            notes=found.notes,
        )

    def _add(self, layer: Layer) -> None:
        self._room -= len(layer.weights)
        if self._room < 0:
            raise LimitExceeded("weights", self._limit, msg("The model has too many weights."))
        self.layers.append(layer)

    def _shared_with(self, layer: Spec, path: str, shelf: Shelf) -> str | None:
        """The first occurrence of the same object: by Keras' number for it, or because it is not stored twice."""
        there = shelf.has(layer)
        numbered = ("id", layer.shared_id)
        named = ("name", layer.class_name, layer.name)
        first = self._first.get(numbered) if layer.shared_id is not None else None
        if first is None and there is False and not layer.operation:
            first = self._first.get(named)
        if first is None and layer.shared_id is not None:
            self._first.setdefault(numbered, path)
        self._first.setdefault(named, path)
        return first


def _edges(
    spec: Spec,
    paths: dict[str, str],
    fed_by: tuple[tuple[str, ...], ...],
) -> dict[str, tuple[tuple[str, ...], ...] | None]:
    """For each layer the paths behind each of its inputs; None where the file has no graph."""
    if spec.class_name == "Merge":
        return {layer.pointer: () for layer in spec.members}
    return _chain_edges(spec, paths, fed_by) if spec.sequential else _graph_edges(spec, paths, fed_by)


def _chain_edges(
    spec: Spec,
    paths: dict[str, str],
    fed_by: tuple[tuple[str, ...], ...],
) -> dict[str, tuple[tuple[str, ...], ...] | None]:
    edges: dict[str, tuple[tuple[str, ...], ...] | None] = {}
    current = fed_by
    for layer in spec.members:
        edges[layer.pointer] = current
        current = ((paths[layer.pointer],),)
    return edges


def _graph_edges(
    spec: Spec,
    paths: dict[str, str],
    fed_by: tuple[tuple[str, ...], ...],
) -> dict[str, tuple[tuple[str, ...], ...] | None]:
    by_name = {layer.name: paths[layer.pointer] for layer in spec.members}
    order = {name: index for index, name in enumerate(spec.inputs)}
    edges: dict[str, tuple[tuple[str, ...], ...] | None] = {}
    for layer in spec.members:
        if layer.class_name == "InputLayer":
            index = order.get(layer.name, len(fed_by))
            edges[layer.pointer] = fed_by if len(fed_by) != len(order) else fed_by[index : index + 1]
        elif layer.calls is None:
            edges[layer.pointer] = None
        else:
            edges[layer.pointer] = _inputs(layer, by_name)
    return edges


def _inputs(layer: Spec, by_name: dict[str, str]) -> tuple[tuple[str, ...], ...]:
    """Per input position the paths that feed it, over all calls."""
    positions: list[dict[str, None]] = []
    for references in layer.calls or ():
        known = [by_name[found.layer] for found in references if found.layer in by_name]
        for index, path in enumerate(known):
            if index == len(positions):
                positions.append({})
            positions[index][path] = None
    return tuple(tuple(paths) for paths in positions)


def _flat(edges: tuple[tuple[str, ...], ...] | None) -> tuple[str, ...] | None:
    if edges is None:
        return None
    return tuple(dict.fromkeys(path for paths in edges for path in paths))


def _uses(layer: Spec, edges: tuple[tuple[str, ...], ...] | None) -> int | None:
    if layer.calls is None:
        return None if edges is None else 1
    return max(1, len(layer.calls)) if layer.class_name == "InputLayer" else len(layer.calls)


def _both(above: bool | None, own: bool | None) -> bool | None:
    """Whether a layer learns: not if it or anything around it is frozen, unknown if its own switch is not recorded."""
    if above is False or own is False:
        return False
    return True if own is None and above is not None else own


def _kind(layer: Spec) -> str:
    if layer.layers is not None:
        return "container"
    if layer.class_name == "Merge":
        return "merge"
    if layer.operation:
        return "operation"
    return kind_of(layer.class_name, layer.module)


def _config(layer: Spec) -> dict[str, Any]:
    if layer.layers is None:
        return plain_config(layer.config)
    return plain_config({key: value for key, value in layer.config.items() if key not in _STRUCTURE})


def _input_shapes(layer: Spec, shapes: LayerShapes) -> tuple[Shape, ...] | None:
    return shapes.outputs if layer.class_name == "InputLayer" else shapes.inputs
