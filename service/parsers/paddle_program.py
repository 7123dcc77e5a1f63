"""PaddlePaddle's programs as data: variables and operators by name, and their protobuf form (`.pdmodel`, `__model__`).

Knows ProgramDesc's messages, not what an operator does. `paddle_pir` makes the same data of Paddle 3's JSON.

Source: paddle/fluid/framework/framework.proto of Paddle 3.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.paddle_tensors import DTYPES
from service.parsers.protobuf import (
    BYTES,
    VARINT,
    Blocks,
    Field,
    Memory,
    fields,
    message,
    packed,
    pair,
    signed,
    text_of,
)
from service.parsers.protobuf_message import float_of, floats, grouped, integers, number, payload
from service.source import BytesSource, Meter, Source

_MAX_TEXT = 4096
_MAX_AXES = 256
_MAX_VALUES = 256
_MAX_FIELDS = 2_000_000
_WHOLE = 32 << 20
"""A program up to this size is read at once; of a larger one the call stacks that it may hold are passed over."""
_SHORT = 256
"""Longest type or setting, in bytes, that is remembered."""
_Type = tuple[str | None, tuple[int | None, ...] | None]
_LOD_TENSORS = frozenset({7, 8})
_ROOT = b"\x08\x00\x10" + b"\xff" * 9 + b"\x01"
"""How the first block begins: its index 0, and no parent (-1)."""


@dataclass(frozen=True, slots=True)
class Variable:
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


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: the names of variables by slot, its settings, and the blocks it runs."""

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
    kept: Source = Blocks(source)
    if source.size <= _WHOLE:
        kept = Memory(source)
    found = Program()
    for one in fields(kept):
        if one.number == 1:
            found.blocks.append(_block(kept, one, found, limits))
        elif one.number == 4:
            found.version = _version(number(grouped(message(kept, one), _MAX_FIELDS), 1))
    if not found.blocks:
        raise MalformedFile(msg("The program has no blocks."), offset=0)
    return found


def _version(value: int) -> str | None:
    """2004001 is 2.4.1."""
    return f"{value // 1_000_000}.{value // 1000 % 1000}.{value % 1000}" if value else None


def _block(source: Source, where: Field, found: Program, limits: Limits) -> list[Operator]:
    operators: list[Operator] = []
    for one in message(source, where):
        if one.number == 3:
            variable = _variable(source, one)
            found.variables.setdefault(variable.name, variable)
        elif one.number == 4:
            operators.append(_operator(source, one))
    if len(operators) > limits.layers or len(found.variables) > 4 * limits.weights:
        raise LimitExceeded("layers", limits.layers, msg("The program has more operators than may be described."))
    return operators


def _variable(source: Source, where: Field) -> Variable:
    name, flags = "", {3: False, 5: False, 6: False}
    dtype: str | None = None
    shape: tuple[int | None, ...] | None = None
    for one in message(source, where):
        if one.number == 1:
            name = text_of(source, one, _MAX_TEXT)
        elif one.number == 2 and one.wire == BYTES:
            dtype, shape = _type(source, one)
        elif one.number in flags and one.wire == VARINT:
            flags[one.number] = bool(one.value)
    trainable = not flags[6] if flags[5] else None
    return Variable(name, dtype, shape, persistable=flags[3], parameter=flags[5], trainable=trainable)


def _type(source: Source, where: Field) -> _Type:
    """The type in `where`: a program has many variables of few types, so each is read once."""
    if where.length <= _SHORT:
        try:
            return _known_type(source.read_at(where.offset, where.length))
        except InputError:
            pass  # read again where it lies, so that the error has its place
    return _read_type(source, where)


@lru_cache(maxsize=4096)
def _known_type(data: bytes) -> _Type:
    return _read_type(BytesSource(data, Meter(Limits())), Field(0, BYTES, 0, 0, len(data)))


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


def _operator(source: Source, where: Field) -> Operator:
    kind = ""
    inputs: dict[str, list[str]] = {}
    outputs: dict[str, list[str]] = {}
    attributes: dict[str, Any] = {}
    blocks: list[int] = []
    for one in message(source, where):
        if one.number == 3:
            kind = text_of(source, one, _MAX_TEXT)
        elif one.number in (1, 2):
            slot, names = _slot(source, one)
            (inputs if one.number == 1 else outputs)[slot] = names
        elif one.number == 4:
            name, value = _setting(source, one, blocks)
            if value is not None and name:
                attributes[name] = value
    return Operator(kind, inputs, outputs, attributes, tuple(blocks), where.offset)


def _slot(source: Source, where: Field) -> tuple[str, list[str]]:
    known = pair(source, where)
    if known is not None:
        return known[0], [text_of(source, known[1], _MAX_TEXT)]
    slot, names = "", []
    for one in message(source, where):
        if one.number == 1:
            slot = text_of(source, one, _MAX_TEXT)
        elif one.number == 2:
            names.append(text_of(source, one, _MAX_TEXT))
    return slot, names


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
