"""ONNX' own messages read from protobuf: model, graph, function, training; nodes and tensors are read beside it.

Knows field numbers and that graphs lie within attributes, which are left as fields so that nobody recurses; tensors'
values stay where they are. Knows no operator and what no tensor is for.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (IR version 14)
"""

from __future__ import annotations

from service.errors import MalformedFile
from service.language import msg
from service.parsers.onnx_messages import Function, Graph, Named, Node, Sparse, Tensor, Top, Training
from service.parsers.onnx_nodes import node_of
from service.parsers.onnx_reading import MAX_CACHED, MAX_RANK, Reading, entry_of, is_cut, is_whole, keep
from service.parsers.onnx_tensors import sparse_of, tensor_of
from service.parsers.protobuf import BYTES, VARINT, Field, fields, message, said_once, signed
from service.tree import Shape

_MAX_TYPE = MAX_CACHED * MAX_RANK


def model_of(reading: Reading) -> Top:
    """The outermost message."""
    ints: dict[int, int] = {}
    texts: dict[int, str] = {}
    opsets: list[tuple[str, int]] = []
    metadata: list[tuple[str, str]] = []
    held: dict[int, list[Field]] = {20: [], 25: []}
    graph: Field | None = None
    for one in fields(reading.source, tolerant=reading.tolerant):
        if one.number in (1, 5) and one.wire == VARINT:
            ints[one.number] = signed(one.value)
        elif one.wire == BYTES and not is_cut(reading, one) and one.number in (2, 3, 4):
            texts[one.number] = reading.text(one)
        elif one.wire == BYTES and one.number == 8:
            keep(opsets, _opset(reading, one))
        elif one.wire == BYTES and one.number == 14:
            keep(metadata, entry_of(reading, one))
        elif one.wire == BYTES and one.number == 7:
            graph = said_once(graph, one)
        elif one.wire == BYTES and one.number in held:
            keep(held[one.number], one)
    return Top(
        ir_version=ints.get(1), producer=texts.get(2, ""), producer_version=texts.get(3, ""), domain=texts.get(4, ""),
        version=ints.get(5), opsets=tuple(opsets), metadata=tuple(metadata),
        graph=graph, functions=tuple(held[25]), training=tuple(held[20]),
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
            nodes.append(node_of(reading, part))
        elif number in named:
            named[number].append(_named(reading, part))
        elif number == 15:
            sparse.append(sparse_of(reading, part))
        elif number == 2 and not is_cut(reading, part):
            name = reading.text(part)
    reading.texts.clear()  # names are those of one graph, and very many
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
        if part.wire != BYTES or is_cut(reading, part):
            continue
        if part.number in texts:
            texts[part.number] = reading.text(part)
        elif part.number in (4, 5):
            keep(named[part.number], Named(reading.text(part), 0, None))
        elif part.number == 7:
            nodes.append(node_of(reading, part))
        elif part.number == 12:
            keep(named[12], _named(reading, part))
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


def _opset(reading: Reading, one: Field) -> tuple[str, int]:
    domain, version = "", 0
    for part in reading.inside(one):
        if part.number == 1 and is_whole(reading, part):
            domain = reading.text(part)
        elif part.number == 2 and part.wire == VARINT:
            version = signed(part.value)
    return domain, version


def _named(reading: Reading, one: Field) -> Named:
    name, kind, shape = "", 0, None
    for part in reading.inside(one):
        if part.wire != BYTES or is_cut(reading, part):
            continue
        if part.number == 1:
            name = reading.text(part)
        elif part.number == 2:
            kind, shape = _type(reading, part)
    return Named(name, kind, shape)


def _type(reading: Reading, one: Field) -> tuple[int, Shape | None]:
    """Element type and sizes of a TypeProto; (0, None) for sequences, maps and what is longer than any tensor's."""
    if one.length > _MAX_TYPE:
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
            shape = tuple(_size(reading, axis) for axis in axes) if len(axes) <= MAX_RANK else None
    return kind, shape


def _size(reading: Reading, one: Field) -> int | None:
    """A size along an axis; None where it is symbolic, or the negative number that some writers put for that."""
    for part in message(reading.source, one):
        if part.number == 1 and part.wire == VARINT:
            value = signed(part.value)
            return value if value >= 0 else None
    return None


