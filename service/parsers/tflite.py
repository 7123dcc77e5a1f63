"""A TensorFlow Lite flatbuffer (schema version 3, 3a to 3d) as plain records; knows fields, not what operators mean.

Field numbers are those of LiteRT's `schema.fbs`. Buffers are told by where they lie and are never read; only the few
small ones that hold metadata are, on request.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.flatbuffer import Fields, Flatbuffer, Span, Table
from service.source import Source

MAGIC = b"TFL3"
OLD_MAGICS = (b"TFL1", b"TFL2")
_MAX_RANK = 64
_MAX_LIST = 1_000_000
_MAX_FEW = 100_000

_INDEX, _OPERATOR_BYTES = 12, 24
"""What describing an input or operator costs, in bytes of the file: what many places share costs each time."""
_MODEL = Fields("0:I", "1:o", "2:o", "3:o", "4:o", "6:o", "7:o", "8:o", "9:o")
_BUFFER = Fields("0:o", "1:Q", "2:Q")
_CODE = Fields("0:b", "1:o", "2:i=1", "3:i")
_SUBGRAPH = Fields("0:o", "1:o", "2:o", "3:o", "4:o")
_TENSOR = Fields("0:o", "1:b", "2:I", "3:o", "4:o", "5:B", "6:o", "7:o", "10:I")
_QUANTIZATION = Fields("2:o", "3:o", "4:B", "5:o", "6:i")
_BLOCKS = Fields("0:i", "1:i", "2:i", "3:o")
_OPERATOR = Fields("0:I", "1:o", "2:o", "3:B", "4:o", "5:o", "9:Q", "10:Q", "11:B", "12:o")
_METADATA = Fields("0:o", "1:I")
_SIGNATURE = Fields("0:o", "1:o", "2:o", "4:I")
_GROUP = Fields("0:o")
_EXTERNAL = Fields("0:I", "1:I", "2:Q", "3:Q", "4:o")


class Quantization(NamedTuple):
    """How numbers of a tensor stand for real ones. `scale` and `zero_point` only where one holds for all of it.

    `tensors` are the indices (scales, zero points) of a tensor quantised by blocks, -1 for none.
    """

    scales: int
    axis: int
    scale: float | None
    zero_point: int | None
    block: int | None = None
    tensors: tuple[int, ...] = ()


class Tensor(NamedTuple):
    """One tensor of a subgraph. Sizes of -1 are unknown; `signature` is the shape with its open sizes."""

    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...] | None
    type: int
    buffer: int
    quantization: Quantization | None
    is_variable: bool
    is_sparse: bool
    external: int


class Operator(NamedTuple):
    """One step. -1 among the inputs is an optional one left out; `options` are (union member, table), as stored."""

    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: tuple[int, Table | None]
    options2: tuple[int, Table | None]
    custom: Span | None


class OperatorCode(NamedTuple):
    """What an operator is: its number, version, and the name of a custom one."""

    builtin: int
    version: int
    custom: str | None


class Subgraph(NamedTuple):
    """One graph. Inputs and outputs are indices of tensors."""

    name: str
    tensors: list[Tensor]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: list[Operator]


class Signature(NamedTuple):
    """A named entry point: (alias, tensor) of its inputs and outputs."""

    key: str
    subgraph: int
    inputs: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, int], ...]


class External(NamedTuple):
    """A slice of another file, by the name of its group."""

    file: str
    offset: int
    length: int
    packing: str


class Contents(NamedTuple):
    """The whole file. `buffers` lie in the file, inside the flatbuffer or after it; empty ones are None."""

    version: int
    description: str
    codes: list[OperatorCode]
    subgraphs: list[Subgraph]
    buffers: list[Span | None]
    metadata: list[tuple[str, int]]
    signatures: list[Signature]
    externals: dict[int, External]


def read_contents(source: Source, limits: Limits) -> Contents:
    """Everything the flatbuffer says.

    Raises:
        MalformedFile: An offset, index or list cannot be.
        TruncatedFile: It points beyond the end of the file.
        LimitExceeded: More tensors or operators than one analysis may describe.
    """
    flat = Flatbuffer(source)
    version, codes, graphs, description, buffers, metadata, signatures, groups, externals = flat.record(
        flat.follow(0), _MODEL
    )
    places = [_buffer(flat, record) for record in flat.records(buffers, _BUFFER, _MAX_LIST)]
    known = [_code(flat, record) for record in flat.records(codes, _CODE, _MAX_FEW)]
    found = Contents(
        version=version,
        description=_text(flat, description),
        codes=known,
        subgraphs=_subgraphs(flat, graphs, limits, len(known), len(places)),
        buffers=places,
        metadata=[(_text(flat, name), index) for name, index in flat.records(metadata, _METADATA, _MAX_FEW)],
        signatures=[_signature(flat, record) for record in flat.records(signatures, _SIGNATURE, _MAX_FEW)],
        externals=_externals(flat, groups, externals),
    )
    flat.forget()
    return found


def data_of(contents: Contents, index: int, source: Source, most: int) -> bytes:
    """A small buffer's bytes; none where it is empty, larger than `most` or not in the file."""
    place = contents.buffers[index] if 0 <= index < len(contents.buffers) else None
    if place is None or place.length > most or place.offset + place.length > source.size:
        return b""
    return source.read_at(place.offset, place.length)


def _text(flat: Flatbuffer, position: int) -> str:
    return flat.string(position) if position else ""


def _span(flat: Flatbuffer, position: int, width: int) -> Span | None:
    """Where the elements of a vector lie, None for no elements."""
    if not position:
        return None
    start, count = flat.vector(position, width)
    return Span(start, count * width) if count else None


def _buffer(flat: Flatbuffer, record: list[Any]) -> Span | None:
    """Where the data lies: in the flatbuffer, or (3c) at an offset of the file."""
    data, offset, size = record
    inside = _span(flat, data, 1)
    return inside or (Span(offset, size) if offset > 1 and size else None)


def _code(flat: Flatbuffer, record: list[Any]) -> OperatorCode:
    """The number is in a byte, or in a wider field where it does not fit there."""
    narrow, custom, version, wide = record
    return OperatorCode(max(narrow, wide), version, flat.string(custom) if custom else None)


def _subgraphs(flat: Flatbuffer, position: int, limits: Limits, codes: int, buffers: int) -> list[Subgraph]:
    found: list[Subgraph] = []
    tensors = operators = 0
    for record in flat.records(position, _SUBGRAPH, _MAX_FEW):
        one = _subgraph(flat, record, codes, buffers)
        tensors, operators = tensors + len(one.tensors), operators + len(one.operators)
        _hold("weights", tensors, limits.weights * 2)
        _hold("layers", operators, limits.layers)
        found.append(one)
    return found


def _hold(limit: str, value: int, most: int) -> None:
    if value > most:
        raise LimitExceeded(
            limit, most, msg("The model has {value} parts; {most} are described at most.", value=value, most=most),
            value=value,
        )  # fmt: skip


def _subgraph(flat: Flatbuffer, record: list[Any], codes: int, buffers: int) -> Subgraph:
    tensors, inputs, outputs, operators, name = record
    known = [_tensor(flat, one, buffers) for one in flat.records(tensors, _TENSOR, _MAX_LIST)]
    return Subgraph(
        name=_text(flat, name),
        tensors=known,
        inputs=_indices(flat, inputs, len(known)),
        outputs=_indices(flat, outputs, len(known)),
        operators=[_operator(flat, one, len(known), codes) for one in flat.records(operators, _OPERATOR, _MAX_LIST)],
    )


def _tensor(flat: Flatbuffer, record: list[Any], buffers: int) -> Tensor:
    shape, kind, buffer, name, quantization, variable, sparsity, signature, external = record
    if buffer and buffer >= buffers:
        raise MalformedFile(msg("A tensor refers to buffer {buffer} of {buffers}.", buffer=buffer, buffers=buffers))
    made = (
        flat.string(name) if name else "",
        flat.numbers(shape, "i", _MAX_RANK) if shape else (),
        flat.numbers(signature, "i", _MAX_RANK) if signature else None,
        kind,
        buffer,
        _quantization(flat, quantization) if quantization else None,
        bool(variable),
        sparsity > 0,
        external,
    )
    return tuple.__new__(Tensor, made)


def _quantization(flat: Flatbuffer, position: int) -> Quantization | None:
    """None where the parameters are empty, as converters write them for tensors that are not quantised."""
    scale, point, kind, details, axis = flat.record(position, _QUANTIZATION)
    if kind > 1 and details:
        return _blockwise(flat, details, kind)
    if not scale:
        return None
    scales, points = _span(flat, scale, 4), _span(flat, point, 8)
    if scales is None:
        return None
    return Quantization(
        scales=scales.length // 4,
        axis=axis,
        scale=flat.numbers(scale, "f", 1)[0] if scales.length == 4 else None,
        zero_point=flat.numbers(point, "q", 1)[0] if points is not None and points.length == 8 else None,
    )


def _blockwise(flat: Flatbuffer, position: int, kind: int) -> Quantization:
    """BlockwiseQuantization (2) and MultiAxisQuantization (3), whose scales are tensors."""
    scales, points, size, axes = flat.record(position, _BLOCKS)
    known = flat.numbers(axes, "i", _MAX_RANK) if axes and kind > 2 else ()
    return Quantization(0, known[0] if known else 0, None, None, size, (scales, points))


def _operator(flat: Flatbuffer, record: list[Any], tensors: int, codes: int) -> Operator:
    code, inputs, outputs, member, options, custom, offset, size, member2, options2 = record
    if code >= codes:
        raise MalformedFile(msg("An operator refers to operator code {code} of {codes}.", code=code, codes=codes))
    flat.spend(_OPERATOR_BYTES)
    return Operator(
        code,
        _indices(flat, inputs, tensors, least=-1),
        _indices(flat, outputs, tensors),
        (member, flat.table_at(options) if options else None),
        (member2, flat.table_at(options2) if options2 else None),
        _span(flat, custom, 1) or (Span(offset, size) if offset > 1 else None),
    )


def _indices(flat: Flatbuffer, position: int, count: int, *, least: int = 0) -> tuple[int, ...]:
    """Indices of tensors; -1 for an optional one left out, where that may be."""
    if not position:
        return ()
    found: tuple[int, ...] = flat.numbers(position, "i", _MAX_LIST)
    flat.spend(_INDEX * len(found))
    if found and (max(found) >= count or min(found) < least):
        raise MalformedFile(
            msg("A list of tensors refers to one that is not among the {count}.", count=count), offset=position
        )
    return found


def _signature(flat: Flatbuffer, record: list[Any]) -> Signature:
    inputs, outputs, key, subgraph = record
    return Signature(_text(flat, key), subgraph, _aliases(flat, inputs), _aliases(flat, outputs))


def _aliases(flat: Flatbuffer, position: int) -> tuple[tuple[str, int], ...]:
    return tuple((_text(flat, name), index) for name, index in flat.records(position, _METADATA, _MAX_FEW))


def _externals(flat: Flatbuffer, groups: int, externals: int) -> dict[int, External]:
    """By the identifier that tensors refer to."""
    names = [_text(flat, name) for (name,) in flat.records(groups, _GROUP, _MAX_FEW)]
    found: dict[int, External] = {}
    for identifier, group, offset, length, packing in flat.records(externals, _EXTERNAL, _MAX_LIST):
        if group >= len(names):
            raise MalformedFile(msg("A weight lies in a file that is not listed."))
        found[identifier] = External(names[group], offset, length, _text(flat, packing))
    return found
