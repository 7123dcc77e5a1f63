"""MessagePack as a stream of leaves: what each value is and where its bytes lie; knows the grammar, no meaning.

Strings, binaries and extensions are not read beyond what is asked for: a leaf says where they are. Source: the
MessagePack specification (msgpack/spec.md).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from service.errors import LimitExceeded, MalformedFile, TruncatedFile
from service.language import msg
from service.source import Source

_BLOCK = 1024
"""How much is read at a time: headers are small and far apart."""
_MAX_STRING = 4096
_FIXED = {0xC0: None, 0xC2: False, 0xC3: True}
_NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i",
            0xD3: ">q"}  # fmt: skip
_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_LENGTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2,
            0xDF: 4}  # fmt: skip
_FORMATS = {1: ">B", 2: ">H", 4: ">I"}

Plain = None | bool | int | float | str


class Bytes(NamedTuple):
    """A binary, or a string too long to be kept: where its bytes are."""

    offset: int
    length: int


class Extension(NamedTuple):
    """A value of an extension type: the type, and where its payload is."""

    code: int
    offset: int
    length: int


class Empty(NamedTuple):
    """A map or an array without entries."""

    kind: str


class Header(NamedTuple):
    """A map or an array: how many entries it announces."""

    kind: str
    entries: int


Value = Plain | Bytes | Extension | Empty
Path = tuple[str, ...]


@dataclass(slots=True)
class _Frame:
    """An open container: entries left, the key of the next value, and the keys that were."""

    kind: str
    left: int
    path: Path
    keys: set[str]
    index: int = 0


class Cursor:
    """Values one after the other in a source, read in blocks."""

    def __init__(self, source: Source, start: int = 0, end: int | None = None) -> None:
        self._source = source
        self._block = b""
        self._start = start
        self.at = start
        self.end = source.size if end is None else end

    def within(self, extension: Extension) -> Cursor:
        """A cursor over the payload of an extension, as far as it is there; it knows the block that was read last."""
        found = Cursor(self._source, extension.offset, min(extension.offset + extension.length, self._source.size))
        found._block, found._start = self._block, self._start
        return found

    def seen(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`, as far as they were read last; what comes next does not change."""
        begin = offset - self._start
        return self._block[begin : begin + length] if begin >= 0 else b""

    def take(self, length: int) -> bytes:
        """The next `length` bytes; TruncatedFile where they are not all there."""
        begin = self.at - self._start
        if begin < 0 or begin + length > len(self._block) or self.at + length > self.end:
            if self.at + length > self.end:
                raise TruncatedFile(
                    msg("The file ends at byte {size}, inside a value.", size=self.end),
                    offset=min(self.at, self.end),
                )
            self._start, begin = self.at, 0
            self._block = self._source.read_at(self.at, min(max(length, _BLOCK), self.end - self.at))
        self.at += length
        return self._block[begin : begin + length]

    def value(self) -> Value | Header:
        """The next value; of a container its header only.

        Long strings and payloads are stepped over, whether they are all there or not: the next value then tells.

        Raises:
            MalformedFile: A byte that begins no value, a string that is no UTF-8.
            TruncatedFile: The header itself is cut off.
        """
        at, block, begin = self.at, self._block, self.at - self._start
        if begin >= 0 and begin + _WORST <= len(block) and at + _WORST <= self.end:
            found = _FAST[block[begin]](self, block, begin)
            if found is not None:
                return found
        return self._value(at)

    def _value(self, at: int) -> Value | Header:
        """Any value, wherever the block ends."""
        first = self.take(1)[0]
        if first <= 0x7F:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first <= 0x9F:
            return _header("map" if first <= 0x8F else "array", first & 0x0F)
        if first <= 0xBF:
            return self._string(first & 0x1F)
        if first in _FIXED:
            return _FIXED[first]
        if first in _NUMBERS:
            return self._number(_NUMBERS[first])
        if first in _FIXED_EXTENSIONS:
            return self._extension(_FIXED_EXTENSIONS[first])
        if first in _LENGTHS:
            return self._long(first, self._length(_LENGTHS[first]))
        raise MalformedFile(msg("The byte {byte} begins no MessagePack value.", byte=f"0x{first:02x}"), offset=at)

    def _number(self, form: str) -> int | float:
        found: int | float = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return found

    def _length(self, width: int) -> int:
        found: int = struct.unpack(_FORMATS[width], self.take(width))[0]
        return found

    def _long(self, first: int, length: int) -> Value | Header:
        if first <= 0xC6:
            return self._skipped(length)
        if first <= 0xC9:
            return self._extension(length)
        if first <= 0xDB:
            return self._string(length)
        return _header("array" if first <= 0xDD else "map", length)

    def _skipped(self, length: int) -> Bytes:
        found = Bytes(self.at, length)
        self.at += length
        return found

    def _extension(self, length: int) -> Extension:
        code: int = struct.unpack(">b", self.take(1))[0]
        found = Extension(code, self.at, length)
        self.at += length
        return found

    def _string(self, length: int) -> str | Bytes:
        if length > _MAX_STRING:
            return self._skipped(length)
        at = self.at
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedFile(msg("A string is not UTF-8."), offset=at) from None


def _header(kind: str, count: int) -> Header | Empty:
    return Header(kind, count) if count else Empty(kind)


# What is met again and again, and short, where it is in the block that was read


_Fast = Callable[[Cursor, bytes, int], Value | Header]
_WORST = 40
"""Longest of those: a string of 31 bytes."""


def _fast_number(cursor: Cursor, block: bytes, begin: int) -> Value:
    cursor.at += 1
    return block[begin]


def _fast_header(cursor: Cursor, block: bytes, begin: int) -> Header | Empty:
    cursor.at += 1
    return _HEADERS[block[begin]]


def _fast_string(cursor: Cursor, block: bytes, begin: int) -> Value:
    length = block[begin] & 0x1F
    try:
        found = block[begin + 1 : begin + 1 + length].decode("utf-8")
    except UnicodeDecodeError:
        return None
    cursor.at += 1 + length
    return found


def _fast_binary(cursor: Cursor, block: bytes, begin: int) -> Value:
    width = _LENGTHS[block[begin]]
    offset = cursor.at + 1 + width
    length = int.from_bytes(block[begin + 1 : begin + 1 + width], "big")
    cursor.at = offset + length
    return tuple.__new__(Bytes, (offset, length))


def _fast_extension(cursor: Cursor, block: bytes, begin: int) -> Value:
    width = _LENGTHS[block[begin]]
    offset, code = cursor.at + 2 + width, block[begin + 1 + width]
    length = int.from_bytes(block[begin + 1 : begin + 1 + width], "big")
    cursor.at = offset + length
    return tuple.__new__(Extension, (code if code < 128 else code - 256, offset, length))


def _none(_cursor: Cursor, _block: bytes, _begin: int) -> Value:
    return None


_HEADERS = {
    **{0x80 | count: _header("map", count) for count in range(16)},
    **{0x90 | count: _header("array", count) for count in range(16)},
}
_FAST: list[_Fast] = [
    *[_fast_number] * 0x80, *[_fast_header] * 0x20, *[_fast_string] * 0x20, *[_none] * 4, *[_fast_binary] * 3,
    *[_fast_extension] * 3, *[_none] * (0x100 - 0xCA),
]  # fmt: skip
"""By the first byte; None tells that it is any other, or wrong."""


def leaves(cursor: Cursor, *, max_depth: int, max_leaves: int) -> Iterator[tuple[Path, Value]]:
    """Every leaf of the next value with the keys that lead to it (places in an array count from 0).

    Raises:
        MalformedFile: A key that is no string or number, or that occurs twice in one map; a count that the bytes left
            cannot hold.
        TruncatedFile: The source ends before the value does; what was there has been given.
        LimitExceeded: Deeper than `max_depth`, or more leaves than `max_leaves`.
    """
    frames: list[_Frame] = []
    given = 0
    path: Path = ()
    while True:
        at = cursor.at
        value = cursor.value()
        if isinstance(value, Header):
            _open(frames, value, path, cursor, at, max_depth)
        else:
            given += 1
            if given > max_leaves:
                raise LimitExceeded(
                    "weights", max_leaves, msg("The file holds more values than one analysis may describe."), offset=at
                )
            yield path, value
        while frames and not frames[-1].left:
            frames.pop()
        if not frames:
            return
        path = _next(frames[-1], cursor)


def _open(frames: list[_Frame], value: Header, path: Path, cursor: Cursor, at: int, max_depth: int) -> None:
    if len(frames) >= max_depth:
        raise LimitExceeded("json_depth", max_depth, msg("The values are nested too deeply."), offset=at)
    least = value.entries * (2 if value.kind == "map" else 1)
    if least > cursor.end - cursor.at:
        raise TruncatedFile(
            msg("A {kind} announces {count} entries, for which {left} bytes are left.", kind=value.kind,
                count=value.entries, left=cursor.end - cursor.at), offset=at,
        )  # fmt: skip
    frames.append(_Frame(value.kind, value.entries, path, set()))


def _next(frame: _Frame, cursor: Cursor) -> Path:
    """The path of the next value in a container; reads its key in a map."""
    frame.left -= 1
    frame.index += 1
    if frame.kind == "array":
        return (*frame.path, str(frame.index - 1))
    at = cursor.at
    name = cursor.value()
    if type(name) is not str:
        if isinstance(name, bool) or not isinstance(name, int):
            raise MalformedFile(msg("A key of a map is neither a string nor a number."), offset=at)
        name = str(name)
    if name in frame.keys:
        raise MalformedFile(msg("The key {key} occurs twice in one map.", key=name[:80]), offset=at)
    frame.keys.add(name)
    return (*frame.path, name)
