"""Short ways to write hostile pickles by hand, opcode by opcode; knows no attack."""

from __future__ import annotations

import struct

PROTO = {number: bytes([0x80, number]) for number in range(6)}
MARK, STOP, POP, REDUCE, BUILD, OBJ, DICT, LIST, TUPLE = b"(", b".", b"0", b"R", b"b", b"o", b"d", b"l", b"t"
EMPTY_TUPLE, EMPTY_DICT, EMPTY_LIST, NONE, SETITEM, SETITEMS, APPENDS = b")", b"}", b"]", b"N", b"s", b"u", b"e"
NEWOBJ, NEWOBJ_EX, STACK_GLOBAL, MEMOIZE, DUP, BINPERSID = b"\x81", b"\x92", b"\x93", b"\x94", b"2", b"Q"


def text(value: str) -> bytes:
    """A string: SHORT_BINUNICODE, or BINUNICODE where it is longer."""
    data = value.encode()
    return b"\x8c" + bytes([len(data)]) + data if len(data) < 256 else b"X" + struct.pack("<I", len(data)) + data


def raw(value: bytes) -> bytes:
    """A byte string: SHORT_BINBYTES or BINBYTES."""
    return b"C" + bytes([len(value)]) + value if len(value) < 256 else b"B" + struct.pack("<I", len(value)) + value


def number(value: int) -> bytes:
    """A whole number of up to 64 bits."""
    return b"J" + struct.pack("<i", value) if -(2**31) <= value < 2**31 else long1(value, 9)


def long1(value: int, size: int) -> bytes:
    """LONG1 of so many bytes."""
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def named(module: str, name: str) -> bytes:
    """GLOBAL."""
    return f"c{module}\n{name}\n".encode()


def stacked(module: str, name: str) -> bytes:
    """STACK_GLOBAL with both names written right before it."""
    return text(module) + text(name) + STACK_GLOBAL


def tuple_of(*items: bytes) -> bytes:
    """A tuple of any length."""
    return MARK + b"".join(items) + TUPLE


def call(function: bytes, *arguments: bytes) -> bytes:
    """REDUCE."""
    return function + tuple_of(*arguments) + REDUCE


def system(command: str) -> bytes:
    """The plainest payload."""
    return call(named("os", "system"), text(command))


def frame(content: bytes, length: int | None = None) -> bytes:
    """FRAME that announces its content's length, or another."""
    return b"\x95" + struct.pack("<Q", len(content) if length is None else length) + content


def dictionary(**items: bytes) -> bytes:
    """A dictionary with text keys."""
    return EMPTY_DICT + MARK + b"".join(text(key) + value for key, value in items.items()) + SETITEMS


def created(maker: bytes, *arguments: bytes) -> bytes:
    """NEWOBJ."""
    return maker + tuple_of(*arguments) + NEWOBJ


def built(value: bytes, state: bytes) -> bytes:
    """BUILD."""
    return value + state + BUILD
