"""The object graphs in SavedModels and in checkpoints of TF 2: which object owns which, and which are variables.

Knows the messages; must not know Keras or what an object is for.
Sources: tensorflow/core/protobuf/saved_object_graph.proto, trackable_object_graph.proto,
keras/protobuf/saved_metadata.proto of tf_keras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from service.config import Limits
from service.errors import LimitExceeded
from service.language import msg
from service.parsers.protobuf import BYTES, Blocks, Field, fields, message, text_of
from service.parsers.tensorflow_types import dtype_name, shape_of
from service.source import Source
from service.tree import Shape

_MAX_OBJECTS = 10
"""Objects per weight that is allowed: each layer has a dozen lists of its own."""
_CHILDREN, _ATTRIBUTES, _SLOTS, _USER, _ASSET, _VARIABLE = 1, 2, 3, 4, 5, 7
_MAX_METADATA = 64 << 20


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable as an object graph has it; `trainable` is what was recorded when it was made."""

    name: str
    dtype: str | None
    shape: Shape | None
    trainable: bool


@dataclass(frozen=True, slots=True)
class Object:
    """One object.

    Attributes:
        children: Attribute names and numbers of the objects it holds.
        slots: For an optimizer: number of a variable, name of the slot, number of the slot's variable.
        variable: What it is, if it is a variable of a SavedModel.
        identifier: Kind of a user's object (`_tf_keras_layer`, `optimizer`, `trackable_list_wrapper`).
        metadata: Where a user's object's description stands: JSON of Keras 2.
        saved: For an object of a checkpoint: full names and keys under which its values are stored.
    """

    children: tuple[tuple[str, int], ...] = ()
    slots: tuple[tuple[int, str, int], ...] = ()
    variable: Variable | None = None
    identifier: str | None = None
    metadata: Field | None = None
    saved: tuple[tuple[str, str], ...] = ()


def read_saved(source: Source, place: Field, limits: Limits) -> tuple[Object, ...]:
    """The objects of a SavedObjectGraph. Raises InputError."""
    return _objects(source, message(source, place), _saved, limits)


def read_trackable(source: Source, limits: Limits) -> tuple[Object, ...]:
    """The objects of a TrackableObjectGraph, which is all of `source`. Raises InputError."""
    blocks = Blocks(source)
    return _objects(blocks, fields(blocks), _trackable, limits)


def read_keras_metadata(source: Source, limits: Limits) -> dict[int, Field]:
    """Where the descriptions of Keras objects stand in a `keras_metadata.pb`, by the object's number."""
    found: dict[int, Field] = {}
    for node in fields(source):
        if node.number != 1 or node.wire != BYTES:
            continue
        number, place = 0, None
        for part in message(source, node):
            if part.number == 2:
                number = part.value
            elif part.number == 5 and part.wire == BYTES:
                place = part
        if place is not None:
            found[number] = place
        if len(found) > limits.layers:
            raise _too_many(limits.layers)
    return found


def _objects(
    source: Source, parts: Iterable[Field], read: Callable[[Source, Field], Object], limits: Limits
) -> tuple[Object, ...]:
    most = limits.weights * _MAX_OBJECTS
    found: list[Object] = []
    for part in parts:
        if part.number == 1 and part.wire == BYTES:
            found.append(read(source, part))
            if len(found) > most:
                raise _too_many(most)
    count = len(found)
    return tuple(_within(one, count) for one in found)


def _within(one: Object, count: int) -> Object:
    """`one` without references to objects that are not there."""
    if all(number < count for _, number in one.children):
        return one
    kept = tuple(child for child in one.children if child[1] < count)
    return Object(kept, one.slots, one.variable, one.identifier, one.metadata, one.saved)


def _saved(source: Source, place: Field) -> Object:
    children: list[tuple[str, int]] = []
    slots: list[tuple[int, str, int]] = []
    variable, identifier, metadata = None, None, None
    for part in message(source, place):
        if part.wire != BYTES or _links(source, part, children, slots):
            continue
        if part.number == _USER:
            identifier, metadata = _user(source, part)
        elif part.number == _VARIABLE:
            variable = _variable(source, part)
        elif part.number == _ASSET:
            identifier = "asset"
    return Object(tuple(children), tuple(slots), variable, identifier, metadata)


def _trackable(source: Source, place: Field) -> Object:
    children: list[tuple[str, int]] = []
    slots: list[tuple[int, str, int]] = []
    saved: list[tuple[str, str]] = []
    for part in message(source, place):
        if part.wire != BYTES or _links(source, part, children, slots):
            continue
        if part.number == _ATTRIBUTES:
            names = {one.number: text_of(source, one, 1 << 16) for one in message(source, part) if one.wire == BYTES}
            saved.append((names.get(2, ""), names.get(3, "")))
    return Object(tuple(children), tuple(slots), saved=tuple(saved))


def _links(
    source: Source, part: Field, children: list[tuple[str, int]], slots: list[tuple[int, str, int]]
) -> bool:
    """Take a part of an object that refers to others, in either kind of graph; whether it was one."""
    if part.number == _CHILDREN:
        children.append(_child(source, part))
    elif part.number == _SLOTS:
        slots.append(_slot(source, part))
    else:
        return False
    return True


def _child(source: Source, place: Field) -> tuple[str, int]:
    name, number = "", 0
    for part in message(source, place):
        if part.number == 1:
            number = part.value
        elif part.number == 2:
            name = text_of(source, part, 1 << 12)
    return name, number


def _slot(source: Source, place: Field) -> tuple[int, str, int]:
    name, numbers = "", {1: 0, 3: 0}
    for part in message(source, place):
        if part.number == 2:
            name = text_of(source, part, 1 << 12)
        else:
            numbers[part.number] = part.value
    return numbers[1], name, numbers[3]


def _user(source: Source, place: Field) -> tuple[str, Field | None]:
    identifier, metadata = "", None
    for part in message(source, place):
        if part.number == 1:
            identifier = text_of(source, part, 1 << 12)
        elif part.number == 3 and part.wire == BYTES and 0 < part.length <= _MAX_METADATA:
            metadata = part
    return identifier, metadata


def _variable(source: Source, place: Field) -> Variable:
    name, dtype, shape, trainable = "", 0, None, False
    for part in message(source, place):
        if part.number == 1:
            dtype = part.value
        elif part.number == 2:
            shape = shape_of(source, part)
        elif part.number == 3:
            trainable = bool(part.value)
        elif part.number == 6:
            name = text_of(source, part, 1 << 12)
    return Variable(name=name.removesuffix(":0"), dtype=dtype_name(dtype), shape=shape, trainable=trainable)


def _too_many(most: int) -> LimitExceeded:
    return LimitExceeded("objects", most, msg("The object graph holds too many objects."))
