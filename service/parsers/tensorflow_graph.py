"""MetaGraphDef and SavedModel: what is said about a graph (signatures, collections, assets), and what begins like one.

Knows the messages and where payloads lie; must not know what an operation does. Nodes are read in `tensorflow_nodes`.
Sources: tensorflow/core/protobuf/meta_graph.proto, saved_model.proto, tensorflow/core/framework/variable.proto.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from service.errors import InputError
from service.parsers.protobuf import BYTES, Blocks, Field, bytes_of, fields, message, packed, said_once, text_of
from service.parsers.tensorflow_nodes import MAX_NAME, entry_of, last_text
from service.parsers.tensorflow_types import dtype_name, shape_of
from service.source import Source
from service.tree import Shape

_OPERATION = re.compile(r"[A-Z_][A-Za-z0-9_>]*")
_NODE_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
_MAX_COLLECTION = 100_000
_MAX_RANK = 254


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


class Saver(NamedTuple):
    """What saves and restores a graph's variables: the tensor of the path, and the two that are run."""

    filename: str
    save: str
    restore: str


class Declared(NamedTuple):
    """What a collection of TF 1 says of a variable: the whole it is a slice of, or itself; its switch; that shape."""

    whole: str
    trainable: bool
    shape: Shape | None


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
    saver: Saver | None = None


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
            if part.number == 1 and part.offset + part.length > source.size:
                return _lists_operations(source, part)
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


def read_meta_graph(source: Source, parts: Iterable[Field]) -> MetaGraph:
    """What a MetaGraphDef says beside its graph. Raises InputError."""
    found = MetaGraph()
    for part in parts:
        keep = _SAID.get(part.number)
        if keep is not None and part.wire == BYTES:
            keep(source, part, found)
    return found


def _graph(_source: Source, part: Field, found: MetaGraph) -> None:
    found.graph = said_once(found.graph, part)


def _saver(source: Source, part: Field, found: MetaGraph) -> None:
    found.saver = Saver(*(last_text(source, part, number) for number in (1, 2, 3)))


def _collection(source: Source, part: Field, found: MetaGraph) -> None:
    key, value = entry_of(source, part)
    if value is not None:
        found.collections[key] = value


def _asset(source: Source, part: Field, found: MetaGraph) -> None:
    names = [text_of(source, one, MAX_NAME) for one in message(source, part) if one.number == 2]
    found.assets.extend(names[:1])


def _objects(_source: Source, part: Field, found: MetaGraph) -> None:
    found.objects = part


def saved_model(source: Blocks) -> tuple[int, list[MetaGraph]]:
    """Schema version and graphs of a `saved_model.pb`. Raises InputError."""
    version, graphs = 0, []
    for part in fields(source):
        if part.number == 1:
            version = part.value
        elif part.number == 2 and part.wire == BYTES:
            graphs.append(read_meta_graph(source, message(source, part)))
    return version, graphs


def variable_names(source: Source, collection: Field | None) -> dict[str, Declared]:
    """What a collection of variables (TF 1) says of each, by name."""
    found: dict[str, Declared] = {}
    if collection is None:
        return found
    for kind in message(source, collection):
        if kind.number != 2 or kind.wire != BYTES:
            continue
        for item in message(source, kind):
            if item.number == 1 and item.wire == BYTES and len(found) < _MAX_COLLECTION:
                name, declared = _variable(source, item)
                found[name] = declared
    return found


def _variable(source: Source, item: Field) -> tuple[str, Declared]:
    name, whole, trainable, shape = "", "", False, None
    for part in message(source, item):
        if part.number == 1:
            name = text_of(source, part, MAX_NAME).removesuffix(":0")
        elif part.number == 4 and part.wire == BYTES:
            whole, shape = _slice(source, part)
        elif part.number == 7:
            trainable = bool(part.value)
    return name, Declared(whole or name, trainable, shape)


def _slice(source: Source, place: Field) -> tuple[str, Shape]:
    """Name and shape of the variable that a SaveSliceInfoDef describes a slice of."""
    name = ""
    shape: list[int | None] = []
    for part in message(source, place):
        if part.number == 1:
            name = text_of(source, part, MAX_NAME)
        elif part.number == 2:
            shape.extend(packed(source, part, _MAX_RANK))
    return name, tuple(shape) if len(shape) <= _MAX_RANK else ()


def _is_node(source: Source, place: Field) -> bool:
    found = list(islice(message(source, place, tolerant=True), 2))
    if [(part.number, part.wire) for part in found] != [(1, BYTES), (2, BYTES)]:
        return False
    if max(part.length for part in found) > MAX_NAME or found[1].offset + found[1].length > source.size:
        return False
    name, op = (text_of(source, part, MAX_NAME) for part in found)
    return _NODE_NAME.fullmatch(name) is not None and _OPERATION.fullmatch(op) is not None


def _is_meta_info(source: Source, place: Field) -> bool:
    parts = list(islice(message(source, place, tolerant=True), 64))
    return all(part.number <= 8 for part in parts) and any(part.number in (2, 4, 5, 6) for part in parts)


def _lists_operations(source: Source, info: Field) -> bool:
    """Whether a MetaInfoDef tells the operations that a graph needs: known by it where the file ends within."""
    place = info
    for number in (2, 1, 1):
        inner = message(source, place, tolerant=True)
        found = next((part for part in inner if (part.number, part.wire) == (number, BYTES)), None)
        if found is None:
            return False
        place = found
    return place.length <= MAX_NAME and _OPERATION.fullmatch(text_of(source, place, MAX_NAME)) is not None


def _meta_info(source: Source, place: Field, found: MetaGraph) -> None:
    for part in message(source, place):
        if part.number == 4 and part.wire == BYTES:
            found.tags.append(text_of(source, part, MAX_NAME))
        elif part.number == 5 and part.wire == BYTES:
            found.version = bytes_of(source, part, MAX_NAME).decode("utf-8", "replace")


def _signature(source: Source, place: Field, found: MetaGraph) -> None:
    name, value = entry_of(source, place)
    inputs: list[Endpoint] = []
    outputs: list[Endpoint] = []
    method = ""
    for part in message(source, value) if value is not None else ():
        if part.wire != BYTES:
            continue
        if part.number in (1, 2):
            (inputs if part.number == 1 else outputs).append(_endpoint(source, part))
        elif part.number == 3:
            method = text_of(source, part, MAX_NAME)
    found.signatures.append(Signature(name, _by_key(inputs), _by_key(outputs), method))


def _by_key(found: list[Endpoint]) -> tuple[Endpoint, ...]:
    """What a signature takes and gives is in maps, which are written in any order."""
    return tuple(sorted(found, key=lambda one: one.key))


def _endpoint(source: Source, place: Field) -> Endpoint:
    key, value = entry_of(source, place)
    tensor, dtype, shape = "", None, None
    for part in message(source, value) if value is not None else ():
        if part.number == 1 and part.wire == BYTES:
            tensor = text_of(source, part, MAX_NAME)
        elif part.number == 2:
            dtype = dtype_name(part.value)
        elif part.number == 3 and part.wire == BYTES:
            shape = shape_of(source, part)
    return Endpoint(key, tensor, dtype, shape)


_SAID: dict[int, Callable[[Source, Field, MetaGraph], None]] = {
    1: _meta_info, 2: _graph, 3: _saver, 4: _collection, 5: _signature, 6: _asset, 7: _objects,
}  # fmt: skip
"""By field of a MetaGraphDef."""
