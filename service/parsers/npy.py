"""The header of a NumPy array file (.npy), versions 1 to 3; knows its grammar, not what an element type means.

Source: numpy/lib/format.py. Behind magic number, version and length stands a dictionary as Python would print it. It is
read by a small grammar of literals of our own; nothing is evaluated.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NoReturn
from weakref import WeakKeyDictionary

from service.errors import LimitExceeded, MalformedFile, TruncatedFile, UnsupportedFeature
from service.language import Message, msg
from service.source import Meter, Source

MAGIC = b"\x93NUMPY"
HEADER_BYTES = 1 << 18
"""Longest header read. NumPy itself refuses more than 10,000 characters unless told to trust the file."""
_FIRST = 512
_MOST_LONG = 1 << 20
"""Most bytes of headers longer than that in one analysis."""
_SHORT = 256
"""Longest header that is remembered, in bytes."""
_MAX_DEPTH = 32
_MAX_RANK = 64
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<number>-?\d{1,30}L?)|(?P<word>True|False|None)"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<mark>[,:]))"
)
_WORDS = {"True": True, "False": False, "None": None}
_CLOSES = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """What stands before the values.

    Attributes:
        version: `1.0`, `2.0` or `3.0`.
        descr: Element type: a code such as `<f4`, or a list of fields.
        fortran: Whether the first axis is the fastest.
        shape: Sizes along each axis.
        offset: Where the values begin, in bytes.
    """

    version: str
    descr: Any
    fortran: bool
    shape: tuple[int, ...]
    offset: int


def read_npy(source: Source) -> NpyHeader:
    """The header of an array file.

    Raises:
        TruncatedFile: The file ends within the header.
        MalformedFile: It is no array file, or its header says what cannot be.
        UnsupportedFeature: A version that is not known.
        LimitExceeded: A header longer than `HEADER_BYTES`.
    """
    start = source.read_at(0, min(source.size, _FIRST))
    if start[:6] != MAGIC:
        raise MalformedFile(msg("The file does not start as a NumPy array does."), offset=0)
    if len(start) < 12:
        raise _cut(source)
    major, minor = start[6], start[7]
    if (major, minor) not in ((1, 0), (2, 0), (3, 0)):
        version = f"{major}.{minor}"
        raise UnsupportedFeature(msg("Version {version} of NumPy's format is not known.", version=version), offset=6)
    first = 10 if major == 1 else 12
    length = int.from_bytes(start[8:first], "little")
    _check_length(source, length)
    if first + length > source.size:
        raise _cut(source)
    data = start[first : first + length]
    if len(data) < length:
        data = source.read_at(first, length)
    text = data.decode("utf-8" if major == 3 else "latin-1", "replace")
    found = _known(text, first) if length <= _SHORT else literal(text, first)
    return _checked(found, f"{major}.{minor}", first + length)


def _check_length(source: Source, length: int) -> None:
    """That a header is not too long, nor one of very many long ones: a small archive may hold thousands."""
    read = _long.get(source.meter, 0) + length * (length > _FIRST)
    if length > HEADER_BYTES or read > _MOST_LONG:
        what = msg("The header of the array has {length} bytes.", length=length)
        raise LimitExceeded("npy_header", HEADER_BYTES, what, value=length, offset=8)
    _long[source.meter] = read


_long: WeakKeyDictionary[Meter, int] = WeakKeyDictionary()
"""Bytes of long headers that were read in one analysis."""


@lru_cache(maxsize=1024)
def _known(text: str, offset: int) -> Any:
    """As `literal`: an archive has very many arrays of few types and shapes. The answer is to be left as it is."""
    return literal(text, offset)


def _cut(source: Source) -> TruncatedFile:
    return TruncatedFile(msg("The array ends within its header, at byte {size}.", size=source.size), offset=source.size)


def _checked(found: Any, version: str, offset: int) -> NpyHeader:
    if not isinstance(found, dict) or not {"descr", "fortran_order", "shape"} <= found.keys():
        raise MalformedFile(msg("The header of the array has no element type, order or shape."), offset=offset)
    shape, fortran = found["shape"], found["fortran_order"]
    whole = isinstance(shape, tuple) and all(type(size) is int and 0 <= size < 1 << 63 for size in shape)
    if not whole or len(shape) > _MAX_RANK or not isinstance(fortran, bool):
        raise MalformedFile(msg("The shape or order in the header of the array cannot be."), offset=offset)
    return NpyHeader(version, found["descr"], fortran, shape, offset)


def inflated_head(compressed: Source, length: int) -> bytes:
    """The first `length` bytes that a raw DEFLATE stream unpacks to, or all there are, and no more inflated than that.

    Raises:
        MalformedFile: The stream is broken.
    """
    inflater, position, found = zlib.decompressobj(-zlib.MAX_WBITS), 0, b""
    while len(found) < length and position < compressed.size and not inflater.eof:
        chunk = compressed.read_at(position, min(length + 64, compressed.size - position))
        position += len(chunk)
        try:
            found += inflater.decompress(chunk, length - len(found))
        except zlib.error as error:
            what = msg("The compressed data is broken ({error}).", error=str(error))
            raise MalformedFile(what, offset=position - len(chunk)) from None
    compressed.meter.add_inflated(len(found))
    return found


# Literals


@dataclass(slots=True)
class _Open:
    """A bracket that is not closed yet, with what stands in it and between."""

    bracket: str
    items: list[Any] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)


def literal(text: str, offset: int = 0) -> Any:
    """The value of texts, whole numbers, truth values, None, tuples, lists and dictionaries of texts, as Python prints.

    Raises:
        MalformedFile: Anything else, or deeper than 32; `offset` says where the text begins in the file.
    """
    stack = [_Open("")]
    at, end = 0, len(text.rstrip(" \t\r\n\0"))
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None or (found["open"] and len(stack) > _MAX_DEPTH):
            _fail(offset + at)
        at = found.end()
        here = stack[-1]
        if found["open"]:
            stack.append(_Open(found["open"]))
        elif found["mark"]:
            if len(here.marks) != len(here.items) - 1 or not here.bracket:
                _fail(offset + at)
            here.marks.append(found["mark"])
        elif found["close"]:
            value = _close(stack.pop(), found["close"], offset + at)
            _append(stack[-1], value, offset + at)
        else:
            _append(here, _scalar(found), offset + at)
    if len(stack) > 1 or len(stack[0].items) != 1:
        _fail(offset + end)
    return stack[0].items[0]


def _append(into: _Open, value: Any, offset: int) -> None:
    if len(into.marks) != len(into.items):
        _fail(offset)
    into.items.append(value)


def _scalar(found: re.Match[str]) -> Any:
    if found["text"]:
        return re.sub(r"\\(.)", r"\1", found["text"][1:-1], flags=re.DOTALL)
    return int(found["number"].rstrip("L")) if found["number"] else _WORDS[found["word"]]


def _close(opened: _Open, bracket: str, offset: int) -> Any:
    if opened.bracket != _CLOSES[bracket]:
        _fail(offset)
    items, marks = opened.items, "".join(opened.marks)
    if bracket != "}":
        if ":" in marks:
            _fail(offset)
        return items if bracket == "]" else items[0] if len(items) == 1 and not marks else tuple(items)
    keys = items[::2]
    if marks.removesuffix(",") != ",".join([":"] * len(keys)) or len(items) % 2:
        _fail(offset)
    if not all(isinstance(key, str) for key in keys):
        _fail(offset)
    return dict(zip(keys, items[1::2], strict=True))


def _fail(offset: int) -> NoReturn:
    detail: Message = msg("The header of the array is not one that NumPy writes.")
    raise MalformedFile(detail, offset=offset)
