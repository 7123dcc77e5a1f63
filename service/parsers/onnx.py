"""ONNX' own messages read from protobuf: model, graph, node, attribute, tensor, sparse tensor, function, training.

Knows field numbers and that graphs lie within attributes, which are left as fields so that nobody recurses; tensors'
values stay where they are. Knows no operator and what no tensor is for.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (IR version 14)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.onnx_messages import (
    Attribute,
    Function,
    Graph,
    Named,
    Node,
    Sparse,
    Tensor,
    Top,
    Training,
    Value,
)
from service.parsers.protobuf import BYTES, FIXED32, VARINT, Blocks, Field, fields, message, packed, signed, text_of
from service.tree import Shape

_T = TypeVar("_T")

_MAX_RANK = 64
_MAX_NUMBERS = 4096
"""Most numbers of one attribute that are kept; they are counted beyond."""
_MAX_INTS = 1_000_000
_MAX_CACHED = 256
_MAX_ENTRIES = 10_000
_DATA_FIELDS = frozenset({4, 5, 6, 7, 10, 11})
"""float_data, int32_data, string_data, int64_data, double_data, uint64_data."""


@dataclass(slots=True)
class Reading:
    """The file being read, the limits, and what was understood of bytes that come again and again."""

    source: Blocks
    limits: Limits
    tolerant: bool = False
    types: dict[bytes, tuple[int, Shape | None]] = field(default_factory=dict)
    attributes: dict[bytes, Attribute] = field(default_factory=dict)
    nodes: int = 0
    tensors: int = 0

    def inside(self, one: Field) -> Iterator[Field]:
        """The fields of the message in `one`; of a header alone as many as there are."""
        return message(self.source, one, tolerant=self.tolerant)

    def text(self, one: Field) -> str:
        """The text in `one`, shortened to the limit."""
        return text_of(self.source, one, self.limits.text)


def model_of(reading: Reading) -> Top:
    """The outermost message."""
    ints: dict[int, int] = {}
    texts: dict[int, str] = {}
    opsets: list[tuple[str, int]] = []
    metadata: list[tuple[str, str]] = []
    held: dict[int, list[Field]] = {7: [], 20: [], 25: []}
    for one in fields(reading.source, tolerant=reading.tolerant):
        if one.number in (1, 5) and one.wire == VARINT:
            ints[one.number] = signed(one.value)
        elif one.wire == BYTES and not _is_cut(reading, one) and one.number in (2, 3, 4):
            texts[one.number] = reading.text(one)
        elif one.wire == BYTES and one.number == 8:
            _keep(opsets, _opset(reading, one))
        elif one.wire == BYTES and one.number == 14:
            _keep(metadata, entry_of(reading, one))
        elif one.wire == BYTES and one.number in held:
            _keep(held[one.number], one)
    return Top(
        ir_version=ints.get(1), producer=texts.get(2, ""), producer_version=texts.get(3, ""), domain=texts.get(4, ""),
        version=ints.get(5), opsets=tuple(opsets), metadata=tuple(metadata),
        graph=held[7][-1] if held[7] else None, functions=tuple(held[25]), training=tuple(held[20]),
    )  # fmt: skip


def graph_of(reading: Reading, one: Field) -> Graph:
    """The graph in `one`."""
    name = ""
    nodes: list[Node] = []
    tensors: list[Tensor] = []
    sparse: list[Sparse] = []
    named: dict[int, list[Named]] = {11: [], 12: [], 13: []}
    for part in reading.inside(one):
        number = part.number
        if part.wire != BYTES:
            continue
        if number == 5:
            tensors.append(_initializer(reading, part))
        elif number == 1:
            nodes.append(_node(reading, part))
        elif number in named:
            named[number].append(_named(reading, part))
        elif number == 15:
            sparse.append(sparse_of(reading, part))
        elif number == 2 and not _is_cut(reading, part):
            name = reading.text(part)
    return Graph(
        name, tuple(nodes), tuple(tensors), tuple(sparse), tuple(named[11]), tuple(named[12]), tuple(named[13])
    )


def _initializer(reading: Reading, one: Field) -> Tensor:
    """A tensor that nodes refer to by its name; MalformedFile if it has none."""
    found = tensor_of(reading, one)
    if not found.name and not reading.tolerant:
        raise MalformedFile(msg("An initializer has no name."), offset=one.offset)
    return found


def function_of(reading: Reading, one: Field) -> Function:
    """The function in `one`; its inputs and outputs are names without types."""
    texts = {1: "", 10: "", 13: ""}
    nodes: list[Node] = []
    named: dict[int, list[Named]] = {4: [], 5: [], 12: []}
    for part in reading.inside(one):
        if part.wire != BYTES or _is_cut(reading, part):
            continue
        if part.number in texts:
            texts[part.number] = reading.text(part)
        elif part.number in (4, 5):
            _keep(named[part.number], Named(reading.text(part), 0, None))
        elif part.number == 7:
            nodes.append(_node(reading, part))
        elif part.number == 12:
            _keep(named[12], _named(reading, part))
    body = Graph(texts[1], tuple(nodes), (), (), tuple(named[4]), tuple(named[5]), tuple(named[12]))
    return Function(texts[10], texts[1], texts[13], body)


def training_of(reading: Reading, one: Field) -> Training:
    """The training information in `one`."""
    algorithm: Graph | None = None
    updated: list[str] = []
    for part in reading.inside(one):
        if part.wire == BYTES and part.number == 2:
            algorithm = graph_of(reading, part)
        elif part.wire == BYTES and part.number == 4:
            updated.append(entry_of(reading, part)[0])
    return Training(algorithm, tuple(updated))


def tensor_of(reading: Reading, one: Field) -> Tensor:
    """The tensor in `one`, without its values; LimitExceeded for too many tensors or axes."""
    reading.tensors += 1
    if reading.tensors > reading.limits.weights:
        raise LimitExceeded("weights", reading.limits.weights, msg("The file holds too many tensors."))
    held: dict[int, Field] = {}
    dims: tuple[int, ...] = ()
    typed: list[Field] = []
    typed_bytes = 0
    external: list[tuple[str, str]] = []
    for part in reading.inside(one):
        number = part.number
        if number == 1:
            dims = (*dims, *packed(reading.source, part, _MAX_RANK))
            _check_rank(dims, one.offset)
        elif number in _DATA_FIELDS:
            typed_bytes += part.length
            if len(typed) < _MAX_NUMBERS:
                typed.append(part)
        elif number == 13 and part.wire == BYTES:
            _keep(external, entry_of(reading, part))
        else:
            held[number] = part
    raw = held.get(9)
    return Tensor(
        name=_text_in(reading, held.get(8)),
        dims=tuple(map(signed, dims)) if dims and max(dims) >> 63 else dims,
        type=_number_in(held.get(2)),
        raw=raw if raw is not None and raw.wire == BYTES else None,
        typed=tuple(typed),
        typed_bytes=typed_bytes,
        external=tuple(external),
        location=_number_in(held.get(14)),
        offset=one.offset,
    )


def _check_rank(dims: tuple[int, ...], offset: int) -> None:
    if len(dims) > _MAX_RANK:
        axes = len(dims)
        raise LimitExceeded("rank", _MAX_RANK, msg("A tensor has {n} axes.", n=axes), value=axes, offset=offset)


def _number_in(one: Field | None) -> int:
    return one.value if one is not None and one.wire == VARINT else 0


def _text_in(reading: Reading, one: Field | None) -> str:
    return reading.text(one) if one is not None and _is_whole(reading, one) else ""


def sparse_of(reading: Reading, one: Field) -> Sparse:
    """The sparse tensor in `one`."""
    held: dict[int, Tensor] = {}
    dims: tuple[int, ...] = ()
    for part in reading.inside(one):
        if part.number in (1, 2) and part.wire == BYTES:
            held[part.number] = tensor_of(reading, part)
        elif part.number == 3 and len(dims) < _MAX_RANK:
            dims = (*dims, *map(signed, packed(reading.source, part, _MAX_RANK)))
    return Sparse(held.get(1), held.get(2), dims)


def entry_of(reading: Reading, one: Field) -> tuple[str, str]:
    """A StringStringEntryProto: key and value."""
    held = {part.number: part for part in reading.inside(one) if part.wire == BYTES}
    return _text_in(reading, held.get(1)), _text_in(reading, held.get(2))


def _opset(reading: Reading, one: Field) -> tuple[str, int]:
    domain, version = "", 0
    for part in reading.inside(one):
        if part.number == 1 and _is_whole(reading, part):
            domain = reading.text(part)
        elif part.number == 2 and part.wire == VARINT:
            version = signed(part.value)
    return domain, version


def _node(reading: Reading, one: Field) -> Node:
    reading.nodes += 1
    if reading.nodes > reading.limits.layers:
        raise LimitExceeded("layers", reading.limits.layers, msg("The graphs have too many nodes."))
    texts = {3: "", 4: "", 7: "", 8: ""}
    ends: dict[int, list[str]] = {1: [], 2: []}
    attributes: list[Attribute] = []
    for part in reading.inside(one):
        if part.wire != BYTES or (reading.tolerant and _is_cut(reading, part)):
            continue
        if part.number in ends:
            ends[part.number].append(reading.text(part))
        elif part.number in texts:
            texts[part.number] = reading.text(part)
        elif part.number == 5:
            attributes.append(_attribute(reading, part))
    return Node(texts[3], texts[4], texts[7], texts[8], tuple(ends[1]), tuple(ends[2]), tuple(attributes), one.offset)


def _attribute(reading: Reading, one: Field) -> Attribute:
    """An attribute; equal ones that hold no tensor or graph are read once."""
    if one.length > _MAX_CACHED:
        return _read_attribute(reading, one)
    key = reading.source.read_at(one.offset, one.length)
    known = reading.attributes.get(key)
    if known is None:
        known = _read_attribute(reading, one)
        if not known.tensors and not known.graphs and not known.sparse:
            reading.attributes[key] = known
    return known


def _read_attribute(reading: Reading, one: Field) -> Attribute:
    texts = {1: "", 21: ""}
    held: dict[int, list[Field]] = {5: [], 6: [], 22: []}
    single: Value = None
    numbers: list[int | float | str] = []
    count = 0
    several = {10: 5, 11: 6, 23: 22}
    for part in reading.inside(one):
        number = part.number
        if part.wire == BYTES and _is_cut(reading, part) and number not in held and number not in several:
            continue
        if number in texts:
            texts[number] = reading.text(part)
        elif number in (2, 3, 4):
            single = _one(reading, part)
            count = 1
        elif number in (7, 8, 9):
            found = _several(reading, part)
            count += len(found)
            numbers.extend(found[: max(0, _MAX_NUMBERS - len(numbers))])
        elif part.wire == BYTES and (number in held or number in several):
            held[several.get(number, number)].append(part)
    value = tuple(numbers) if numbers else single
    return Attribute(texts[1], value, count, tuple(held[5]), tuple(held[6]), tuple(held[22]), texts[21])


def _one(reading: Reading, part: Field) -> int | float | str:
    if part.wire == FIXED32:
        number: float = struct.unpack("<f", struct.pack("<I", part.value))[0]
        return number
    return reading.text(part) if part.wire == BYTES else signed(part.value)


def _several(reading: Reading, part: Field) -> tuple[int | float | str, ...]:
    """One occurrence of floats, ints or strings, written packed or one by one."""
    if part.number == 9 or part.wire != BYTES:
        return (_one(reading, part),)
    if part.number == 8:
        return tuple(map(signed, packed(reading.source, part, _MAX_INTS)))
    kept = min(part.length // 4, _MAX_NUMBERS)
    return struct.unpack(f"<{kept}f", reading.source.read_at(part.offset, 4 * kept))


def _named(reading: Reading, one: Field) -> Named:
    name, kind, shape = "", 0, None
    for part in reading.inside(one):
        if part.wire != BYTES or _is_cut(reading, part):
            continue
        if part.number == 1:
            name = reading.text(part)
        elif part.number == 2:
            kind, shape = _type(reading, part)
    return Named(name, kind, shape)


def _type(reading: Reading, one: Field) -> tuple[int, Shape | None]:
    """Element type and sizes of a TypeProto; (0, None) for sequences, maps and what is longer than any tensor's."""
    if one.length > _MAX_CACHED * _MAX_RANK:
        return 0, None
    key = reading.source.read_at(one.offset, one.length)
    if key not in reading.types:
        reading.types[key] = (0, None)
        for part in message(reading.source, one):
            if part.number == 1 and part.wire == BYTES:
                reading.types[key] = _tensor_type(reading, part)
    return reading.types[key]


def _tensor_type(reading: Reading, one: Field) -> tuple[int, Shape | None]:
    kind: int = 0
    shape: Shape | None = None
    for part in message(reading.source, one):
        if part.number == 1 and part.wire == VARINT:
            kind = part.value
        elif part.number == 2 and part.wire == BYTES:
            axes = [axis for axis in message(reading.source, part) if axis.number == 1 and axis.wire == BYTES]
            shape = tuple(_size(reading, axis) for axis in axes) if len(axes) <= _MAX_RANK else None
    return kind, shape


def _size(reading: Reading, one: Field) -> int | None:
    """A size along an axis; None where it is symbolic, or the negative number that some writers put for that."""
    for part in message(reading.source, one):
        if part.number == 1 and part.wire == VARINT:
            value = signed(part.value)
            return value if value >= 0 else None
    return None


def _keep(found: list[_T], one: _T) -> None:
    if len(found) >= _MAX_ENTRIES:
        raise LimitExceeded("entries", _MAX_ENTRIES, msg("A list in the file has too many entries."))
    found.append(one)


def _is_cut(reading: Reading, one: Field) -> bool:
    return one.offset + one.length > reading.source.size


def _is_whole(reading: Reading, one: Field) -> bool:
    return one.wire == BYTES and not _is_cut(reading, one)
