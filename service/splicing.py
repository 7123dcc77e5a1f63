"""JSON that is put together from pieces: what is JSON already stands in a document as it is. Knows text only.

A list of very many items is written with a line for each: its opening bracket ends a line, and its closing one begins
the last. No JSON of ours has a line break anywhere else, so that whoever reads it again need not decode all of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import msgspec

BREAK = b"\n"


class Pieces(NamedTuple):
    """A text in pieces, `size` bytes together; they may be taken once."""

    parts: Iterable[bytes]
    size: int


def around(encode: Callable[[msgspec.Raw], bytes]) -> tuple[bytes, bytes]:
    """What stands before a value and what stands behind it in the JSON that `encode` makes of a document with it.

    A random word stands for the value meanwhile: nothing of an upload can contain it.
    """
    word = secrets.token_hex(16).encode()
    before, _, behind = encode(msgspec.Raw(word)).partition(word)
    return before, behind


def in_lines(before: bytes, some: Iterable[bytes], behind: bytes) -> Iterator[bytes]:
    """A document in pieces with a list in it that has a line for each item; each of `some` is lines of a few items."""
    yield before + b"["
    for number, items in enumerate(some):
        following = items.replace(BREAK, BREAK + b",")
        yield b"".join((BREAK, b"," if number else b"", following))
    yield BREAK + b"]" + behind


def lines(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines of a text that comes in pieces, cut anywhere; some at a time."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(BREAK)
        if whole:
            yield whole
    yield [rest]
