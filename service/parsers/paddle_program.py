"""PaddlePaddle's programs as data: variables and operators by name, and their protobuf form (`.pdmodel`, `__model__`).

Knows ProgramDesc's messages, not what an operator does. `paddle_pir` makes the same data of Paddle 3's JSON.

Source: paddle/fluid/framework/framework.proto of Paddle 3.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.paddle_tensors import DTYPES
from service.parsers.protobuf import BYTES, Blocks, Field, Memory, fields, message, packed, signed, text_of
from service.parsers.protobuf_message import alone, float_of, floats, grouped, integers, number, once, payload
from service.parsers.protobuf_spans import Spans, inner, no_payload, read_text, spans
from service.source import BytesSource, Meter, Source

_MAX_TEXT = 4096
_MAX_AXES = 256
_MAX_VALUES = 256
_MAX_FIELDS = 2_000_000
_WHOLE = 32 << 20
"""A program up to this size is read at once; of a larger one the call stacks that it may hold are passed over."""
_SHORT = 256
"""Longest type or setting, in bytes, that is remembered."""
_LONG = 2048
"""Longest settings of one operator, in bytes, that are remembered."""
_Type = tuple[str | None, tuple[int | None, ...] | None]
_Facts = tuple[str | None, tuple[int | None, ...] | None, bool, bool, bool | None]
"""What is told of a variable beside its name, in the order of `Variable`."""
_Settings = tuple[dict[str, Any], tuple[int, ...]]
_NO_SETTINGS: _Settings = ({}, ())
_NAME, _NAMES, _TYPE, _PERSISTABLE, _PARAMETER, _STOPPED = 0x0A, 0x12, 0x12, 0x18, 0x28, 0x30
"""Tags of the fields of variables and of slots."""
_INPUTS, _OUTPUTS, _KIND, _SETTING = 0x0A, 0x12, 0x1A, 0x22
"""Tags of the fields of operators."""
_PLAIN = 127
"""Longest payload whose length is one byte."""
_LOD_TENSORS = frozenset({7, 8})
_ROOT = b"\x08\x00\x10" + b"\xff" * 9 + b"\x01"
"""How the first block begins: its index 0, and no parent (-1)."""


class Variable(NamedTuple):
    """One variable.

    Attributes:
        persistable: Whether it outlives a run: weights and statistics, and optimizer slots.
        parameter: Whether the program itself says that it is a parameter; programs saved for inference forget it.
        trainable: As recorded for a parameter, else None.
    """

    name: str
    dtype: str | None
    shape: tuple[int | None, ...] | None
    persistable: bool = False
    parameter: bool = False
    trainable: bool | None = None


class Operator(NamedTuple):
    """One operator: the names of variables by slot, its settings, and the blocks it runs.

    Operators that are written alike share their settings.
    """

    type: str
    inputs: dict[str, list[str]]
    outputs: dict[str, list[str]]
    attributes: dict[str, Any]
    blocks: tuple[int, ...] = ()
    place: int | None = None


@dataclass(slots=True)
class Program:
    """Variables of all blocks by name, and the operators of each block; the first block is the main one."""

    variables: dict[str, Variable] = field(default_factory=dict)
    blocks: list[list[Operator]] = field(default_factory=list)
    version: str | None = None


def looks_like_program(source: Source) -> bool:
    """Whether the file begins as a ProgramDesc does: with a block of index 0 that has no parent."""
    start = source.read_at(0, min(source.size, 32))
    at = start.find(_ROOT)
    return start[:1] == b"\x0a" and 2 <= at <= 11


def program(source: Source, limits: Limits) -> Program:
    """The program.

    Raises:
        InputError: It breaks the wire format, is cut, or is larger than the limits.
    """
    kept: Blocks | Memory = Memory(source) if source.size <= _WHOLE else Blocks(source)
    found = Program()
    reading = _Reading(kept)
    for one in fields(kept):
        if one.number == 1:
            found.blocks.append(_block(reading, one, found, limits))
        elif one.number == 4:
            found.version = _version(number(grouped(message(kept, one), _MAX_FIELDS), 1))
    if not found.blocks:
        raise MalformedFile(msg("The program has no blocks."), offset=0)
    return found


def _version(value: int) -> str | None:
    """2004001 is 2.4.1."""
    return f"{value // 1_000_000}.{value // 1000 % 1000}.{value % 1000}" if value else None


@dataclass(slots=True)
class _Reading:
    """The file being read, and what was understood of bytes that come again and again.

    `facts` are what stands of variables behind their names, `settings` what stands of operators behind their types.
    """

    source: Blocks | Memory
    texts: dict[bytes, str] = field(default_factory=dict)
    facts: dict[bytes, _Facts] = field(default_factory=dict)
    settings: dict[bytes, _Settings] = field(default_factory=dict)

    def text(self, held: Spans, begin: int, end: int) -> str:
        """The text from `begin` to `end`; names are said again and again, so a short one is kept."""
        if end - begin > _SHORT or end > len(held.data):
            return read_text(self.source, held, begin, end, _MAX_TEXT)
        return self.known(held.data[begin:end])

    def known(self, written: bytes) -> str:
        """A short text."""
        found = self.texts.get(written)
        if found is None:
            found = self.texts[written] = written.decode("utf-8", "replace")
        return found


def _block(reading: _Reading, where: Field, found: Program, limits: Limits) -> list[Operator]:
    operators: list[Operator] = []
    for one in message(reading.source, where):
        if one.number == 3:
            variable = _variable(reading, one)
            found.variables.setdefault(variable.name, variable)
        elif one.number == 4:
            operators.append(_operator(reading, one))
    if len(operators) > limits.layers or len(found.variables) > 4 * limits.weights:
        raise LimitExceeded("layers", limits.layers, msg("The program has more operators than may be described."))
    return operators


def _variable(reading: _Reading, where: Field) -> Variable:
    """A variable; what is told of it behind its name, as it is of many others, is read once."""
    data, base = reading.source.window(where.offset)
    begin, stop = where.offset - base, where.offset - base + where.length
    end = begin + 2 + data[begin + 1] if where.length > 1 and data[begin] == _NAME else stop
    known = reading.facts.get(data[end:stop]) if end < stop <= len(data) else None
    if known is not None:
        return tuple.__new__(Variable, (reading.known(data[begin + 2 : end]), *known))
    return _any_variable(reading, where)


def _any_variable(reading: _Reading, where: Field) -> Variable:
    held = spans(reading.source, where)
    if not held.fields or held.fields[0][0] != _NAME:
        return Variable(_name_in(reading, held), *_facts(reading, held))
    _, begin, end = held.fields[0]
    stop = held.fields[-1][2]
    written = held.data[end:stop] if stop <= len(held.data) and stop - end <= _SHORT else b""
    known = reading.facts.get(written)
    if known is None:
        if sum(tag == _NAME for tag, _, _ in held.fields) > 1:
            return Variable(_name_in(reading, held), *_facts(reading, held))
        known = _facts(reading, held)
        if written:
            reading.facts[written] = known
    return tuple.__new__(Variable, (reading.text(held, begin, end), *known))


def _name_in(reading: _Reading, held: Spans) -> str:
    for tag, _, end in held.fields:
        if tag < _NAMES and tag != _NAME:
            raise no_payload(held, tag, end)
    return next((reading.text(held, begin, end) for tag, begin, end in held.fields[::-1] if tag == _NAME), "")


def _facts(reading: _Reading, held: Spans) -> _Facts:
    flags = {_PERSISTABLE: False, _PARAMETER: False, _STOPPED: False}
    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None
    for tag, begin, end in held.fields:
        if tag == _TYPE:
            dtype, shape = _type(reading.source, Field(2, BYTES, 0, held.base + begin, end - begin))
        elif tag in flags:
            flags[tag] = bool(begin)
    return dtype, shape, flags[_PERSISTABLE], flags[_PARAMETER], not flags[_STOPPED] if flags[_PARAMETER] else None


def _type(source: Source, where: Field) -> _Type:
    """The type in `where`: a program has many variables of few types, so each is read once."""
    return once(source, where, _known_type, _read_type)


@lru_cache(maxsize=4096)
def _known_type(data: bytes) -> _Type:
    return _read_type(*alone(data))


def _read_type(source: Source, where: Field) -> _Type:
    """Element type and sizes of a tensor; None for variables of other types."""
    held = grouped(message(source, where), _MAX_FIELDS)
    if number(held, 1) not in _LOD_TENSORS:
        return None, None
    tensor = payload(held, 3)
    inner = payload(grouped(message(source, tensor), _MAX_FIELDS), 1) if tensor is not None else payload(held, 2)
    if inner is None:
        return None, None
    described = grouped(message(source, inner), _MAX_FIELDS)
    sizes = integers(source, described, 2, _MAX_AXES)
    return DTYPES.get(number(described, 1)), tuple(size if size >= 0 else None for size in sizes)


def _operator(reading: _Reading, where: Field) -> Operator:
    data, base = reading.source.window(where.offset)
    at, stop = where.offset - base, where.offset - base + where.length
    found = _known_operator(reading, data, at, stop, where.offset) if stop <= len(data) else None
    return _any_operator(reading, where) if found is None else found


def _known_operator(reading: _Reading, data: bytes, at: int, stop: int, offset: int) -> Operator | None:
    """An operator with one variable in each slot, and with settings that another one had; None for any other."""
    texts, known, kind = reading.texts.get, reading.known, ""
    ends: dict[int, dict[str, list[str]]] = {_INPUTS: {}, _OUTPUTS: {}}
    while at + 2 < stop and data[at] != _SETTING:
        tag, begin, end = data[at], at + 2, at + 2 + data[at + 1]
        if data[at + 1] > _PLAIN or end >= stop:
            return None
        if tag == _KIND:
            kind = texts(data[begin:end]) or known(data[begin:end])
        else:
            middle = begin + 2 + data[begin + 1] if data[begin] == _NAME else end
            if tag not in ends or middle + 1 >= end or data[middle] != _NAMES or data[middle + 1] != end - middle - 2:
                return None
            slot, name = data[begin + 2 : middle], data[middle + 2 : end]
            ends[tag][texts(slot) or known(slot)] = [texts(name) or known(name)]
        at = end
    found = reading.settings.get(data[at:stop])
    return tuple.__new__(Operator, (kind, ends[_INPUTS], ends[_OUTPUTS], *found, offset)) if found else None


def _any_operator(reading: _Reading, where: Field) -> Operator:
    held = spans(reading.source, where)
    kind, settings = "", 0
    ends: dict[int, dict[str, list[str]]] = {_INPUTS: {}, _OUTPUTS: {}}
    first = 0
    for index, (tag, begin, end) in enumerate(held.fields):
        if tag == _SETTING:
            settings += 1
            first = first if settings > 1 else index
        elif tag in ends:
            slot, names = _slot(reading, held, begin, end)
            ends[tag][slot] = names
        elif tag == _KIND:
            kind = reading.text(held, begin, end)
        elif tag < _SETTING:
            raise no_payload(held, tag, end)
    found = _NO_SETTINGS
    if settings:
        found = _settings(reading, held, held.fields[first - 1][2] if first else where.offset - held.base, settings)
    return tuple.__new__(Operator, (kind, ends[_INPUTS], ends[_OUTPUTS], *found, where.offset))


def _slot(reading: _Reading, held: Spans, begin: int, end: int) -> tuple[str, list[str]]:
    slot, names = "", []
    part = inner(reading.source, held, begin, end)
    for tag, first, last in part.fields:
        if tag == _NAME:
            slot = reading.text(part, first, last)
        elif tag == _NAMES:
            names.append(reading.text(part, first, last))
        elif tag <= _NAMES:
            raise no_payload(part, tag, last)
    return slot, names


def _settings(reading: _Reading, held: Spans, start: int, count: int) -> _Settings:
    """Settings and blocks of an operator; those that stand together from `start` on, as in many others, once."""
    places = [(begin, end) for tag, begin, end in held.fields if tag == _SETTING]
    stop = places[-1][1]
    written = held.data[start:stop] if stop <= len(held.data) and stop - start <= _LONG else b""
    known = reading.settings.get(written)
    if known is not None and sum(start < end <= stop for _, _, end in held.fields) == count:
        return known
    attributes: dict[str, Any] = {}
    blocks: list[int] = []
    for begin, end in places:
        name, value = _setting(reading.source, Field(4, BYTES, 0, held.base + begin, end - begin), blocks)
        if value is not None and name:
            attributes[name] = value
    found = attributes, tuple(blocks)
    if written and sum(start < end <= stop for _, _, end in held.fields) == count:
        reading.settings[written] = found
    return found


_NOISE = frozenset({"op_callstack", "op_role_var", "op_namescope", "op_device", "with_quant_attr"})
_LISTS = frozenset({6, 7, 8, 11, 15, 16})


def _setting(source: Source, where: Field, blocks: list[int]) -> tuple[str, Any]:
    """Name and value of a setting; most operators of a type have the same ones, so each is read once."""
    if where.wire != BYTES or where.length > _SHORT:
        return _attribute(source, where, blocks)
    try:
        name, value, inner = _known_setting(source.read_at(where.offset, where.length))
    except InputError:
        return _attribute(source, where, blocks)  # again where it lies, so that the error has its place
    blocks.extend(inner)
    return name, list(value) if isinstance(value, list) else value


@lru_cache(maxsize=4096)
def _known_setting(data: bytes) -> tuple[str, Any, tuple[int, ...]]:
    blocks: list[int] = []
    field = Field(0, BYTES, 0, 0, len(data))
    name, value = _attribute(BytesSource(data, Meter(Limits())), field, blocks)
    return name, value, tuple(blocks)


def _attribute(source: Source, where: Field, blocks: list[int]) -> tuple[str, Any]:
    """Name and value of a setting; None for what is no setting of the model. Blocks are collected."""
    name = ""
    value: Any = None
    several: list[Any] | None = None
    for one in message(source, where):
        if one.number == 1:
            name = text_of(source, one, _MAX_TEXT)
            if name in _NOISE:
                return "", None
        elif one.number in (12, 14):
            blocks.extend(packed(source, one, _MAX_VALUES))
        elif one.number in _LISTS:
            several = [] if several is None else several
            if len(several) < _MAX_VALUES:
                several.extend(_numbers(source, one))
        elif one.number in _SINGLE:
            value = _single(source, one)
    return name, value if several is None else several


_SINGLE = frozenset({3, 4, 5, 10, 13, 17, 19})


def _single(source: Source, one: Field) -> Any:
    """The value of a setting that is no list."""
    if one.number in (5, 17):
        return text_of(source, one, _MAX_TEXT)
    if one.number in (4, 19):
        return float_of(one) if one.wire != BYTES else None
    return bool(one.value) if one.number == 10 else signed(one.value)


def _numbers(source: Source, one: Field) -> Iterator[Any]:
    """Items of a list: whole numbers, truths, floats or texts."""
    if one.number in (7, 16):
        yield from floats(source, {one.number: [one]}, one.number, _MAX_VALUES, 4 if one.number == 7 else 8)
        return
    if one.number == 8:
        yield text_of(source, one, _MAX_TEXT)
        return
    for value in packed(source, one, 1 << 20)[:_MAX_VALUES]:
        yield bool(value) if one.number == 11 else signed(value)
