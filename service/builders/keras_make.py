"""Makes Keras layers from plans: checks arguments, makes what they hold, calls the constructor; builds no weights.

Runs inside `keras.StatelessScope`. Classes come from `keras.layers` by names on the allow-list, never from the spec.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import keras

from service.builders import keras_arguments, keras_objects, keras_old
from service.builders.common import Problems, clean, invalid, joined, named_argument
from service.builders.keras_allowed import COMMON_ARGUMENTS, ELSEWHERE, LAYERS, REFUSED, RENAMED
from service.builders.keras_plan import LayerSpec, ModelSpec
from service.errors import InvalidSpec
from service.language import Message, msg, sentences
from service.parsers.suggest import did_you_mean

Child = Callable[[Any, str], LayerSpec]
"""Reads a layer that stands inside another one's arguments."""
ModelMaker = Callable[[ModelSpec], Any]
"""Makes a real Keras model of a plan, for a wrapper to hold."""


class Maker:
    """Makes layers for one spec, collecting what is wrong with their arguments.

    Attributes:
        strict: A spec that a person wrote: whatever is not known is a mistake. A recorded config may hold custom
            initializers and the like, which change no shape and are left out with a note.
        notes: Sentences by layer pointer, on what was left out.
    """

    def __init__(self, child: Child, model: ModelMaker, problems: Problems, *, strict: bool) -> None:
        self.child = child
        self.model = model
        self.problems = problems
        self.strict = strict
        self.notes: dict[str, list[Message]] = {}

    def layer(self, spec: LayerSpec) -> Any | None:
        """The layer, without weights yet; None where its arguments are wrong (then `problems` says so)."""
        kind = layer_class(spec)
        known = signature(kind)
        given = (
            spec.arguments
            if self.strict
            else keras_old.arguments(spec.type, spec.arguments, known.names | COMMON_ARGUMENTS)
        )
        given = {**given, "name": spec.name} if "name" in known.names else given
        for name in COMMON_ARGUMENTS - known.names:
            given = {key: value for key, value in given.items() if key != name}
        before = len(self.problems.found)
        wrong = dict(keras_arguments.problems(given, known, spec.type))
        for name, problem in wrong.items():
            said = msg("{label}: {name} {problem}", label=spec.label, name=name, problem=problem)
            self.problems.add(f"{spec.pointer}.{name}", said)
        made = {name: self._value(spec, name, value) for name, value in given.items() if name not in wrong}
        if len(self.problems.found) > before:
            return None
        return self._construct(kind, known, made, spec)

    def _construct(
        self, kind: Any, known: keras_arguments.Signature, made: dict[str, Any], spec: LayerSpec
    ) -> Any | None:
        if "name" in made:
            made["name"] = safe_name(made["name"])
        if spec.trainable is not None and "trainable" not in known.names:
            made.pop("trainable", None)
        try:
            layer = kind(**made)
            if spec.trainable is False:
                layer.trainable = False
        except Exception as error:  # noqa: BLE001 - constructors of the framework raise what they like at odd arguments
            name = named_argument(str(error), known.names)
            pointer = f"{spec.pointer}.{name}" if name else spec.pointer
            self.problems.add(pointer, msg("{label}: {reason}", label=spec.label, reason=clean(str(error))))
            return None
        return layer

    def _value(self, spec: LayerSpec, name: str, value: Any) -> Any:
        """The value a constructor gets for the argument `name`."""
        make = _maker_of(name)
        if make is not None:
            made = make(value)
            if made.problem is not None:
                self._unmade(spec, name, value, made.problem)
            plain = spec.builds_as == "InputLayer" and made.value is not None
            return made.value.compute_dtype if plain else made.value
        pointer = f"{spec.pointer}.{name}"
        if name == "seed" and isinstance(value, dict):
            return None
        if name in ("layer", "backward_layer") and value is not None:
            return self._inner(value, pointer)
        if name in ("cell", "cells", "layers"):
            if not isinstance(value, list):
                return self._inner(value, pointer)
            return [self._inner(item, f"{pointer}[{index}]") for index, item in enumerate(value)]
        return _tuples(value)

    def _unmade(self, spec: LayerSpec, name: str, value: Any, problem: Message) -> None:
        if self.strict:
            said = msg("{label}: {name} {problem}", label=spec.label, name=name, problem=problem)
            self.problems.add(f"{spec.pointer}.{name}", said)
        elif value is not None:
            note = sentences(
                msg("{name} {problem}", name=name, problem=problem),
                msg("It was left out here, and shapes are taken as unchanged by it."),
            )
            self.notes.setdefault(spec.pointer, []).append(note)

    def _inner(self, value: Any, pointer: str) -> Any | None:
        """A layer held by another one; problems are collected, and None stands for what could not be made."""
        try:
            spec = self.child(value, pointer)
            if spec.model is not None:
                return self.model(spec.model)
            if spec.form == "opaque":
                raise invalid(pointer, msg("{label}: {reason}", label=spec.label, reason=joined(*spec.notes)))
            return self.layer(spec)
        except InvalidSpec as error:
            self.problems.add_from(error)
            return None


def layer_class(spec: LayerSpec) -> Any:
    """The class in `keras.layers` that a plan names; InvalidSpec if it is not on the allow-list."""
    name = RENAMED.get(spec.builds_as, spec.builds_as)
    if name in REFUSED:
        said = msg(
            "{label}: {type} is not built: {reason}.", label=spec.label, type=spec.type, reason=Message(REFUSED[name])
        )
        raise invalid(f"{spec.pointer}.type", said)
    if name in ELSEWHERE:
        return getattr(importlib.import_module(ELSEWHERE[name]), name)
    if name not in LAYERS:
        said = msg("{label}: there is no layer {type} in Keras.", label=spec.label, type=spec.type)
        raise invalid(f"{spec.pointer}.type", said, did_you_mean(spec.type, LAYERS))
    return getattr(keras.layers, name)


@functools.cache
def signature(kind: type) -> keras_arguments.Signature:
    """See `keras_arguments.signature`."""
    return keras_arguments.signature(kind)


def safe_name(name: str) -> str:
    """A layer name that Keras 3 accepts: older ones may hold slashes."""
    return name.replace("/", "_")


_MAKERS: Mapping[str, Callable[[Any], keras_objects.Made]] = {
    "_initializer": keras_objects.initializer,
    "_regularizer": keras_objects.regularizer,
    "_constraint": keras_objects.constraint,
    "activation": keras_objects.activation,
    "dtype": keras_objects.dtype_policy,
}


def _maker_of(name: str) -> Callable[[Any], keras_objects.Made] | None:
    if name == "vocabulary_dtype":
        return None
    return next((make for ending, make in _MAKERS.items() if name.endswith(ending)), None)


def _tuples(value: Any) -> Any:
    """Lists as tuples: some layers tell a list of sizes from a tuple of them."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value
