"""Attribute values of HDF5 objects; knows attribute messages and global heaps, not what an attribute means.

Only text and small numbers are read. Everything else (compounds, references, opaque) becomes None: present, not looked
into. Lengths are believed only where the heap's own record of the object agrees.
"""

from __future__ import annotations

from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.hdf5_dense import records
from service.parsers.hdf5_messages import ATTRIBUTE, ATTRIBUTE_INFO, DATASPACE, Message, shape_of
from service.parsers.hdf5_pages import UNDEFINED, Pages
from service.parsers.hdf5_types import FIXED, STRING, ElementType, read_type
from service.tree import element_count

Value = bytes | int | tuple[bytes | int, ...] | None
"""Text as the bytes that are stored, a whole number, a flat tuple of either, or None for what is not read."""

MAX_NUMBERS = 64
"""Numeric attributes longer than this are data, not description."""
NAME_INDEX = 8
"""Type of the version 2 B-tree that lists an object's attributes by name."""


class Attributes:
    """Reads attributes over one file, each heap once, within a budget of bytes."""

    def __init__(self, pages: Pages, limit: int) -> None:
        self._pages = pages
        self._limit = limit
        self._used = 0
        self._heaps: dict[int, dict[int, tuple[int, int]]] = {}

    def of(self, found: list[Message]) -> dict[str, Value]:
        """All attributes among an object's header messages, by name."""
        values: dict[str, Value] = {}
        for message in found:
            if message.kind == ATTRIBUTE:
                self._read(message.data, message.flags, message.address, values)
            elif message.kind == ATTRIBUTE_INFO:
                for data, address in self._dense(message):
                    self._read(data, 0, address, values)
        return values

    def _dense(self, message: Message) -> list[tuple[bytes, int]]:
        data = message.data
        at = 2 + (2 if data[1:2] and data[1] & 1 else 0)
        heap, tree = (int.from_bytes(data[place : place + 8], "little") for place in (at, at + 8))
        if len(data) < at + 16 or heap == UNDEFINED:
            return []
        return list(records(self._pages, heap, tree, NAME_INDEX, 0))

    def _take(self, size: int) -> None:
        self._used += size
        if self._used > self._limit:
            raise LimitExceeded("hdf5_attribute_bytes", self._limit, msg("The file's attributes are too large."))

    def _read(self, data: bytes, flags: int, address: int, values: dict[str, Value]) -> None:
        """One attribute message of version 1, 2 or 3; a shared one lies elsewhere and is only noted by nobody."""
        if flags & 2:
            return
        if len(data) < 8 or data[0] not in (1, 2, 3):
            raise self._pages.broken(msg("An attribute"), address)
        name_size, type_size, space_size = (int.from_bytes(data[at : at + 2], "little") for at in (2, 4, 6))
        padded = 8 if data[0] == 1 else 1
        start = 9 if data[0] == 3 else 8
        at_type = start + _round(name_size, padded)
        at_space = at_type + _round(type_size, padded)
        at_data = at_space + _round(space_size, padded)
        if at_data > len(data):
            raise self._pages.broken(msg("An attribute"), address)
        name = data[start : start + name_size].split(b"\x00")[0].decode("utf-8", errors="replace")
        self._take(len(data))
        if data[0] > 1 and data[1] & 3:  # type or shape is shared with other objects
            values[name] = None
            return
        kind = read_type(data[at_type : at_type + type_size], address + at_type)
        shape = shape_of(Message(DATASPACE, 0, data[at_space : at_space + space_size], address + at_space))
        count = element_count(shape)
        values[name] = (
            None if count is None else self._value(kind, count, shape == (), data[at_data:], address + at_data)
        )

    def _value(self, kind: ElementType, count: int, single: bool, data: bytes, address: int) -> Value:
        is_text = kind.kind == STRING or kind.variable_text
        if not is_text and (kind.kind != FIXED or count > MAX_NUMBERS):
            return None if count else ()
        if count * kind.size > len(data):
            raise self._pages.broken(msg("An attribute"), address)
        pieces = [data[at : at + kind.size] for at in range(0, count * kind.size, kind.size)] if kind.size else []
        items = tuple(self._item(kind, piece, address) for piece in pieces)
        return items[0] if single and items else items

    def _item(self, kind: ElementType, piece: bytes, address: int) -> bytes | int:
        if kind.kind == FIXED:
            return int.from_bytes(piece, "little" if kind.little else "big", signed=kind.signed)
        return self._heap_text(piece, address) if kind.variable_text else piece.split(b"\x00")[0]

    def _heap_text(self, piece: bytes, address: int) -> bytes:
        """Text of variable length: its length, and the collection and number of the heap object that holds it."""
        length, collection = int.from_bytes(piece[:4], "little"), int.from_bytes(piece[4:12], "little")
        if length == 0 or collection in (0, UNDEFINED):
            return b""
        heap = self._heaps.get(collection)
        if heap is None:
            heap = self._heaps[collection] = read_global_heap(self._pages, collection)
        start, size = heap.get(int.from_bytes(piece[12:16], "little"), (0, -1))
        if length > size:
            raise self._pages.broken(msg("A text"), address)
        self._take(length)
        return self._pages.read(start, length).rstrip(b"\x00")


def read_global_heap(pages: Pages, address: int) -> dict[int, tuple[int, int]]:
    """Place and size of each object in a global heap collection, by number. Specification: section III.E."""
    head = pages.read(address, 16)
    size = int.from_bytes(head[8:16], "little")
    if head[:4] != b"GCOL" or head[4] != 1:
        raise pages.broken(msg("A global heap"), address)
    data = pages.read(address, size)
    found: dict[int, tuple[int, int]] = {}
    at = 16
    while at + 16 <= size:
        number, length = int.from_bytes(data[at : at + 2], "little"), int.from_bytes(data[at + 8 : at + 16], "little")
        if number == 0:  # what is left is free
            break
        if at + 16 + length > size:
            raise pages.broken(msg("A global heap"), address + at)
        found[number] = (address + at + 16, length)
        at += 16 + _round(length, 8)
    return found


def _round(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def texts(attributes: dict[str, Value], name: str) -> tuple[str, ...] | None:
    """A list attribute as text, also where Keras split it into `name0`, `name1` ...; None if there is none.

    Raises:
        MalformedFile: The attribute is there and is not a list of text.
    """
    if name in attributes:
        return _texts(attributes[name], name)
    parts: list[str] = []
    number = 0
    while f"{name}{number}" in attributes:
        parts.extend(_texts(attributes[f"{name}{number}"], name))
        number += 1
    return tuple(parts) if number else None


def _texts(value: Value, name: str) -> tuple[str, ...]:
    items = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(item, bytes) for item in items):
        raise MalformedFile(msg("The attribute {name} should be a list of text.", name=name))
    return tuple(item.decode("utf-8", errors="replace") for item in items if isinstance(item, bytes))


def text_of(attributes: dict[str, Value], name: str) -> str | None:
    """A text attribute, None if there is none or it is not text."""
    value = attributes.get(name)
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else None
