"""GraphDef, MetaGraphDef and SavedModel: nodes with inputs and attributes, function library, signatures, collections.

Knows the messages and where payloads lie; must not know what an operation does. Tensors' values are passed over.
Sources: tensorflow/core/framework/graph.proto, node_def.proto, attr_value.proto, tensor.proto, function.proto;
tensorflow/core/protobuf/meta_graph.proto, saved_model.proto.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from service.errors import InputError, LimitExceeded
from service.language import msg
from service.parsers.protobuf import BYTES, Blocks, Field, bytes_of, fields, message, text_of
from service.parsers.tensorflow_types import dtype_name, shape_of
from service.source import Source
from service.tree import Shape

MAX_NODES = 1_000_000
_NAME = 1 << 12
_OPERATION = re.compile(r"[A-Z_][A-Za-z0-9_>]*")
_NODE_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
_MAX_COLLECTION = 100_000


class Node(NamedTuple):
    """One operation; `attributes` are the places of its attributes' names and values."""

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: tuple[Field, ...]


class Endpoint(NamedTuple):
    """An input or output of a signature: its key, the tensor's name, element type and shape."""

    key: str
    tensor: str
    dtype: str | None
    shape: Shape | None


class Signature(NamedTuple):
    """One way to call a model."""

    name: str
    inputs: tuple[Endpoint, ...]
    outputs: tuple[Endpoint, ...]
    method: str


@dataclass(slots=True)
class MetaGraph:
    """A graph with what is said about it; `graph` and `objects` are places."""

    tags: list[str] = field(default_factory=list)
    version: str | None = None
    graph: Field | None = None
    objects: Field | None = None
    collections: dict[str, Field] = field(default_factory=dict)
    signatures: list[Signature] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)


def looks_like_graph(source: Source, place: Field | None = None) -> bool:
    """Whether a message (all of `source` without `place`) begins as a GraphDef does, even where it is cut short."""
    try:
        parts = fields(source, tolerant=True) if place is None else message(source, place, tolerant=True)
        for part in islice(parts, 3):
            if part.number == 1 and part.wire == BYTES:
                return _is_node(source, part)
            if part.number not in (2, 3, 4, 5):
                return False
    except InputError:
        return False
    return False


def looks_like_meta_graph(source: Source, place: Field | None = None) -> bool:
    """Whether a message begins as a MetaGraphDef does."""
    try:
        parts = fields(source, tolerant=True) if place is None else message(source, place, tolerant=True)
        for part in islice(parts, 8):
            if part.wire != BYTES or part.number > 7:
                return False
            if part.number == 2:
                return looks_like_graph(source, part) or not part.length
            if part.number == 1 and not _is_meta_info(source, part):
                return False
    except InputError:
        return False
    return False


def looks_like_saved_model(source: Source) -> bool:
    """Whether a file begins as a SavedModel does: schema version 1 and a MetaGraphDef."""
    try:
        found = list(islice(fields(source, tolerant=True), 2))
    except InputError:
        return False
    numbers = [(part.number, part.wire) for part in found]
    return numbers == [(1, 0), (2, BYTES)] and found[0].value == 1 and looks_like_meta_graph(source, found[1])


class Listed(NamedTuple):
    """A graph's nodes, and where its function libraries stand."""

    nodes: list[Node]
    libraries: tuple[Field, ...]


def read_graph(source: Source, graph: Iterable[Field]) -> Listed:
    """The nodes of a GraphDef. Raises InputError."""
    found: list[Node] = []
    libraries: list[Field] = []
    for part in graph:
        if part.number == 1 and part.wire == BYTES:
            found.append(_node(source, part))
            if len(found) > MAX_NODES:
                raise LimitExceeded("graph_nodes", MAX_NODES, msg("The graph has too many nodes."))
        elif part.number == 2 and part.wire == BYTES:
            libraries.append(part)
    return Listed(found, tuple(libraries))


def operations(source: Source, graph: Listed) -> Iterator[tuple[str, str]]:
    """Node and operation of a graph's nodes, then function and operation of those in its functions."""
    for node in graph.nodes:
        yield node.name, node.op
    count = 0
    for library in graph.libraries:
        for function in message(source, library):
            if function.number != 1 or function.wire != BYTES:
                continue
            name = ""
            for part in message(source, function):
                if part.number == 1 and part.wire == BYTES:
                    name = _first_text(source, part, 1)
                elif part.number == 3 and part.wire == BYTES:
                    count += 1
                    if count > MAX_NODES:
                        raise LimitExceeded("graph_nodes", MAX_NODES, msg("The functions have too many nodes."))
                    yield name, _first_text(source, part, 2)


def attributes(source: Source, node: Node) -> dict[str, Field]:
    """Where the attributes of `node` hold their value, by name."""
    found: dict[str, Field] = {}
    for place in node.attributes:
        key, value = "", None
        for part in message(source, place):
            if part.number == 1:
                key = text_of(source, part, _NAME)
            elif part.number == 2 and part.wire == BYTES:
                value = part
        if value is not None:
            found[key] = value
    return found


def value_of(source: Source, attribute: Field | None) -> Field | None:
    """The one field of an attribute's value, None without."""
    return next(message(source, attribute), None) if attribute is not None else None


def read_meta_graph(source: Source, parts: Iterable[Field]) -> MetaGraph:
    """What a MetaGraphDef says beside its graph. Raises InputError."""
    found = MetaGraph()
    for part in parts:
        if part.wire != BYTES:
            continue
        if part.number == 1:
            _meta_info(source, part, found)
        elif part.number == 2:
            found.graph = part
        elif part.number == 4:
            key, value = _entry(source, part)
            if value is not None:
                found.collections[key] = value
        elif part.number == 5:
            found.signatures.append(_signature(source, part))
        elif part.number == 6:
            names = [text_of(source, one, _NAME) for one in message(source, part) if one.number == 2]
            found.assets.extend(names[:1])
        elif part.number == 7:
            found.objects = part
    return found


def saved_model(source: Blocks) -> tuple[int, list[MetaGraph]]:
    """Schema version and graphs of a `saved_model.pb`. Raises InputError."""
    version, graphs = 0, []
    for part in fields(source):
        if part.number == 1:
            version = part.value
        elif part.number == 2 and part.wire == BYTES:
            graphs.append(read_meta_graph(source, message(source, part)))
    return version, graphs


def variable_names(source: Source, collection: Field | None) -> dict[str, tuple[str, bool]]:
    """Names of a collection of variables (TF 1): with each, the whole it is a slice of or itself, and its switch."""
    found: dict[str, tuple[str, bool]] = {}
    if collection is None:
        return found
    for kind in message(source, collection):
        if kind.number != 2 or kind.wire != BYTES:
            continue
        for item in message(source, kind):
            if item.number == 1 and item.wire == BYTES and len(found) < _MAX_COLLECTION:
                name, whole, trainable = _variable(source, item)
                found[name] = (whole or name, trainable)
    return found


def _variable(source: Source, item: Field) -> tuple[str, str, bool]:
    name, whole, trainable = "", "", False
    for part in message(source, item):
        if part.number == 1:
            name = text_of(source, part, _NAME).removesuffix(":0")
        elif part.number == 4 and part.wire == BYTES:
            whole = _first_text(source, part, 1)
        elif part.number == 7:
            trainable = bool(part.value)
    return name, whole, trainable


def _is_node(source: Source, place: Field) -> bool:
    found = list(islice(message(source, place, tolerant=True), 2))
    if [(part.number, part.wire) for part in found] != [(1, BYTES), (2, BYTES)]:
        return False
    if max(part.length for part in found) > _NAME or found[1].offset + found[1].length > source.size:
        return False
    name, op = (text_of(source, part, _NAME) for part in found)
    return _NODE_NAME.fullmatch(name) is not None and _OPERATION.fullmatch(op) is not None


def _is_meta_info(source: Source, place: Field) -> bool:
    parts = list(islice(message(source, place, tolerant=True), 64))
    return all(part.number <= 8 for part in parts) and any(part.number in (2, 4, 5, 6) for part in parts)


def _node(source: Source, place: Field) -> Node:
    name, op = "", ""
    inputs: list[str] = []
    attributes: list[Field] = []
    for part in message(source, place):
        number = part.number
        if number == 5:
            attributes.append(part)
        elif number == 3:
            inputs.append(text_of(source, part, _NAME))
        elif number == 1:
            name = text_of(source, part, _NAME)
        elif number == 2:
            op = text_of(source, part, _NAME)
    return Node(name, op, tuple(inputs), tuple(attributes))


def _first_text(source: Source, place: Field, number: int) -> str:
    for part in message(source, place):
        if part.number == number and part.wire == BYTES:
            return text_of(source, part, _NAME)
    return ""


def _entry(source: Source, place: Field) -> tuple[str, Field | None]:
    """Key and place of the value of one entry of a map."""
    key, value = "", None
    for part in message(source, place):
        if part.number == 1 and part.wire == BYTES:
            key = text_of(source, part, _NAME)
        elif part.number == 2 and part.wire == BYTES:
            value = part
    return key, value


def _meta_info(source: Source, place: Field, found: MetaGraph) -> None:
    for part in message(source, place):
        if part.number == 4 and part.wire == BYTES:
            found.tags.append(text_of(source, part, _NAME))
        elif part.number == 5 and part.wire == BYTES:
            found.version = bytes_of(source, part, _NAME).decode("utf-8", "replace")


def _signature(source: Source, place: Field) -> Signature:
    name, value = _entry(source, place)
    inputs: list[Endpoint] = []
    outputs: list[Endpoint] = []
    method = ""
    for part in message(source, value) if value is not None else ():
        if part.wire != BYTES:
            continue
        if part.number in (1, 2):
            (inputs if part.number == 1 else outputs).append(_endpoint(source, part))
        elif part.number == 3:
            method = text_of(source, part, _NAME)
    return Signature(name, tuple(inputs), tuple(outputs), method)


def _endpoint(source: Source, place: Field) -> Endpoint:
    key, value = _entry(source, place)
    tensor, dtype, shape = "", None, None
    for part in message(source, value) if value is not None else ():
        if part.number == 1 and part.wire == BYTES:
            tensor = text_of(source, part, _NAME)
        elif part.number == 2:
            dtype = dtype_name(part.value)
        elif part.number == 3 and part.wire == BYTES:
            shape = shape_of(source, part)
    return Endpoint(key, tensor, dtype, shape)
