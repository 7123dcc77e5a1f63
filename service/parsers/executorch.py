"""ExecuTorch programs (.pte, `ET12`) and named data (.ptd, `FT01`) as plain records; knows no operators.

Field numbers are those of executorch's program.fbs and flat_tensor.fbs. Both may begin with an extended header (`eh00`,
`FH01`) that says where the segments are that follow the flatbuffer; segments are told by their place, never read.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.flatbuffer import Fields, Flatbuffer, Span
from service.source import Source

PROGRAM, BUNDLED, DATA = b"ET12", b"BP08", b"FT01"
_EXTENDED = struct.Struct("<4sI")
_MAX_LIST = 1_000_000
_MAX_FEW = 100_000
_MAX_RANK = 64
_INDEX = 12
"""What one index costs, in bytes of the file: a list that many places share costs each time."""
_PROGRAM = Fields("0:I", "1:o", "2:o", "3:o", "4:o", "5:o", "6:o", "7:o")
_PLAN = Fields("0:o", "2:o", "3:o", "4:o", "5:o", "6:o", "7:o")
_VALUE = Fields("0:B", "1:o")
_TENSOR = Fields("0:b", "2:o", "3:o", "4:B", "5:I", "6:o", "8:b", "9:o")
_EXTRA = Fields("0:Q", "1:o", "2:b")
_SEGMENT = Fields("0:Q", "1:Q")
_OFFSETS = Fields("0:I", "1:o")
_NAMED = Fields("0:o", "1:I", "2:o")
_PAIR = Fields("0:o", "1:o")
_DELEGATE = Fields("0:o", "1:o", "2:o")
_REFERENCE = Fields("0:b", "1:I")
_CHAIN = Fields("2:o")
_CALL = Fields("0:i", "1:o")
_MOVE = Fields("0:i", "1:i")
_ONE = Fields("0:o")
_LAYOUT = Fields("0:b", "1:o", "2:o")
_DATA = Fields("0:I", "1:o", "2:o")
KERNEL, DELEGATE, MOVE = 1, 2, 3
"""Members of the union of instructions; jumps and releases are none of a layer's."""


class Tensor(NamedTuple):
    """A tensor value. `order` is the order of its axes in memory; `key` names data outside the program."""

    type: int
    sizes: tuple[int, ...]
    order: tuple[int, ...]
    requires_grad: bool
    buffer: int
    mutable: bool
    dynamic: bool
    key: str
    external: bool
    segments: int


class Instruction(NamedTuple):
    """One step: a kernel or delegate by number with its values, or a move (from, to)."""

    kind: int
    number: int
    args: tuple[int, ...]


class Delegate(NamedTuple):
    """Work handed to a backend: its name, the place of its data, and the keys of its settings."""

    id: str
    data: Span | None
    settings: tuple[str, ...]


class Plan(NamedTuple):
    """One method. A value is a Tensor, a plain value, a list of values' indices (`tuple`), or None."""

    name: str
    values: list[Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    instructions: list[Instruction]
    operators: list[str]
    delegates: list[Delegate]


class Named(NamedTuple):
    """Data under a name: where it lies, and (.ptd) as which tensor: scalar type, sizes, order of axes."""

    key: str
    place: Span
    tensor: tuple[int, tuple[int, ...], tuple[int, ...]] | None


class Program(NamedTuple):
    """A whole program. `constants` are places by buffer number, `mutable` likewise for each group of mutable data.

    Lengths of data in segments are not recorded: a place reaches to the end of its segment.
    """

    version: int
    plans: list[Plan]
    constants: list[Span]
    mutable: list[list[Span]]
    named: list[Named]
    segments: list[Span]


def read_program(source: Source, limits: Limits) -> Program:
    """All that a .pte file says; places are offsets in `source`.

    Raises:
        MalformedFile: An offset, index or list cannot be.
        TruncatedFile: It points beyond the end of the file.
        LimitExceeded: More values or instructions than one analysis may describe.
    """
    flat = Flatbuffer(source)
    version, plans, buffers, inline, segments, constant, mutable, named = flat.record(flat.follow(0), _PROGRAM)
    known = _segments(flat, segments, _base(flat, b"eh00", 16))
    blobs = [_inline(flat, one) for (one,) in flat.records(inline, _ONE, _MAX_LIST)]
    found = [_plan(flat, record, blobs, known) for record in flat.records(plans, _PLAN, _MAX_FEW)]
    _hold(found, limits)
    return Program(
        version=version,
        plans=found,
        constants=_within(flat, flat.record(constant, _OFFSETS), known) if constant else [
            _inline(flat, one) or Span(0, 0) for (one,) in flat.records(buffers, _ONE, _MAX_LIST)
        ],
        mutable=[_within(flat, record, known) for record in flat.records(mutable, _OFFSETS, _MAX_FEW)],
        named=_named(flat, named, known),
        segments=known,
    )  # fmt: skip


def read_data(source: Source) -> tuple[int, list[Named]]:
    """(schema version, data by name) of a .ptd file; errors as in `read_program`."""
    flat = Flatbuffer(source)
    version, segments, named = flat.record(flat.follow(0), _DATA)
    return version, _named(flat, named, _segments(flat, segments, _base(flat, b"FH01", 24)))


def bundled(source: Source) -> Span:
    """Where the program is in a bundled one (.bpte), which has examples beside it."""
    found = Flatbuffer(source).root().span(2)
    if found is None:
        raise MalformedFile(msg("The bundle holds no program."))
    return found


def _base(flat: Flatbuffer, magic: bytes, at: int) -> int | None:
    """Where segments are counted from, as the extended header says; None where there is no header."""
    if flat.size < 8 + at + 8:
        return None
    found, length = _EXTENDED.unpack(flat.read(8, _EXTENDED.size))
    if found != magic:
        return None
    if length < at + 8:
        raise MalformedFile(msg("The extended header is too short."), offset=8)
    return int.from_bytes(flat.read(8 + at, 8), "little")


def _segments(flat: Flatbuffer, position: int, base: int | None) -> list[Span]:
    found = [Span((base or 0) + offset, size) for offset, size in flat.records(position, _SEGMENT, _MAX_LIST)]
    if base is None and any(one.length for one in found):  # a program whose data is all elsewhere has an empty one
        raise MalformedFile(msg("The file has segments, but no header that says where they are."), offset=8)
    return found


def _inline(flat: Flatbuffer, position: int) -> Span | None:
    if not position:
        return None
    start, count = flat.vector(position, 1)
    return Span(start, count)


def _within(flat: Flatbuffer, record: list[Any], segments: list[Span]) -> list[Span]:
    """Places in a segment, each reaching to the segment's end."""
    number, position = record
    offsets = flat.numbers(position, "Q", _MAX_LIST) if position else ()
    if not offsets:
        return []
    segment = _segment(segments, number)
    return [Span(segment.offset + offset, max(segment.length - offset, 0)) for offset in offsets]


def _segment(segments: list[Span], number: int) -> Span:
    if number >= len(segments):
        raise MalformedFile(
            msg("Data is said to be in segment {number} of {count}.", number=number, count=len(segments))
        )
    return segments[number]


def _named(flat: Flatbuffer, position: int, segments: list[Span]) -> list[Named]:
    return [
        Named(flat.string(key) if key else "", _segment(segments, number), _layout(flat, layout))
        for key, number, layout in flat.records(position, _NAMED, _MAX_LIST)
    ]


def _layout(flat: Flatbuffer, position: int) -> tuple[int, tuple[int, ...], tuple[int, ...]] | None:
    if not position:
        return None
    kind, sizes, order = flat.record(position, _LAYOUT)
    return kind, _sizes(flat, sizes), flat.numbers(order, "B", _MAX_RANK) if order else ()


def _sizes(flat: Flatbuffer, position: int) -> tuple[int, ...]:
    found: tuple[int, ...] = flat.numbers(position, "i", _MAX_RANK) if position else ()
    if found and min(found) < 0:
        raise MalformedFile(msg("A tensor has a negative size."), offset=position)
    return found


def _hold(plans: list[Plan], limits: Limits) -> None:
    for limit, value, most in (
        ("weights", sum(len(plan.values) for plan in plans), limits.weights * 4),
        ("layers", sum(len(plan.instructions) for plan in plans), limits.layers),
    ):
        if value > most:
            raise LimitExceeded(
                limit, most, msg("The model has {value} parts; {most} are described at most.", value=value, most=most),
                value=value,
            )  # fmt: skip


def _plan(flat: Flatbuffer, record: list[Any], blobs: list[Span | None], segments: list[Span]) -> Plan:
    name, values, inputs, outputs, chains, operators, delegates = record
    known = [_value(flat, *one) for one in flat.records(values, _VALUE, _MAX_LIST)]
    names = [_joined(flat, *one) for one in flat.records(operators, _PAIR, _MAX_FEW)]
    handed = [_delegate(flat, one, blobs, segments) for one in flat.records(delegates, _DELEGATE, _MAX_FEW)]
    counts = (len(names), len(handed), len(known))
    steps = [
        step
        for (chain,) in flat.records(chains, _CHAIN, _MAX_FEW)
        for one in flat.records(chain, _VALUE, _MAX_LIST)
        if (step := _instruction(flat, one[0], one[1], counts)) is not None
    ]
    return Plan(
        flat.string(name) if name else "", known, _indices(flat, inputs, len(known)),
        _indices(flat, outputs, len(known)), steps, names, handed,
    )  # fmt: skip


def _joined(flat: Flatbuffer, name: int, overload: int) -> str:
    parts = [flat.string(part) for part in (name, overload) if part]
    return ".".join(part for part in parts if part)


def _value(flat: Flatbuffer, kind: int, position: int) -> Any:
    """By the member of the union KernelTypes."""
    if not position or kind == 1:
        return None
    if kind == 5:
        return _tensor(flat, position)
    if kind in _SCALARS:
        return flat.table_at(position).scalar(0, _SCALARS[kind], default=_DEFAULTS[kind])
    if kind == 6:
        return flat.table_at(position).text(0) or ""
    if kind in _LISTS:
        found = flat.table_at(position).numbers(0, _LISTS[kind], _MAX_FEW) or ()
        return found if kind in (7, 10, 11) else list(found)
    return None


_SCALARS = {2: "q", 3: "?", 4: "d"}
_DEFAULTS = {2: 0, 3: False, 4: 0.0}
_LISTS = {7: "q", 8: "d", 9: "?", 10: "i", 11: "i"}


def _tensor(flat: Flatbuffer, position: int) -> Tensor:
    kind, sizes, order, learns, buffer, allocation, dynamism, extra = flat.record(position, _TENSOR)
    segments, key, location = flat.record(extra, _EXTRA) if extra else (0, 0, 0)
    return Tensor(
        kind, _sizes(flat, sizes), flat.numbers(order, "B", _MAX_RANK) if order else (), bool(learns), buffer,
        bool(allocation), bool(dynamism), flat.string(key) if key else "", location == 1, segments,
    )  # fmt: skip


def _delegate(flat: Flatbuffer, record: list[Any], blobs: list[Span | None], segments: list[Span]) -> Delegate:
    name, processed, settings = record
    location, number = flat.record(processed, _REFERENCE) if processed else (0, 0)
    inline = blobs[number] if number < len(blobs) else None
    keys = tuple(flat.string(key) if key else "" for key, _ in flat.records(settings, _PAIR, _MAX_FEW))
    return Delegate(flat.string(name) if name else "", _segment(segments, number) if location else inline, keys)


def _instruction(flat: Flatbuffer, kind: int, position: int, counts: tuple[int, int, int]) -> Instruction | None:
    """None for jumps and releases."""
    if not position or kind not in (KERNEL, DELEGATE, MOVE):
        return None
    if kind == MOVE:
        moved = tuple(flat.record(position, _MOVE))
        if not all(0 <= one < counts[2] for one in moved):
            raise MalformedFile(msg("An instruction refers to a value that is not there."), offset=position)
        return Instruction(kind, 0, moved)
    number, args = flat.record(position, _CALL)
    if not 0 <= number < counts[kind - 1]:
        raise MalformedFile(msg("An instruction calls an operator that is not there."), offset=position)
    return Instruction(kind, number, _indices(flat, args, counts[2]))


def _indices(flat: Flatbuffer, position: int, count: int) -> tuple[int, ...]:
    found: tuple[int, ...] = flat.numbers(position, "i", _MAX_LIST) if position else ()
    flat.spend(_INDEX * len(found))
    if found and (max(found) >= count or min(found) < 0):
        raise MalformedFile(
            msg("A list of values refers to one that is not among the {count}.", count=count), offset=position
        )
    return found
