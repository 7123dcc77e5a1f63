"""Protocol Buffers' wire format, one message at a time, payloads skipped; knows no schema and what no field means.

`fields` walks one message without reading what its length-delimited fields hold: a tensor's gigabytes cost nothing.
Whoever knows the schema asks for what a field holds with `message`, `bytes_of`, `text_of` or `packed`. Wrap a file
once with `Blocks` and hand that to every call: small messages that lie side by side then share one read.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from service.errors import LimitExceeded, MalformedFile, TruncatedFile
from service.language import msg
from service.source import Meter, Source, check_range

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_GROUP, _GROUP_END = 3, 4

_FIRST = 512
"""Bytes of a read after a jump: what stands before the next tensor's data is seldom more."""
_BLOCK = 1 << 16
"""Largest read of a walk without jumps."""
_WORST = 20
"""Longest tag and number together."""
_MAX_GROUPS = 100
_MAX_VARINT = 10
_MAX_TAG = 1 << 32
_WORD = (1 << 64) - 1


class Field(NamedTuple):
    """One field as it stands. `offset` and `length` of the value, or of the payload of wire type 2, in the source.

    `value` is unsigned (wire types 0, 1 and 5); 0 for a payload, which is not read.
    """

    number: int
    wire: int
    value: int
    offset: int
    length: int


class Blocks:
    """Another source, read in blocks of which the last is kept; they grow while reading goes straight on."""

    def __init__(self, inner: Source) -> None:
        self._inner = inner
        self._data = b""
        self._start = 0
        self._step = _FIRST // 2
        self.size = inner.size

    @property
    def meter(self) -> Meter:
        """Where reads are counted."""
        return self._inner.meter

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source.read_at`."""
        begin = offset - self._start
        if begin < 0 or begin + length > len(self._data):
            if length > _FIRST or not 0 <= offset <= self.size - length:
                return self._inner.read_at(offset, length)
            self._move(offset, length)
            begin = offset - self._start
        return self._data[begin : begin + length]

    def window(self, at: int) -> tuple[bytes, int]:
        """A block that holds a tag and number at `at`, or all that is left, and the offset where it begins."""
        end = self._start + len(self._data)
        if at < self._start or (at + _WORST > end and end < self.size) or at > end:
            self._move(at, _WORST)
        return self._data, self._start

    def _move(self, at: int, length: int) -> None:
        near = self._start <= at <= self._start + len(self._data) + _FIRST
        self._step = min(2 * self._step, _BLOCK) if near else _FIRST
        self._data = self._inner.read_at(at, min(max(self._step, length), self.size - at))
        self._start = at


class Memory:
    """A source that is small enough to be held whole: its messages are walked where they lie, without reads."""

    def __init__(self, inner: Source) -> None:
        self.data = inner.read_at(0, inner.size)
        self.size = inner.size
        self.meter = inner.meter

    def read_at(self, offset: int, length: int) -> bytes:
        """See `Source.read_at`; what was read is not counted again."""
        if offset < 0 or length < 0 or offset + length > self.size:
            check_range(self.size, offset, length)
        return self.data[offset : offset + length]

    def window(self, _at: int) -> tuple[bytes, int]:
        """See `Blocks.window`."""
        return self.data, 0


def fields(source: Source, offset: int = 0, length: int | None = None, *, tolerant: bool = False) -> Iterator[Field]:
    """The fields of the message at `offset`, in the order they stand; groups are passed over.

    Args:
        source: The file; `Blocks` of it where more than one message will be read.
        offset: Where the message begins.
        length: Of the message in bytes; None for all that is left.
        tolerant: Do not mind that the file ends early: the last field has its declared length, although its payload is
            cut, and what is cut within a tag or number is left out.

    Raises:
        MalformedFile: Field number 0, an unknown wire type, a number of more than 10 bytes, an unopened group.
        TruncatedFile: A field that ends after its message, or a message after its file.
    """
    if isinstance(source, Memory) and length is not None and length <= _BLOCK and not tolerant:
        if offset + length > source.size:
            raise _cut(offset)
        return iter(_small(source.data, offset, offset + length, 0))
    blocks = source if isinstance(source, Blocks | Memory) else Blocks(source)
    end = _end(blocks.size, offset, length, tolerant)
    if end - offset <= _FIRST and not (tolerant and end == blocks.size):
        return iter(_small(blocks.read_at(offset, end - offset), 0, end - offset, offset))
    return _walk(blocks, offset, end, tolerant=tolerant and end == blocks.size)


def _small(data: bytes, pos: int, size: int, base: int) -> list[Field]:
    """All fields of a message that is read in one piece, from `pos` to `size`: the same as `_walk`, but much faster."""
    found: list[Field] = []
    groups: list[int] = []
    make = tuple.__new__
    try:
        while pos < size:
            start, tag, value = pos, data[pos], data[pos + 1] if pos + 1 < size else 128
            wire = tag & 7
            if value > 127 or tag < 8 or tag > 127 or wire not in _COMMON:
                field = _field(data, pos, base)
                pos = field.offset + field.length - base
            elif wire == BYTES:
                field = make(Field, (tag >> 3, BYTES, 0, base + pos + 2, value))
                pos += 2 + value
            else:
                field = make(Field, (tag >> 3, VARINT, value, base + pos + 1, 1))
                pos += 2
            if pos > size:
                raise _cut(base + start)
            if wire in _COMMON and not groups:
                found.append(field)
            elif field.wire in (_GROUP, _GROUP_END):
                _open_or_close(groups, field)
            elif not groups:
                found.append(field)
    except IndexError:
        raise _cut(base + pos) from None
    if groups:
        raise _cut(base + size)
    return found


_COMMON = frozenset({BYTES, VARINT})


def _walk(blocks: Blocks | Memory, at: int, end: int, *, tolerant: bool) -> Iterator[Field]:
    """The fields from `at` to `end`, block by block."""
    data, base, safe = b"", 0, -1
    groups: list[int] = []
    while at < end:
        if at > safe:
            data, base = blocks.window(at)
            safe = base + len(data) - _WORST
        try:
            field: Field | None = _field(data, at - base, base)
        except IndexError:
            field = None
        if field is None or field.offset + field.length > end:
            if not tolerant:
                raise _cut(at)
            if field is not None and field.wire == BYTES and not groups:
                yield field
            return
        at = field.offset + field.length
        if field.wire in (_GROUP, _GROUP_END):
            _open_or_close(groups, field)
        elif not groups:
            yield field
    if groups and not tolerant:
        raise _cut(end)


def message(source: Source, field: Field, *, tolerant: bool = False) -> Iterator[Field]:
    """The fields of the message that `field` holds; raises as `fields`, and MalformedFile if it holds none."""
    if field.wire != BYTES:
        _must_hold_bytes(field)
    return fields(source, field.offset, field.length, tolerant=tolerant)


def said_once(before: Field | None, again: Field) -> Field:
    """`again`, a message that a schema lets stand once; MalformedFile where it stood `before`: readers join the two."""
    if before is not None:
        what = msg("The file says twice what can only be said once: readers take one of the two, or join them.")
        raise MalformedFile(what, offset=again.offset)
    return again


def bytes_of(source: Source, field: Field, limit: int) -> bytes:
    """What `field` holds; LimitExceeded if it is more than `limit` bytes."""
    _must_hold_bytes(field)
    if field.length > limit:
        raise _too_long(field, limit, field.length)
    return source.read_at(field.offset, field.length)


def text_of(source: Source, field: Field, limit: int) -> str:
    """The text that `field` holds; of one longer than `limit` bytes the beginning, and how much is missing.

    What is not UTF-8 is replaced, as the standard's own readers refuse it only in some languages.
    """
    if field.wire != BYTES:
        _must_hold_bytes(field)
    if field.length <= limit:
        return source.read_at(field.offset, field.length).decode("utf-8", errors="replace")
    kept = source.read_at(field.offset, limit).decode("utf-8", errors="replace")
    return f"{kept}… ({field.length - limit} more bytes)"


def packed(source: Source, field: Field, limit: int) -> tuple[int, ...]:
    """The numbers of one occurrence of a repeated varint field, written packed or one by one; unsigned.

    LimitExceeded if there are more than `limit`.
    """
    if field.wire == VARINT:
        return (field.value,)
    _must_hold_bytes(field)
    if field.length > limit * _MAX_VARINT:
        raise _too_long(field, limit, field.length)
    data = source.read_at(field.offset, field.length)
    values = tuple(data) if max(data, default=0) < 128 else _varints(data, field.offset)
    if len(values) > limit:
        raise _too_long(field, limit, len(values))
    return values


def signed(value: int) -> int:
    """An unsigned 64-bit value as int64."""
    return value - (1 << 64) if value >> 63 else value


def _end(size: int, offset: int, length: int | None, tolerant: bool) -> int:
    end = size if length is None else offset + length
    if (end > size or offset > end) and not tolerant:
        raise _cut(offset)
    return min(end, size)


def _field(data: bytes, pos: int, base: int) -> Field:
    """The field at `data[pos]`, which lies at `base + pos` in the source; IndexError where the data ends within it."""
    start = pos
    tag = data[pos]
    pos += 1
    if tag > 127:
        tag, pos = read_number(data, start, base)
    if tag < 8 or tag >= _MAX_TAG:
        raise MalformedFile(msg("A field has the number 0 or one that is too large."), offset=base + start)
    wire = tag & 7
    if wire in (VARINT, BYTES):
        begin, value = pos, data[pos]
        pos += 1
        if value > 127:
            value, pos = read_number(data, begin, base)
        if wire == BYTES:
            return tuple.__new__(Field, (tag >> 3, BYTES, 0, base + pos, value))
        return tuple.__new__(Field, (tag >> 3, VARINT, value, base + begin, pos - begin))
    if wire in (FIXED64, FIXED32):
        length = 8 if wire == FIXED64 else 4
        data[pos + length - 1]
        return Field(tag >> 3, wire, int.from_bytes(data[pos : pos + length], "little"), base + pos, length)
    if wire in (_GROUP, _GROUP_END):
        return Field(tag >> 3, wire, 0, base + pos, 0)
    raise MalformedFile(msg("A field has wire type {wire}, which does not exist.", wire=wire), offset=base + start)


def read_number(data: bytes, pos: int, base: int = 0) -> tuple[int, int]:
    """The number at `data[pos]` and the position after it; IndexError where the data ends within it.

    MalformedFile for one of more than ten bytes, with its place in what `data` is from `base` on.
    """
    first, second = data[pos], data[pos + 1] if data[pos] > 127 else 0
    if second < 128:
        return (first & 127 | second << 7, pos + 2) if first > 127 else (first, pos + 1)
    third = data[pos + 2]
    if third < 128:
        return first & 127 | (second & 127) << 7 | third << 14, pos + 3
    value = 0
    for index in range(_MAX_VARINT):
        byte = data[pos + index]
        value |= (byte & 127) << (7 * index)
        if byte < 128:
            return value & _WORD, pos + index + 1
    raise MalformedFile(msg("A number has more than 10 bytes."), offset=base + pos)


def _varints(data: bytes, base: int) -> tuple[int, ...]:
    values: list[int] = []
    pos = 0
    try:
        while pos < len(data):
            value, pos = read_number(data, pos, base)
            values.append(value)
    except IndexError:
        raise _cut(base + pos) from None
    return tuple(values)


def _open_or_close(groups: list[int], field: Field) -> None:
    if field.wire == _GROUP:
        if len(groups) == _MAX_GROUPS:
            raise LimitExceeded(
                "protobuf_groups", _MAX_GROUPS, msg("Groups are nested too deeply."), offset=field.offset
            )
        groups.append(field.number)
    elif not groups or groups.pop() != field.number:
        raise MalformedFile(msg("A group ends that was not opened."), offset=field.offset)


def _must_hold_bytes(field: Field) -> None:
    if field.wire != BYTES:
        raise MalformedFile(
            msg("Field {number} holds a number where bytes are expected.", number=field.number), offset=field.offset
        )


def _too_long(field: Field, limit: int, value: int) -> LimitExceeded:
    return LimitExceeded(
        "protobuf_field",
        limit,
        msg("Field {number} is longer than it may be.", number=field.number),
        value=value,
        offset=field.offset,
    )


def _cut(offset: int) -> TruncatedFile:
    return TruncatedFile(msg("A field ends after the message that holds it."), offset=offset)
