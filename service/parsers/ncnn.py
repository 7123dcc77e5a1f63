"""ncnn's graph files, as text (`.param`) and as numbers (`.param.bin`); knows lines and integers, no layer's meaning.

Text: the number 7767517, the counts of layers and blobs, then a layer a line: type, name, number of inputs and outputs,
their names, `key=value` pairs. Source: ncnn's docs/developer-guide/param-and-model-file-structure.md, `paramdict.cpp`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from service.config import Limits
from service.errors import LimitExceeded, MalformedFile, TruncatedFile
from service.language import msg
from service.source import Source, head

MAGIC = 7767517
_TEXT_MAGIC = str(MAGIC).encode()
_BINARY_MAGIC = struct.pack("<i", MAGIC)
_ARRAY = -23300
_END = -233
_CUSTOM = 1 << 8
_MAX_NUMBER = 24
_MAX_INTEGER = 18
_MAX_ARRAY = 1 << 16
_PLAIN_INTEGER = 1 << 24
"""Below it four bytes are taken for an integer: as a float they would be next to nothing."""

Value = int | float | str | tuple[int | float | str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One layer: `params` by number (`0=64`), or by name in a pnnx file (`in_channels=64`)."""

    type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: dict[int | str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Param:
    """A graph file: its layers, and the counts in its head."""

    entries: tuple[Entry, ...]
    layers: int
    blobs: int
    binary: bool = False


def is_text(source: Source) -> bool:
    """Whether a file begins as a text graph does."""
    start = head(source, 64).lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(_TEXT_MAGIC) and start[len(_TEXT_MAGIC) : len(_TEXT_MAGIC) + 1] in (b"", b"\n", b"\r", b" ")


def is_binary(source: Source) -> bool:
    """Whether a file begins as a graph of numbers does."""
    return head(source, 4) == _BINARY_MAGIC


def read_text(source: Source, limits: Limits, member: str | None = None) -> Param:
    """The graph in a `.param`.

    Raises:
        MalformedFile: A line that is no layer; `offset` is its first byte.
        TruncatedFile: Fewer layers than the head counts.
        LimitExceeded: More layers, or a larger file, than one analysis may describe.
    """
    lines = _lines(_content(source, limits, member))
    _, magic = next(lines, (0, ""))
    if magic != str(MAGIC):
        raise MalformedFile(msg("The file does not begin with ncnn's number 7767517."), member=member, offset=0)
    at, counts = next(lines, (source.size, ""))
    layers, blobs = _counts(counts, at, source.size, limits, member)
    entries = tuple(_entry(line, at, member) for at, line in lines)
    if len(entries) > limits.layers:
        raise _too_many(limits, member)
    if len(entries) < layers:
        raise TruncatedFile(
            msg("The file announces {layers} layers and holds {n}.", layers=layers, n=len(entries)),
            member=member, offset=source.size,
        )  # fmt: skip
    return Param(entries, layers, blobs)


def _content(source: Source, limits: Limits, member: str | None) -> bytes:
    if source.size > limits.json_bytes:
        raise LimitExceeded("json_bytes", limits.json_bytes, msg("The file is too large to be a graph."),
                            value=source.size, member=member)  # fmt: skip
    return source.read_at(0, source.size)


def _lines(data: bytes) -> Iterator[tuple[int, str]]:
    """(offset, text) of each line with something in it."""
    at = 0
    for line in data.split(b"\n"):
        content = line.decode("utf-8", "replace").strip().removeprefix("\ufeff")
        if content:
            yield at, content
        at += len(line) + 1


def _counts(line: str, at: int, size: int, limits: Limits, member: str | None) -> tuple[int, int]:
    if not line:
        raise TruncatedFile(msg("The file ends before it counts its layers."), member=member, offset=size)
    counts = [_integer(word) for word in line.split()]
    if len(counts) != 2 or any(count is None or count < 0 for count in counts):
        raise MalformedFile(msg("The second line must count layers and blobs."), member=member, offset=at)
    layers, blobs = (count or 0 for count in counts)
    if layers > limits.layers:
        raise _too_many(limits, member)
    return layers, blobs


def _too_many(limits: Limits, member: str | None) -> LimitExceeded:
    return LimitExceeded(
        "layers", limits.layers, msg("The model has more than {layers} layers.", layers=limits.layers), member=member
    )


def _entry(line: str, at: int, member: str | None) -> Entry:
    words = line.split()
    counts = [_integer(word) for word in words[2:4]]
    if len(counts) != 2 or counts[0] is None or counts[1] is None:
        raise MalformedFile(msg("A line is no layer: {line}.", line=line[:80]), member=member, offset=at)
    inputs, outputs = counts[0], counts[1]
    if min(inputs, outputs) < 0 or 4 + inputs + outputs > len(words):
        raise MalformedFile(
            msg("The layer {name} lists fewer blobs than it counts.", name=words[1][:80]), member=member, offset=at
        )
    middle, end = 4 + inputs, 4 + inputs + outputs
    params = dict(_pair(word, at, member) for word in words[end:])
    return Entry(words[0], words[1], tuple(words[4:middle]), tuple(words[middle:end]), params)


def _pair(word: str, at: int, member: str | None) -> tuple[int | str, Value]:
    """`0=64`, `-23303=2,1,1` (an array with its length first), `3=1.0,2.0`, or `in_channels=64`."""
    key, equals, value = word.partition("=")
    if not equals or not key:
        raise MalformedFile(msg("{word} is no key=value pair.", word=word[:80]), member=member, offset=at)
    number = _integer(key)
    if number is None:
        return key, value
    if number > _ARRAY:
        return number, _values(value) if "," in value else _value(value)
    length, _, items = value.partition(",")
    found = _values(items) if items else ()
    if _integer(length) != len(found):
        raise MalformedFile(
            msg("The array {word} does not have as many values as it says.", word=word[:80]), member=member, offset=at
        )
    return _ARRAY - number, found


def _values(text: str) -> tuple[int | float | str, ...]:
    return tuple(_value(item) for item in text.split(","))


def _value(text: str) -> int | float | str:
    number = _integer(text)
    if number is not None:
        return number
    try:
        return float(text) if len(text) <= _MAX_NUMBER else text
    except ValueError:
        return text


def _integer(text: str) -> int | None:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= _MAX_INTEGER else None


# The same graph as numbers


def read_binary(source: Source, names: tuple[str, ...], limits: Limits, member: str | None = None) -> Param:
    """The graph in a `.param.bin`, whose layer types are numbers into `names`; layers and blobs have no names there.

    Raises:
        MalformedFile: A number that cannot be.
        TruncatedFile: The file ends inside a layer.
        LimitExceeded: More layers, or a larger file, than one analysis may describe.
    """
    content = _content(source, limits, member)
    numbers = _Numbers(content[: len(content) // 4 * 4], member)
    numbers.take(1)
    layers, blobs = numbers.take(2)
    if layers < 0 or blobs < 0:
        raise MalformedFile(msg("The counts of layers and blobs are negative."), member=member, offset=4)
    if layers > limits.layers:
        raise _too_many(limits, member)
    return Param(tuple(_numbered(numbers, index, names) for index in range(layers)), layers, blobs, binary=True)


class _Numbers:
    """Four-byte integers one after the other."""

    def __init__(self, data: bytes, member: str | None) -> None:
        self._data = struct.unpack(f"<{len(data) // 4}i", data)
        self._at = 0
        self.member = member

    def take(self, count: int) -> list[int]:
        """The next `count`; MalformedFile for a count that cannot be, TruncatedFile at the end."""
        if count < 0:
            raise MalformedFile(msg("A count is negative."), member=self.member, offset=self._at * 4)
        if self._at + count > len(self._data):
            raise TruncatedFile(
                msg("The file ends inside a layer."), member=self.member, offset=len(self._data) * 4
            )
        found = list(self._data[self._at : self._at + count])
        self._at += count
        return found


def _numbered(numbers: _Numbers, index: int, names: tuple[str, ...]) -> Entry:
    kind, inputs, outputs = numbers.take(3)
    known = names[kind] if 0 <= kind < len(names) else f"custom{kind & ~_CUSTOM}" if kind & _CUSTOM else f"type{kind}"
    blobs_in, blobs_out = numbers.take(inputs), numbers.take(outputs)
    params: dict[int | str, Value] = {}
    while (key := numbers.take(1)[0]) != _END:
        if key <= _ARRAY:
            params[_ARRAY - key] = tuple(_number(one) for one in numbers.take(min(numbers.take(1)[0], _MAX_ARRAY)))
        else:
            params[key] = _number(numbers.take(1)[0])
    return Entry(known, f"layer{index}", tuple(map(str, blobs_in)), tuple(map(str, blobs_out)), params)


def _number(bits: int) -> int | float:
    """Four bytes that are an integer or a float: the file does not say which."""
    if abs(bits) < _PLAIN_INTEGER:
        return bits
    value: float = struct.unpack("<f", struct.pack("<i", bits))[0]
    return value
