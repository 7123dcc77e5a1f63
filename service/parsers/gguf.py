"""The header of a GGUF file, versions 1 to 3 in both byte orders; knows the grammar, no key's or tensor's meaning.

Source: ggml's docs/gguf.md. A header is a magic number, a version, two counts, that many keys with values, that many
descriptions of tensors, and padding; the tensors' bytes lie behind it and are not read here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from service.config import Limits
from service.errors import LimitExceeded, MalformedFile, TruncatedFile, UnsupportedFeature
from service.language import msg
from service.parsers.gguf_walk import Walk
from service.source import Source

MAGIC = b"GGUF"
VERSIONS = (1, 2, 3)
DEFAULT_ALIGNMENT = 32
MAX_DIMENSIONS = 4
"""What ggml allows; more is described all the same, and said."""

_MAX_KEYS = 100_000
_MAX_KEY_BYTES = 65_535
_MAX_NAME_BYTES = 65_535
_MAX_RANK = 64
_MAX_NESTING = 4
_KEPT_ITEMS = 256
"""Longer arrays are summarised: a vocabulary is not a hyper-parameter."""
_KEPT_STRING = 1 << 18
_KEPT_TEXT = 16 << 20
"""Bytes of strings kept of one file: what is beyond is summarised."""

_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q", 12: "d"}
TYPE_NAMES = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "bool", "string", "array", "uint64", "int64",
    "float64",
)  # fmt: skip


class Summary(NamedTuple):
    """A value too long to be kept: `length` elements of a type, or a string of `length` bytes."""

    kind: str
    length: int


Value = int | float | bool | str | Summary | tuple["Value", ...]


class TensorInfo(NamedTuple):
    """One description. `dims` as stored, fastest first; `offset` in bytes within the data; `at` its place."""

    name: str
    dims: tuple[int, ...]
    type: int
    offset: int
    at: int


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the data.

    Attributes:
        version: 1, 2 or 3.
        big_endian: Told by the version: no other field says it.
        metadata: Keys and values in the order of the file; of a doubled key the first.
        doubled: Keys that occur again.
        tensors: All descriptions.
        end: Offset behind the last description, before the padding.
        data: Offset of the data: `end`, aligned.
        alignment: In bytes, as `general.alignment` says.
    """

    version: int
    big_endian: bool
    metadata: Mapping[str, Value]
    tensors: tuple[TensorInfo, ...]
    end: int
    data: int
    alignment: int
    doubled: tuple[str, ...] = ()


def read_header(source: Source, limits: Limits) -> Header:
    """The header of a GGUF file.

    Raises:
        TruncatedFile: The file ends within the header.
        MalformedFile: It is no GGUF file, or its counts, lengths or types cannot be.
        UnsupportedFeature: A version that is not known.
        LimitExceeded: More tensors or keys than one analysis may describe.
    """
    version, big = _version(source)
    walk = Walk(source, ">" if big else "<", 8 if version > 1 else 4)
    tensors, keys = walk.size(), walk.size()
    walk.announced = (keys, tensors)
    _check_counts(source, limits, keys, tensors, wide=version > 1)
    metadata, doubled = _metadata(walk, keys)
    found = _tensors(walk, tensors, metadata)
    alignment = alignment_of(metadata)
    return Header(
        version=version,
        big_endian=big,
        metadata=metadata,
        tensors=tuple(found),
        end=walk.position,
        data=-(-walk.position // alignment) * alignment,
        alignment=alignment,
        doubled=tuple(doubled),
    )


def _version(source: Source) -> tuple[int, bool]:
    start = source.read_at(0, min(8, source.size))
    if start[:4] != MAGIC:
        raise MalformedFile(msg("The file does not start as a GGUF file does."), offset=0)
    if len(start) < 8:
        raise TruncatedFile(msg("The file ends within its first 8 bytes."), offset=source.size)
    little, big = (int.from_bytes(start[4:], order) for order in ("little", "big"))
    if little in VERSIONS or big in VERSIONS:
        return (little, False) if little in VERSIONS else (big, True)
    version = min(little, big)
    if not version:
        raise MalformedFile(msg("The version of the GGUF file is 0."), offset=4)
    raise UnsupportedFeature(msg("GGUF version {version} is not known; 1 to 3 are read.", version=version), offset=4)


def _check_counts(source: Source, limits: Limits, keys: int, tensors: int, *, wide: bool) -> None:
    """That so many keys and tensors can be there, and may be described."""
    room = source.size - (24 if wide else 16)
    least = (keys * (13 if wide else 9)) + tensors * (24 if wide else 20)
    if least > room and (keys > _MAX_KEYS or tensors > limits.weights):
        what = msg(
            "The header announces {keys} keys and {tensors} tensors; {room} bytes follow, which cannot hold them.",
            keys=keys, tensors=tensors, room=room,
        )  # fmt: skip
        raise MalformedFile(what, offset=8)
    if tensors > limits.weights:
        what = msg("The file holds more than {weights} tensors.", weights=limits.weights)
        raise LimitExceeded("weights", limits.weights, what, value=tensors)
    if keys > _MAX_KEYS:
        raise LimitExceeded("gguf_keys", _MAX_KEYS, msg("The metadata has {keys} keys.", keys=keys), value=keys)


def alignment_of(metadata: Mapping[str, Value]) -> int:
    """The alignment of the data in bytes; MalformedFile for one that is no power of two."""
    found = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(found, int) or not 0 < found <= 1 << 31 or found & (found - 1):
        raise MalformedFile(
            msg("general.alignment is {value}, which is no power of two.", value=str(found)[:50]),
            pointer="general.alignment",
        )
    return found


# Keys and values


def _metadata(walk: Walk, count: int) -> tuple[dict[str, Value], list[str]]:
    metadata: dict[str, Value] = {}
    doubled: list[str] = []
    for index in range(count):
        walk.item = (index, 0)
        length = walk.size()
        if length > _MAX_KEY_BYTES:
            walk.fail(msg("A metadata key announces {length} bytes; 65,535 are allowed.", length=length))
        key = walk.take(length).decode("utf-8", "replace")
        value = _value(walk, walk.uint32())
        if key in metadata:
            doubled.append(key)
        else:
            metadata[key] = value
    return metadata, doubled


def _value(walk: Walk, kind: int) -> Value:
    if kind in _SCALARS:
        found: int | float = struct.unpack(walk.order + _SCALARS[kind], walk.take(_width(kind)))[0]
        return bool(found) if kind == _BOOL else found
    if kind == _STRING:
        return _string(walk)
    if kind == _ARRAY:
        return _array(walk)
    return walk.fail(msg("A metadata value has the type {kind}, which GGUF does not have.", kind=kind))


def _string(walk: Walk) -> str | Summary:
    length = walk.size()
    if length <= _KEPT_STRING and walk.kept + length <= _KEPT_TEXT:
        walk.kept += length
        return walk.take(length).decode("utf-8", "replace")
    walk.skip(length)
    return Summary("string", length)


def _array(walk: Walk) -> Value:
    kind, count = walk.uint32(), walk.size()
    if kind in _SCALARS:
        return _numbers(walk, kind, count)
    if kind == _STRING:
        return _strings(walk, count)
    if kind != _ARRAY:
        walk.fail(msg("A metadata array has elements of the type {kind}, which GGUF does not have.", kind=kind))
    _skip_arrays(walk, count)
    return Summary("array", count)


def _numbers(walk: Walk, kind: int, count: int) -> Value:
    if count > _KEPT_ITEMS:
        walk.skip(count * _width(kind))
        return Summary(TYPE_NAMES[kind], count)
    found = struct.unpack(f"{walk.order}{count}{_SCALARS[kind]}", walk.take(count * _width(kind)))
    return tuple(map(bool, found)) if kind == _BOOL else found


def _strings(walk: Walk, count: int) -> Value:
    if count > _KEPT_ITEMS:
        walk.skip_strings(count)
        return Summary("string", count)
    return tuple(_string(walk) for _ in range(count))


def _skip_arrays(walk: Walk, count: int) -> None:
    """Pass over arrays of arrays, which GGUF allows and nobody writes."""
    open_arrays = [count]
    while open_arrays:
        if not open_arrays[-1]:
            open_arrays.pop()
            continue
        open_arrays[-1] -= 1
        kind, inner = walk.uint32(), walk.size()
        if kind in _SCALARS:
            walk.skip(inner * _width(kind))
        elif kind == _STRING:
            walk.skip_strings(inner)
        elif kind == _ARRAY and len(open_arrays) < _MAX_NESTING:
            open_arrays.append(inner)
        else:
            walk.fail(msg("A metadata array holds arrays of the type {kind}, or too deep ones.", kind=kind))


def _width(kind: int) -> int:
    return struct.calcsize("=" + _SCALARS[kind])


# Tensors


def _tensors(walk: Walk, count: int, metadata: Mapping[str, Value]) -> list[TensorInfo]:
    keys = len(metadata)
    rest = {rank: struct.Struct(f"{walk.order}{rank}{walk.letter}IQ") for rank in range(MAX_DIMENSIONS + 1)}
    found: list[TensorInfo] = []
    for index in range(count):
        walk.item = (keys, index)
        at = walk.position
        length = walk.size()
        if length > _MAX_NAME_BYTES:
            walk.fail(msg("A tensor's name announces {length} bytes; 64 are allowed.", length=length))
        name = walk.take(length).decode("utf-8", "replace")
        rank = walk.uint32()
        if rank not in rest:
            if rank > _MAX_RANK:
                walk.fail(msg("A tensor announces {rank} axes; 4 are allowed.", rank=rank))
            rest[rank] = struct.Struct(f"{walk.order}{rank}{walk.letter}IQ")
        *dims, kind, offset = walk.unpack(rest[rank])
        found.append(TensorInfo(name, tuple(dims), kind, offset, at))
    return found
