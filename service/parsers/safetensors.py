"""The safetensors container: a length, a JSON header, one buffer; knows its rules and element types, no model.

Format: eight bytes with the header's length N (little-endian), N bytes of JSON that begin with `{` and may end in
spaces, then the arrays' bytes. Source: safetensors/src/tensor.rs. Only the header is ever read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import msgspec

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile
from service.language import Message, msg
from service.parsers import json_text
from service.plain import text
from service.source import Source, head

PREFIX = 8
"""Bytes of the header's length."""
MAX_HEADER = 100_000_000
"""Longest header that the safetensors library reads, in bytes."""
MAX_AXES = 255
_LARGEST = 2**63 - 1
_METADATA = "__metadata__"
_PLAUSIBLE = 1 << 40
_QUOTES = 10
"""Quotation marks of one entry that has its name, three keys and its element type, and nothing else."""

ELEMENTS: Mapping[str, tuple[str, int]] = {
    "BOOL": ("bool", 8), "U8": ("uint8", 8), "I8": ("int8", 8), "U16": ("uint16", 16), "I16": ("int16", 16),
    "U32": ("uint32", 32), "I32": ("int32", 32), "U64": ("uint64", 64), "I64": ("int64", 64),
    "F16": ("float16", 16), "BF16": ("bfloat16", 16), "F32": ("float32", 32), "F64": ("float64", 64),
    "C64": ("complex64", 64), "C128": ("complex128", 128),
    "F8_E4M3": ("float8_e4m3fn", 8), "F8_E5M2": ("float8_e5m2", 8), "F8_E8M0": ("float8_e8m0fnu", 8),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 8), "F8_E5M2FNUZ": ("float8_e5m2fnuz", 8),
    "F6_E2M3": ("float6_e2m3fn", 6), "F6_E3M2": ("float6_e3m2fn", 6), "F4": ("float4_e2m1fn", 4),
    "I4": ("int4", 4), "U4": ("uint4", 4),
}  # fmt: skip
"""Element type as the header spells it -> as it is spelled here, and the bits of one element."""

_Size = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]


_NO_SHAPE: tuple[int, ...] = (-1,)
_NOWHERE = (-1, -1)
"""What no header can say: where they are found, the header says nothing of the kind."""


class Array(msgspec.Struct, frozen=True, gc=False):
    """One array of the header.

    `data_offsets`: where its bytes begin and end, from the start of the buffer; the first is not above the second.
    """

    dtype: str = ""
    shape: Annotated[tuple[_Size, ...], msgspec.Meta(max_length=MAX_AXES)] = _NO_SHAPE
    data_offsets: tuple[_Size, _Size] = _NOWHERE


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says.

    Attributes:
        arrays: By name, in the header's order.
        metadata: `__metadata__`, where its values should be texts and may be anything.
        start: Where the buffer begins in the file.
        size: Bytes of the buffer that are in the file.
        needed: Bytes of the buffer that the arrays lie in, by what the header says.
        bytes: Sum of what the arrays have.
        gapless: Whether they lie one after the other from the buffer's start on, in the header's order.
    """

    arrays: Mapping[str, Array]
    metadata: Mapping[str, Any]
    start: int
    size: int
    needed: int
    bytes: int
    gapless: bool


class _Beside(msgspec.Struct):
    metadata: msgspec.Raw = msgspec.field(name=_METADATA, default=msgspec.Raw(b""))


_ENTRIES = msgspec.json.Decoder(dict[str, Array])
_BESIDE = msgspec.json.Decoder(_Beside)


def resembles(source: Source) -> bool:
    """Whether the bytes are a safetensors file, or clearly were one before they were damaged."""
    start = head(source, 4096)
    if start[PREFIX : PREFIX + 1] != b"{":
        return False
    inside = start[PREFIX + 1 :].lstrip(b" \t\r\n")[:1]
    length = int.from_bytes(start[:PREFIX], "little")
    if not inside:
        return length <= MAX_HEADER
    return (length < _PLAUSIBLE and inside in b'"}') or b'"data_offsets"' in start


def read_header(source: Source, limits: Limits, member: str | None = None) -> Header:
    """The header of a file.

    Raises:
        TruncatedFile: The file ends within the header.
        MalformedFile: The length, the JSON or an entry breaks the format's rules.
        LimitExceeded: More bytes or arrays than one analysis may describe.
    """
    length = _length(source, limits, member)
    data = source.read_at(PREFIX, length)
    _check_number(data.count(b'"data_offsets"'), limits, member)
    arrays, metadata = _quick(data) or _careful(data, limits, member)
    _check_number(len(arrays), limits, member)
    needed, total, gapless = _extent(arrays, member)
    start = PREFIX + length
    return Header(arrays, metadata, start, source.size - start, needed, total, gapless)


def _extent(arrays: Mapping[str, Array], member: str | None) -> tuple[int, int, bool]:
    """Where the last of the arrays ends, their bytes, and whether each begins where the one before it ends."""
    at = needed = total = 0
    gapless = True
    for name, one in arrays.items():
        begin, end = one.data_offsets
        if begin > end:
            _refuse(name, msg("its data ends before it begins"), member)
        if begin != at:
            gapless = False
        needed = max(needed, end)
        total += end - begin
        at = end
    return needed, total, gapless


def _length(source: Source, limits: Limits, member: str | None) -> int:
    if source.size < PREFIX:
        raise TruncatedFile(
            msg("The file has {size} bytes; the length of the header alone takes 8.", size=source.size), member=member
        )
    length = int.from_bytes(source.read_at(0, PREFIX), "little")
    if length > MAX_HEADER:
        detail = msg(
            "The header is said to have {length} bytes; {most} are allowed at most.", length=length, most=MAX_HEADER
        )
        raise MalformedFile(detail, member=member, offset=0)
    missing = PREFIX + length - source.size
    if missing > 0:
        detail = msg(
            "The header has {length} bytes, of which the last {missing} are missing.", length=length, missing=missing
        )
        raise TruncatedFile(detail, member=member, offset=source.size, missing=missing)
    if length > limits.json_bytes:
        detail = msg("The JSON has {n} bytes; {max_bytes} are read at most.", n=length, max_bytes=limits.json_bytes)
        raise LimitExceeded("json_bytes", limits.json_bytes, detail, value=length, member=member)
    return length


def _check_number(number: int, limits: Limits, member: str | None) -> None:
    if number > limits.weights:
        detail = msg("The file holds more than {weights} tensors.", weights=limits.weights)
        raise LimitExceeded("weights", limits.weights, detail, value=number, member=member)


def _quick(data: bytes) -> tuple[dict[str, Array], Mapping[str, Any]] | None:
    """Arrays and metadata of a header that is beyond doubt right; None for one that has to be looked at in detail.

    The decoder keeps the last of two equal keys. As no quotation mark is escaped, and every entry has at least its ten,
    their number tells whether any key occurs twice.
    """
    if b"\\" in data:
        return None
    try:
        arrays = _ENTRIES.decode(data)
        beside = bytes(_BESIDE.decode(data).metadata) if f'"{_METADATA}"'.encode() in data else b""
        metadata = msgspec.json.decode(beside, type=dict[str, str]) if beside else {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if beside:
        del arrays[_METADATA]
    if data.count(b'"') != _QUOTES * len(arrays) + (2 + 4 * len(metadata) if beside else 0):
        return None
    missing = any([not one.dtype or one.shape is _NO_SHAPE or one.data_offsets is _NOWHERE for one in arrays.values()])  # noqa: C419 - faster as a list
    return None if missing else (arrays, metadata)


def _careful(data: bytes, limits: Limits, member: str | None) -> tuple[dict[str, Array], Mapping[str, Any]]:
    try:
        document = json_text.parse_object(
            data, max_bytes=limits.json_bytes, max_depth=limits.json_depth, member=member, constants="refuse"
        )
    except InputError as error:
        if error.info.offset is not None:
            error.info = msgspec.structs.replace(error.info, offset=PREFIX + error.info.offset)
        raise
    metadata = document.pop(_METADATA, {})
    if not isinstance(metadata, dict):
        _refuse(_METADATA, msg("it is not an object"), member)
    return {name: _array(name, value, member) for name, value in document.items()}, metadata


def _array(name: str, value: Any, member: str | None) -> Array:
    if not isinstance(value, dict):
        _refuse(name, msg("it is not an object"), member)
    dtype, shape, offsets = value.get("dtype"), value.get("shape"), value.get("data_offsets")
    if not isinstance(dtype, str):
        _refuse(name, msg("dtype is not a text"), member)
    if not isinstance(shape, list) or not all(map(_is_size, shape)):
        _refuse(name, msg("shape is not a list of sizes"), member)
    if len(shape) > MAX_AXES:
        _refuse(name, msg("it has {axes} axes", axes=len(shape)), member)
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_size, offsets)):
        _refuse(name, msg("data_offsets is not a beginning and an end"), member)
    return Array(dtype, tuple(shape), (offsets[0], offsets[1]))


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _refuse(name: str, why: Message, member: str | None) -> NoReturn:
    short = text(name, 200)
    raise MalformedFile(
        msg("The header's entry {name} cannot be: {why}.", name=short, why=why), member=member, pointer=short
    )
