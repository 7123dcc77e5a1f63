"""A GraphDef's nodes: names, operations, inputs, attributes and constants; values of tensors are passed over.

Knows the messages; must not know what an operation does. A graph may have a million nodes, so one that is written as
TensorFlow writes them is read in one go, and what nodes have in common is kept once.
Sources: tensorflow/core/framework/graph.proto, node_def.proto, attr_value.proto, function.proto.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from service.errors import LimitExceeded
from service.language import msg
from service.parsers.protobuf import BYTES, Field, message, said_once, text_of
from service.parsers.tensorflow_tensor import VALUE, Constant, read_constant, written_constant
from service.parsers.tensorflow_types import short_number
from service.source import Source

MAX_NODES = 1_000_000
MAX_NAME = 1 << 12
_HEAD = 480
"""Bytes of a node that are read at once: they lie in the block that was read to find it."""
_SHORT = 128
"""Longest attribute that is kept as it is written."""
_LONGEST = 64
"""Bytes of an attribute that tell what it is: tag, length, name, and as a rule type and shape of a constant."""
_NODE_NAME, _OPERATION, _INPUT, _DEVICE, _ATTRIBUTE = 0x0A, 0x12, 0x1A, 0x22, 0x2A
"""Tags of a node's fields."""
_TENSOR = 8
"""Field of an attribute's value."""


class Node(NamedTuple):
    """One operation.

    Attributes:
        name: Of the node; unique in a graph.
        op: Of the operation.
        inputs: Names of tensors; `^` before those that are only waited for.
        attributes: Names with values of short attributes, as they are written; equal ones are one object.
        places: Where the longer ones stand.
        constant: The tensor that its attribute `value` holds.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: tuple[bytes, ...] = ()
    places: tuple[Field, ...] = ()
    constant: Constant | None = None


_Attributes = tuple[tuple[bytes, ...], tuple[Field, ...], Constant | None]
"""The last three of a node's facts."""


class Listed(NamedTuple):
    """A graph's nodes, and where its function libraries stand."""

    nodes: list[Node]
    libraries: tuple[Field, ...]


def read_graph(source: Source, graph: Iterable[Field]) -> Listed:
    """The nodes of a GraphDef. Raises InputError."""
    found: list[Node] = []
    libraries: list[Field] = []
    shared = _Shared({}, {}, {})
    for part in graph:
        if part.number == 1 and part.wire == BYTES:
            found.append(_node(source, part, shared))
            if len(found) > MAX_NODES:
                raise LimitExceeded("graph_nodes", MAX_NODES, msg("The graph has too many nodes."))
        elif part.number == 2 and part.wire == BYTES:
            libraries.append(part)
    return Listed(found, tuple(libraries))


def function_nodes(source: Source, graph: Listed) -> Iterator[tuple[str, Field]]:
    """Functions' names, each with every one of its nodes. Raises LimitExceeded beyond `MAX_NODES`."""
    count = 0
    for library in graph.libraries:
        for function in message(source, library):
            if function.number != 1 or function.wire != BYTES:
                continue
            name = _function_name(source, function)
            for part in message(source, function):
                if part.number == 3 and part.wire == BYTES:
                    count += 1
                    if count > MAX_NODES:
                        raise LimitExceeded("graph_nodes", MAX_NODES, msg("The functions have too many nodes."))
                    yield name, part


def _function_name(source: Source, function: Field) -> str:
    """What its signature calls a function, wherever that stands."""
    signatures = [part for part in message(source, function) if part.number == 1 and part.wire == BYTES]
    return last_text(source, signatures[-1], 1) if signatures else ""


def last_text(source: Source, place: Field, number: int) -> str:
    """The text in field `number` of a message, empty without; of several the last, which protobuf's readers take."""
    found = None
    for part in message(source, place):
        if part.number == number and part.wire == BYTES:
            found = part
    return "" if found is None else text_of(source, found, MAX_NAME)


def entry_of(source: Source, place: Field) -> tuple[str, Field | None]:
    """Key and place of the value of one entry of a map."""
    key, value = "", None
    for part in message(source, place):
        if part.number == 1 and part.wire == BYTES:
            key = text_of(source, part, MAX_NAME)
        elif part.number == 2 and part.wire == BYTES:
            value = part
    return key, value


class _Shared(NamedTuple):
    """What nodes of a graph have in common, as it is written: texts, short attributes, and all of a node's together."""

    texts: dict[bytes, str]
    attributes: dict[bytes, bytes]
    ends: dict[bytes, tuple[bytes, ...]]

    def text(self, written: bytes) -> str:
        """What `written` says, for the first time."""
        found = self.texts[written] = written.decode("utf-8", "replace")
        return found


def _node(source: Source, place: Field, shared: _Shared) -> Node:
    """One node: in one read where it holds nothing unusual; else field by field, which also tells what is wrong."""
    try:
        found = _plain_node(source, place, shared)
    except IndexError:
        found = None
    return found if found is not None else any_node(source, place)


def _plain_node(source: Source, place: Field, shared: _Shared) -> Node | None:
    """A node whose attributes come last and whose other fields are short; None for any other."""
    data = source.read_at(place.offset, min(place.length, _HEAD))
    name, op, at, texts = "", "", 0, shared.texts
    inputs: list[str] = []
    while at < place.length and data[at] != _ATTRIBUTE:
        tag, size = data[at], data[at + 1]
        at += 2
        if size > 127:
            size, at = short_number(data, at - 1)
        written = data[at : at + size]
        at += size
        if at > len(data):
            return None
        if tag == _INPUT:
            inputs.append(texts.get(written) or shared.text(written))
        elif tag == _OPERATION:
            op = texts.get(written) or shared.text(written)
        elif tag == _NODE_NAME:
            name = shared.text(written)
        elif tag != _DEVICE:
            return None
    found = _known_attributes(source, data, at, place, shared)
    return None if found is None else tuple.__new__(Node, (name, op, tuple(inputs), *found))


def _known_attributes(source: Source, data: bytes, at: int, place: Field, shared: _Shared) -> _Attributes | None:
    """As `_plain_attributes`, at once where another node has the same."""
    rest = data[at:] if len(data) == place.length else b""
    known = shared.ends.get(rest)
    if known is not None:
        return known, (), None
    found = _plain_attributes(source, data, at, place, shared)
    if rest and found is not None and found[2] is None and not found[1]:
        shared.ends[rest] = found[0]
    return found


def _plain_attributes(source: Source, data: bytes, at: int, place: Field, shared: _Shared) -> _Attributes | None:
    """The attributes from `at` to the node's end; `data` is its beginning. None where there is anything else."""
    base, end, constant = place.offset, place.offset + place.length, None
    short: list[bytes] = []
    places: list[Field] = []
    while base + at < end:
        if at + _LONGEST > len(data) and base + len(data) < end:
            base, at = base + at, 0
            data = source.read_at(base, min(end - base, _HEAD))
        size, begin = short_number(data, at + 1)
        held = None
        if data[at] != _ATTRIBUTE or base + begin + size > end:
            return None
        if data.startswith(VALUE, begin):
            held = written_constant(data, begin, size, base) or _constant(source, base + begin, size)
        at = begin + size
        if held is not None:
            constant = held
        elif at <= len(data) and size <= _SHORT:
            entry = data[begin:at]
            known = shared.attributes.get(entry)
            if known is None:
                entry_of(source, Field(5, BYTES, 0, base + begin, size))  # so that what is wrong is told with its place
                known = shared.attributes[entry] = entry
            short.append(known)
        else:
            places.append(Field(5, BYTES, 0, base + begin, size))
    return tuple(short), tuple(places), constant


def any_node(source: Source, place: Field) -> Node:
    """The node at `place`, read field by field. Raises InputError."""
    name, op, constant = "", "", None
    inputs: list[str] = []
    places: list[Field] = []
    for part in message(source, place):
        if part.number == 5 and part.wire == BYTES:
            found = _constant(source, part.offset, part.length)
            if found is not None:
                constant = found
            else:
                places.append(part)
        elif part.number == 3:
            inputs.append(text_of(source, part, MAX_NAME))
        elif part.number == 1:
            name = text_of(source, part, MAX_NAME)
        elif part.number == 2:
            op = text_of(source, part, MAX_NAME)
    return Node(name, op, tuple(inputs), (), tuple(places), constant)


def _constant(source: Source, offset: int, length: int) -> Constant | None:
    """The tensor in an attribute called `value`, None for any other attribute."""
    key, value = entry_of(source, Field(5, BYTES, 0, offset, length))
    tensor = None
    for one in message(source, value) if key == "value" and value is not None else ():
        tensor = said_once(tensor, one)
    if tensor is None or tensor.number != _TENSOR or tensor.wire != BYTES:
        return None
    return read_constant(source, tensor)
