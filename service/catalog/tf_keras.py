"""Keras 2 models in SavedModels: layers from the metadata of their objects, weights from the variables these own.

Knows `_tf_keras_*` objects and how their JSON spells tuples; the configuration itself becomes layers in `keras_layers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from service.catalog.keras_classes import KIND_OF_CLASS, is_custom, kind_of
from service.catalog.keras_config import Spec, parse_layer, parse_model, plain_config
from service.catalog.keras_layers import Layers
from service.catalog.keras_objects import is_number
from service.catalog.keras_paths import Paths
from service.catalog.keras_shelf import Found, NamedShelf, Shelf
from service.catalog.tf_objects import children_of
from service.catalog.tf_variables import Variable, as_stored, found_by_key
from service.config import Limits
from service.errors import InputError, LimitExceeded
from service.language import Message, msg
from service.parsers.tensorflow_objects import Object
from service.plain import text
from service.tree import Layer, Weight

PREFIX = "_tf_keras_"
_LISTS = frozenset(
    {
        "variables", "trainable_variables", "non_trainable_variables", "regularization_losses", "keras_api",
        "signatures", "optimizer", "metrics", "layer_metrics", "layers", "layer_regularization_losses",
    }
)  # fmt: skip
"""What Keras 2 attaches to every layer beside the attributes that the class itself has."""
_SEQUENCES = ("__tuple__", "TensorShape", "__list__")
_NOT_LISTED = msg(
    "The model is a class of the user's own: layers are listed by its attributes, and how they are joined is not "
    "recorded."
)

Metadata = Callable[[int], dict[str, Any]]
"""The description of an object by its number; empty where there is none."""


class KerasParts(NamedTuple):
    """What a Keras 2 SavedModel tells: layers, the numbers of the variables in them, the compile settings, notes."""

    layers: tuple[Layer, ...]
    claimed: frozenset[str]
    spec: Spec
    compiled: dict[str, Any]
    notes: tuple[Message, ...]


def is_keras(objects: Sequence[Object]) -> bool:
    """Whether the first object is a model or layer of Keras 2."""
    return bool(objects) and (objects[0].identifier or "").startswith(PREFIX)


def read_keras(
    objects: Sequence[Object], metadata: Metadata, variables: Mapping[int, Variable], limits: Limits
) -> KerasParts | None:
    """The model whose first object is Keras'; None where its description is missing or is not one."""
    described = metadata(0)
    document = {"class_name": described.get("class_name"), "config": described.get("config") or {}}
    if not isinstance(document["class_name"], str):
        return None
    spec = parse_model(document, limits.layers)
    by_key = {variable.key: variable for variable in variables.values()}
    if spec.layers is not None:
        built = Layers(spec, limits.weights)
        built.model(spec, _Shelf(objects, _Owned(objects, variables, limits), spec, 0))
        found, notes = built.layers, built.notes
    else:
        walk = _Walk(objects, metadata, _Owned(objects, variables, limits), limits)
        walk.run(spec.trainable)
        found, notes = walk.layers, [_NOT_LISTED]
    layers = tuple(found_by_key(layer, by_key) for layer in found)
    claimed = frozenset(weight.stored_as or "" for layer in layers for weight in layer.weights)
    compiled = described.get("training_config")
    return KerasParts(layers, claimed, spec, compiled if isinstance(compiled, dict) else {}, tuple(notes))


def plain(value: Any) -> Any:
    """JSON of a Keras 2 SavedModel with tuples and shapes as lists, as other files of Keras have them."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        items = value.get("items")
        if value.get("class_name") in _SEQUENCES and isinstance(items, list):
            return [plain(item) for item in items]
        return {key: plain(item) for key, item in value.items()}
    return value


class _Owned:
    """The variables of each object, read once a list; layers that share lists without end are refused."""

    def __init__(self, objects: Sequence[Object], variables: Mapping[int, Variable], limits: Limits) -> None:
        self._objects = objects
        self._variables = variables
        self._limits = limits
        self._room = limits.weights
        self._known: dict[int, list[Variable]] = {}

    def of(self, number: int) -> list[Variable]:
        """The variables that a layer's object lists, else those among its attributes."""
        listed = children_of(self._objects[number]).get("variables")
        place = number if listed is None else listed
        if place not in self._known:
            children: Sequence[tuple[str, int]] = self._objects[place].children
            if listed is not None:
                children = sorted((item for item in children if is_number(item[0])), key=lambda item: int(item[0]))
            self._known[place] = [self._variables[child] for _, child in children if child in self._variables]
        found = self._known[place]
        self._room -= len(found)
        if self._room < 0:
            raise LimitExceeded("weights", self._limits.weights, msg("The model's layers list too many variables."))
        return found


class _Shelf:
    """The variables of one model's layers: its object holds them as `layer-0`, `layer-1` ..."""

    def __init__(self, objects: Sequence[Object], variables: _Owned, spec: Spec, number: int | None) -> None:
        self._objects = objects
        self._variables = variables
        children = children_of(objects[number]) if number is not None else {}
        numbered = {layer.pointer: children.get(f"layer-{index}") for index, layer in enumerate(spec.members)}
        self._places = {pointer: place for pointer, place in numbered.items() if place is not None}

    def has(self, layer: Spec) -> bool | None:
        """Whether the model's object holds the layer."""
        return layer.pointer in self._places if self._places else None

    def weights(self, layer: Spec, trainable: bool | None) -> Found:
        """The variables that the layer's object lists, in Keras' order."""
        place = self._places.get(layer.pointer)
        if place is None:
            return Found()
        return _weights(self._variables.of(place), layer, trainable)

    def inner(self, layer: Spec) -> Shelf:
        """The shelf of a nested model."""
        return _Shelf(self._objects, self._variables, layer, self._places.get(layer.pointer))

    def own(self, _trainable: bool | None) -> Found:
        """A model that lists its layers holds no variables beside them."""
        return Found()

    def repeats(self, earlier: tuple[Weight, ...], later: tuple[Weight, ...]) -> bool:
        """Whether both are the same variables."""
        return [weight.stored_as for weight in earlier] == [weight.stored_as for weight in later]


def _weights(variables: list[Variable], layer: Spec, trainable: bool | None) -> Found:
    lists = {layer.name: [as_stored(variable) for variable in variables]}
    found = NamedShelf(lists, [], lambda _one, _other: False).weights(layer, trainable)
    return Found(weights=found.weights, notes=found.notes, keys=tuple(variable.key for variable in variables))


class _Walk:
    """Layers by the attributes of a user's model; `layers` is the result."""

    def __init__(self, objects: Sequence[Object], metadata: Metadata, variables: _Owned, limits: Limits) -> None:
        self._objects = objects
        self._metadata = metadata
        self._variables = variables
        self._limits = limits
        self._paths = Paths()
        self._seen: set[int] = {0}
        self._claimed: set[str] = set()
        self.layers: list[Layer] = []

    def run(self, trainable: bool | None) -> None:
        """Everything below the first object, and what it holds itself."""
        open_layers: list[tuple[int, str | None, bool | None]] = []
        open_layers.extend((number, None, trainable) for number in reversed(self._inside(0)))
        while open_layers:
            open_layers.extend(reversed(self._layer(*open_layers.pop())))
        own = [one for one in self._variables.of(0) if one.key not in self._claimed]
        if own:
            weights = _weights(own, _nameless("."), None).weights
            self.layers.append(Layer(path=".", name=".", kind="parameter", type_source="unknown", weights=weights))

    def _inside(self, number: int) -> list[int]:
        """The layers in an object, through lists and other objects, that were not seen before."""
        found: list[int] = []
        waiting = [number]
        while waiting:
            here = waiting.pop()
            inner: list[int] = []
            for name, child in self._objects[here].children:
                if child in self._seen or name in _LISTS:
                    continue
                self._seen.add(child)
                if (self._objects[child].identifier or "").startswith(PREFIX):
                    found.append(child)
                elif self._objects[child].variable is None:
                    inner.append(child)
            waiting.extend(reversed(inner))
        return found

    def _layer(
        self, number: int, parent: str | None, trainable: bool | None
    ) -> list[tuple[int, str | None, bool | None]]:
        """Add the layer `number`; the layers in it, with its path and its switch."""
        if self._objects[number].identifier == f"{PREFIX}metric":
            return []
        described = self._metadata(number)
        spec = _spec_of(described)
        name = text(str(described.get("name") or (spec.name if spec is not None else "layer")))
        path = self._paths.take(parent, name)
        own = described.get("trainable")
        switch = False if trainable is False or own is False else own if isinstance(own, bool) else trainable
        whole = spec is not None and spec.class_name in KIND_OF_CLASS and spec.layers is None
        inside = [] if whole else self._inside(number)
        of_others = {one.key for child in inside for one in self._variables.of(child)}
        kept = [one for one in self._variables.of(number) if one.key not in of_others and one.key not in self._claimed]
        self._claimed.update(one.key for one in kept)
        known = spec or _nameless(name)
        weights = _weights(kept, known, switch).weights
        self._add(_entry(known, path, name, parent, own if isinstance(own, bool) else None, weights))
        return [(child, path, switch) for child in inside]

    def _add(self, layer: Layer) -> None:
        if len(self.layers) >= self._limits.layers:
            raise LimitExceeded("layers", self._limits.layers, msg("The model has too many layers."))
        self.layers.append(layer)


def _nameless(name: str) -> Spec:
    return Spec(name=name, class_name="", module=None, registered=None, config={}, pointer="/")


def _spec_of(described: dict[str, Any]) -> Spec | None:
    """The specification in an object's description, None if it is none."""
    try:
        return parse_layer({"class_name": described.get("class_name"), "config": described.get("config") or {}})
    except InputError:
        return None


def _entry(
    spec: Spec, path: str, name: str, parent: str | None, own: bool | None, weights: tuple[Weight, ...]
) -> Layer:
    class_name = spec.class_name or None
    return Layer(
        path=path,
        name=name,
        parent=parent,
        type=class_name,
        type_source="recorded" if class_name else "unknown",
        module=spec.module,
        kind="container" if spec.layers is not None else kind_of(class_name, spec.module),
        custom=class_name is not None and is_custom(class_name, spec.module),
        config=plain_config({key: value for key, value in spec.config.items() if key != "layers"}),
        trainable=own,
        weights=weights,
    )
