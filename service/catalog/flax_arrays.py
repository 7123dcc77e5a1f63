"""Flax's values in MessagePack: arrays as extension types, arrays in pieces, plain numbers; knows no layer.

Type 1 is an array, type 3 a NumPy scalar: a MessagePack array of shape, name of the element type, bytes. Type 2 is a
complex number. An array of more than 2^30 bytes is a map with `__msgpack_chunked_array__`, `shape` and `chunks`.
Source: flax/serialization.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from service.catalog.torch_dtypes import stored_bytes
from service.config import Limits
from service.errors import InputError, MalformedFile, TruncatedFile
from service.language import msg
from service.parsers.msgpack import Bytes, Cursor, Empty, Extension, Header, Path, Value, leaves
from service.plain import json_value, text
from service.source import BytesSource, Meter
from service.tree import Location, element_count

ARRAY, COMPLEX, SCALAR = 1, 2, 3
CHUNKED = "__msgpack_chunked_array__"
_ENTRIES = 3
_MAX_RANK = 64
_MAX_TYPE = 64
_HEAD = 96
_BEGINNING = re.compile(rb"\x93[\x90-\x9f](?:[\x00-\x7f]|\xcc.|\xcd..|\xce.{4}){0,15}([\xa1-\xbf])", re.DOTALL)
"""How nearly every array is described: sizes of up to 32 bits, then the length of its type's name."""
_WIDTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4}
"""Bytes of a binary's length, by its first byte."""
_NOTHING = b"\xc4\x00"
"""A binary of no bytes."""
_DTYPES = {"bool_": "bool", "float8_e4m3b11fnuz": "float8_e4m3b11fnuz"}


class Array(NamedTuple):
    """One array: sizes, element type, and its bytes.

    `location` of an array in several `pieces` is all from the description of the first one to the end of the last; None
    where they are not there in their order.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    location: Location | None
    pieces: int = 1
    start: int = 0

    @property
    def expected(self) -> int | None:
        """Bytes that shape and element type need."""
        return stored_bytes(self.dtype, element_count(self.shape))


@dataclass(slots=True)
class Tree:
    """The arrays of a file in order, and its plain values by path."""

    arrays: list[Array] = field(default_factory=list)
    values: dict[Path, Any] = field(default_factory=dict)
    cut: TruncatedFile | None = None


def array_at(around: Cursor, extension: Extension, path: Path, limits: Limits) -> Array:
    """The array in an extension value.

    Raises:
        MalformedFile: The payload is no shape, type and bytes, or they do not fit in it.
        TruncatedFile: The file ends inside the description.
    """
    try:
        return _plain(around, extension, path) or _described(around.within(extension), extension, path, limits)
    except TruncatedFile:
        if extension.offset + extension.length <= around.end:
            raise _broken(extension.offset) from None
        raise


def _plain(around: Cursor, extension: Extension, path: Path) -> Array | None:
    """An array of few axes whose description was read with what led to it; None for any other, and for a wrong one."""
    head = around.seen(extension.offset, _HEAD)
    found = _BEGINNING.match(head)
    end = found.end() + (found[1][0] & 0x1F) if found is not None else len(head)
    width = _WIDTHS.get(head[end], 0) if end < len(head) else 0
    begin = end + 1 + width
    length = int.from_bytes(head[end + 1 : begin], "big")
    if not width or begin > len(head) or begin + length != extension.length:
        return None
    sort = _sort(head[:end])
    if sort is None:
        return None
    place = Location(offset=extension.offset + begin, length=length)
    return tuple.__new__(Array, (path, *sort, length, place, 1, extension.offset))


@lru_cache(maxsize=4096)
def _sort(beginning: bytes) -> tuple[tuple[int, ...], str] | None:
    """Shape and element type: few of them, of very many arrays."""
    limits = Limits()
    source = BytesSource(beginning + _NOTHING, Meter(limits))
    try:
        found = array_from(Cursor(source), (), limits)
    except InputError:
        return None
    return found.shape, found.dtype


def _described(cursor: Cursor, extension: Extension, path: Path, limits: Limits) -> Array:
    found = array_from(cursor, path, limits)
    if cursor.at != extension.offset + extension.length:
        raise _broken(extension.offset)
    return found


def array_from(cursor: Cursor, path: Path, limits: Limits) -> Array:
    """The array whose description begins where the cursor is, which is behind its bytes then; errors as `array_at`."""
    start = cursor.at
    if cursor.value() != Header("array", _ENTRIES):
        raise _broken(start)
    shape = _shape(cursor, start, limits)
    name, data = cursor.value(), cursor.value()
    if isinstance(name, Bytes) and name.length <= _MAX_TYPE:
        name = _raw(cursor, name)
    if isinstance(data, str):
        data = Bytes(cursor.at - len(data.encode()), len(data.encode()))
    if not isinstance(name, str) or not isinstance(data, Bytes):
        raise _broken(start)
    dtype = _DTYPES.get(name, text(name, _MAX_TYPE))
    return Array(path, shape, dtype, data.length, Location(offset=data.offset, length=data.length), start=start)


def _raw(cursor: Cursor, name: Bytes) -> str:
    at, cursor.at = cursor.at, name.offset
    found = cursor.take(name.length).decode("ascii", "replace")
    cursor.at = at
    return found


def _shape(cursor: Cursor, start: int, limits: Limits) -> tuple[int, ...]:
    header = cursor.value()
    if header == Empty("array"):
        return ()
    if not isinstance(header, Header) or header.kind != "array" or header.entries > _MAX_RANK:
        raise _broken(start)
    sizes = [cursor.value() for _ in range(header.entries)]
    found = tuple(size for size in sizes if type(size) is int and 0 <= size <= limits.dimension)
    if len(found) != len(sizes):
        raise _broken(start)
    return found


def _broken(start: int) -> MalformedFile:
    return MalformedFile(msg("An array is not described by its shape, element type and bytes."), offset=start)


# Trees


def collect(cursor: Cursor, limits: Limits) -> Tree:
    """All leaves of a file as arrays and plain values; of a file that is cut off, those before the cut.

    Raises:
        MalformedFile: An array that is not described as one, or pieces that make none.
    """
    found = Tree()
    try:
        for path, value in leaves(cursor, max_depth=limits.json_depth, max_leaves=limits.weights):
            _take(found, path, value, cursor, limits)
    except TruncatedFile as error:
        if not found.arrays and not found.values:
            raise
        found.cut = error
    return _joined(found)


def _take(found: Tree, path: Path, value: Value, cursor: Cursor, limits: Limits) -> None:
    if isinstance(value, Extension):
        if value.code in (ARRAY, SCALAR):
            found.arrays.append(array_at(cursor, value, path, limits))
        else:
            found.values[path] = "<complex>" if value.code == COMPLEX else f"<extension {value.code}>"
    elif isinstance(value, Bytes):
        found.values[path] = f"<{value.length} bytes>"
    elif not isinstance(value, Empty):
        found.values[path] = json_value(value)


def _joined(found: Tree) -> Tree:
    """Arrays that are stored in pieces as one each, in the place of their first."""
    marked = {path[:-1] for path in found.values if path and path[-1] == CHUNKED}
    if not marked:
        return found
    kept: dict[Path, list[Array]] = {}
    for array in found.arrays:
        whole = array.path[:-2] if array.path[:-2] in marked and array.path[-2:-1] == ("chunks",) else array.path
        kept.setdefault(whole, []).append(array)
    arrays = [_one(path, pieces, found.values) if path in marked else pieces[0] for path, pieces in kept.items()]
    values = {path: value for path, value in found.values.items() if not _inside(path, marked)}
    return Tree(arrays, values, found.cut)


def _inside(path: Path, marked: set[Path]) -> bool:
    return path[:-1] in marked or path[:-2] in marked


def _one(path: Path, pieces: list[Array], values: Mapping[Path, Any]) -> Array:
    """The array whose pieces these are; its shape is a map of places to sizes."""
    shape: list[int] = []
    while type(size := values.get((*path, "shape", str(len(shape))))) is int and size >= 0:
        shape.append(size)
    dtypes = {piece.dtype for piece in pieces}
    if len(dtypes) != 1:
        raise MalformedFile(msg("The pieces of {name} are of several types.", name=text("/".join(path), 200)))
    size = sum(piece.bytes for piece in pieces)
    return Array(path, tuple(shape), dtypes.pop(), size, _around(pieces), len(pieces), pieces[0].start)


def _around(pieces: list[Array]) -> Location | None:
    """Where the pieces are: one by itself; several in the order of their numbers with all between them."""
    first, last = pieces[0], pieces[-1].location
    if len(pieces) == 1:
        return first.location
    if last is None or [piece.path[-1] for piece in pieces] != [str(number) for number in range(len(pieces))]:
        return None
    return Location(offset=first.start, length=(last.offset or 0) + (last.length or 0) - first.start)
