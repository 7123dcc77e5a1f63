"""One ONNX file while it is read: limits, what was understood of bytes that come again, and small shared questions.

Knows texts, entries and what is cut off; must not know what a message means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from service.config import Limits
from service.errors import LimitExceeded
from service.language import msg
from service.parsers.onnx_messages import Attribute, Attributes
from service.parsers.protobuf import BYTES, Blocks, Field, message, text_of
from service.parsers.protobuf_spans import Spans, read_text
from service.tree import Shape

_T = TypeVar("_T")

MAX_RANK = 64
MAX_NUMBERS = 4096
"""Most numbers of one attribute or typed list that are kept; they are counted beyond."""
MAX_CACHED = 256
"""Longest text or attribute, in bytes, that is remembered."""
_MAX_ENTRIES = 10_000


class End(NamedTuple):
    """What stands at the end of many nodes alike: attributes, and domain and overload by their tags."""

    attributes: Attributes
    words: dict[int, str]


@dataclass(slots=True)
class Reading:
    """The file being read, the limits, and what was understood of bytes that come again and again."""

    source: Blocks
    limits: Limits
    tolerant: bool = False
    types: dict[bytes, tuple[int, Shape | None]] = field(default_factory=dict)
    attributes: dict[bytes, Attribute] = field(default_factory=dict)
    texts: dict[bytes, str] = field(default_factory=dict)
    ends: dict[bytes, End] = field(default_factory=dict)
    sizes: dict[bytes, tuple[int, ...]] = field(default_factory=dict)
    nodes: int = 0
    tensors: int = 0

    def inside(self, one: Field) -> Iterator[Field]:
        """The fields of the message in `one`; of a header alone as many as there are."""
        return message(self.source, one, tolerant=self.tolerant)

    def text(self, one: Field) -> str:
        """The text in `one`, shortened to the limit."""
        return text_of(self.source, one, self.limits.text)

    def said(self, held: Spans, begin: int, end: int) -> str:
        """The text from `begin` to `end`; names are said again and again, so a short one is kept."""
        found = read_text(self.source, held, begin, end, self.limits.text)
        if end <= len(held.data) and end - begin <= MAX_CACHED:
            self.texts[held.data[begin:end]] = found
        return found


def entry_of(reading: Reading, one: Field) -> tuple[str, str]:
    """A StringStringEntryProto: key and value."""
    held = {part.number: part for part in reading.inside(one) if part.wire == BYTES}
    return text_in(reading, held.get(1)), text_in(reading, held.get(2))


def text_in(reading: Reading, one: Field | None) -> str:
    """The text in `one`; empty where it is not there, cut or a number."""
    return reading.text(one) if one is not None and is_whole(reading, one) else ""


def keep(found: list[_T], one: _T) -> None:
    """Add `one` to a list that no file has very long; LimitExceeded beyond that."""
    if len(found) >= _MAX_ENTRIES:
        raise LimitExceeded("entries", _MAX_ENTRIES, msg("A list in the file has too many entries."))
    found.append(one)


def is_cut(reading: Reading, one: Field) -> bool:
    """Whether the payload of `one` goes on after the file ends."""
    return one.offset + one.length > reading.source.size


def is_whole(reading: Reading, one: Field) -> bool:
    """Whether `one` holds bytes that are all there."""
    return one.wire == BYTES and not is_cut(reading, one)
