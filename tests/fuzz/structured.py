"""Files with something changed within the rules of their container, so that readers look past the first check.

A container is taken apart, a piece is changed (itself a file of some structure), and all is put together again with
the lengths and checksums that fit: zip, tar, gzip, zstd, JSON, safetensors, pickle, protobuf, sorted string tables,
MessagePack, XML and text here; HDF5, flatbuffers, GGUF, npy and Paddle's tensors in `tests.fuzz.binary`. What has no
such structure, or cannot be taken apart, is changed bytewise.
"""

from __future__ import annotations

import gzip
import io
import json
import pickletools
import re
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

import msgpack
import zstandard

from service.parsers.sstable import MAGIC, entries
from tests.fuzz import binary, bytewise, documents
from tests.service.parsers.protobufs import source_of, varint
from tests.service.parsers.sstables import table

DEPTH = 4
"""Containers in containers that are taken apart."""
_MOST_FIELDS, _MOST_UNPACKED = 2000, 1 << 22
_NAMES = ("", "/", "../x", "a/../b", "/etc/passwd", "C:\\x", "x" * 300, "\u202e", "a\x00b", "data.pkl", "config.json")


class Draw(NamedTuple):
    """What changes are drawn from: chance, words of the format, another of its files."""

    random: Random
    words: Sequence[bytes]
    other: bytes


def changed(data: bytes, draw: Draw, depth: int = 0) -> bytes:
    """A copy of `data` with something changed."""
    if depth < DEPTH and draw.random.random() < 0.75:
        for recognised, change in CONTAINERS:
            if recognised(data):
                try:
                    return change(data, draw, depth)
                except Exception:  # noqa: BLE001 - what was changed before may be no such container any more
                    break
    return bytewise.changed(data, draw.random, draw.words, draw.other)


def _zip(data: bytes, draw: Draw, depth: int) -> bytes:
    """Members changed, left out, doubled, renamed, exchanged, packed otherwise."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, info.compress_type, archive.read(info)) for info in archive.infolist()]
    random = draw.random
    at = random.randrange(len(members))
    name, method, content = members[at]
    how = random.random()
    if how < 0.7:
        members[at] = (name, method, changed(content, draw, depth + 1))
    elif how < 0.76:
        del members[at]
    elif how < 0.82:
        members.append((random.choice((name, name.upper(), *_NAMES)), method, content))
    elif how < 0.88:
        members[at] = (random.choice((*_NAMES, random.choice(members)[0])), method, content)
    elif how < 0.94:
        members[at] = (name, method, random.choice(members)[2])
    else:
        members[at] = (name, zipfile.ZIP_DEFLATED - method, content)
    written = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(written, "w") as archive:
        warnings.simplefilter("ignore")  # doubled names are meant
        for name, method, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return written.getvalue()


def _tar(data: bytes, draw: Draw, depth: int) -> bytes:
    """Members changed, left out, doubled, renamed; or made links and devices."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = [(info, (archive.extractfile(info) or io.BytesIO()).read()) for info in archive]
    random = draw.random
    at = random.randrange(len(members))
    info, content = members[at]
    how = random.random()
    if how < 0.6:
        content = changed(content, draw, depth + 1)
        info.size = len(content)
        members[at] = (info, content)
    elif how < 0.7:
        del members[at]
    elif how < 0.8:
        members.append((info, content))
    elif how < 0.9:
        info.name = random.choice(_NAMES).replace("\x00", "")
    else:
        info.type, info.linkname = random.choice((b"1", b"2", b"3", b"6", b"7", b"x", b"L", b"S")), "../x"
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=random.choice((0, 1, 2))) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return written.getvalue()


def _gzip(data: bytes, draw: Draw, depth: int) -> bytes:
    return gzip.compress(changed(zlib.decompressobj(31).decompress(data, _MOST_UNPACKED), draw, depth + 1))


def _zstd(data: bytes, draw: Draw, depth: int) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(data) as content:
        return bytes(zstandard.compress(changed(content.read(_MOST_UNPACKED), draw, depth + 1)))


def _json(data: bytes, draw: Draw, _depth: int) -> bytes:
    return json.dumps(documents.changed(json.loads(data), draw.random)).encode("utf-8", "surrogatepass")


def _safetensors(data: bytes, draw: Draw, _depth: int) -> bytes:
    """Another header, its length set right, before the same values."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    made = json.dumps(documents.changed(header, draw.random)).encode()
    return struct.pack("<Q", len(made)) + made + data[8 + length :]


def _is_safetensors(data: bytes) -> bool:
    return len(data) > 9 and data[8:9] == b"{" and 2 <= int.from_bytes(data[:8], "little") <= len(data) - 8


def _pickle(data: bytes, draw: Draw, _depth: int) -> bytes:
    """Opcodes left out, doubled, exchanged, moved; arguments changed; in one of the pickles that follow one another."""
    random = draw.random
    starts = random.choice(_pickles(data))
    end = starts[-1] + 1
    pieces = [data[a:b] for a, b in zip(starts, [*starts[1:], end], strict=True)]
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(len(pieces))
        how = random.random()
        if how < 0.25:
            pieces[at : at + random.choice((1, 1, 3))] = []
        elif how < 0.45:
            pieces[at:at] = [random.choice(pieces)] * random.choice((1, 1, 2, 300))
        elif how < 0.6:
            pieces[at] = random.choice(pieces)
        elif how < 0.75:
            pieces[at] = random.choice(_OPCODES)
        elif len(pieces[at]) > 1:
            pieces[at] = pieces[at][:1] + bytewise.changed(pieces[at][1:], random, draw.words)
        pieces = pieces or [b"."]
    return data[: starts[0]] + b"".join(pieces) + data[end:]


def _pickles(data: bytes) -> list[list[int]]:
    """Where the opcodes of each pickle stand, one after the other as torch.save wrote them once; joblib breaks off."""
    found: list[list[int]] = []
    at = 0
    while at < len(data) and len(found) < 10:
        starts: list[int] = []
        try:
            starts.extend(at + (place or 0) for _, _, place in pickletools.genops(data[at:]))
        except ValueError:
            return [*found, starts] if len(starts) > 5 else found
        found.append(starts)
        at = starts[-1] + 1
    return found


_OPCODES = (
    b"(", b"0", b"1", b"2", b"R", b"o", b"b", b"Q", b"}", b"]", b")", b"d", b"l", b"t", b"e", b"u", b"s", b"a", b"N",
    b"\x85", b"\x86", b"\x87", b"\x81", b"\x92", b"\x93", b"\x94", b"\x8f", b"\x90", b"\x91", b"h\x00", b"h\xff",
    b"cos\nsystem\n", b"cbuiltins\neval\n", b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n",
    b"K\xff", b"J\xff\xff\xff\xff", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", b"X\x01\x00\x00\x00x", b"\x82\x01",
    b"\x95\xff\xff\xff\xff\xff\xff\xff\xff", b"G\x7f\xf0\x00\x00\x00\x00\x00\x00", b"\x98", b"\x97", b"I01\n", b"L1L\n",
)  # fmt: skip


def _is_pickle(data: bytes) -> bool:
    return (data[:1] == b"\x80" and data[1:2] in (b"\x01", b"\x02", b"\x03", b"\x04", b"\x05")) or (
        data[:1] in (b"(", b"}", b"]", b"c") and data.rstrip(b"\0").endswith(b".")
    )


class Field(NamedTuple):
    """One field of a protobuf message: number, wire type, and a number, bytes, or the fields of a message."""

    number: int
    wire: int
    value: Any


def message(data: bytes, depth: int = 0) -> list[Field]:
    """The fields of a message. ValueError if it is none."""
    fields: list[Field] = []
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            fields.append(Field(tag >> 3, 0, value))
            continue
        length, at = _varint(data, at) if wire == 2 else ({1: 8, 5: 4}[wire], at)
        if at + length > len(data) or not tag >> 3 or len(fields) > _MOST_FIELDS:
            raise ValueError("no message")
        fields.append(Field(tag >> 3, wire, _inner(data[at : at + length], wire, depth)))
        at += length
    return fields


def _inner(content: bytes, wire: int, depth: int) -> Any:
    if wire != 2 or not content or depth > 12:
        return content
    try:
        return message(content, depth + 1)
    except (ValueError, KeyError, IndexError):
        return content


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("no number")


def encoded(fields: Sequence[Field]) -> bytes:
    """A message of these fields."""
    found = []
    for number, wire, value in fields:
        content = encoded(value) if isinstance(value, list) else value
        length = varint(len(content)) if wire == 2 else b""
        found.append(varint(number << 3 | wire) + (varint(content % 2**64) if wire == 0 else length + content))
    return b"".join(found)


def _protobuf(data: bytes, draw: Draw, depth: int) -> bytes:
    """Fields changed, left out, doubled, given other numbers, or put into one another, at any depth."""
    root = message(data)
    for _ in range(draw.random.choice((1, 1, 2, 4))):
        fields = draw.random.choice(_messages(root))
        if fields:
            _change_field(fields, draw, depth)
    return encoded(root)


def _change_field(fields: list[Field], draw: Draw, depth: int) -> None:
    random = draw.random
    at = random.randrange(len(fields))
    field = fields[at]
    how = random.random()
    if how < 0.15:
        del fields[at]
    elif how < 0.3:
        fields[at:at] = [field] * random.choice((1, 1, 2, 200))
    elif how < 0.4:
        fields[at] = field._replace(number=random.choice((field.number + 1, max(1, field.number - 1), 500, 2**29 - 1)))
    elif how < 0.5:
        fields[at] = random.choice(fields)
    elif field.wire == 0:
        fields[at] = field._replace(value=bytewise.another(field.value, 8, 1000, at, random) % 2**64)
    elif isinstance(field.value, list):
        fields[at] = field._replace(value=random.choice(([], [field], b"x", fields[:3])))
    elif field.wire == 2:
        fields[at] = field._replace(value=changed(field.value, draw, depth + 1))
    else:
        fields[at] = field._replace(value=bytewise.changed(field.value, random)[: len(field.value)].ljust(4, b"\0"))


def _messages(root: list[Field]) -> list[list[Field]]:
    found = [root]
    for fields in found:
        found += [field.value for field in fields if isinstance(field.value, list)]
    return found


def _is_protobuf(data: bytes) -> bool:
    try:
        return len(message(data)) > 1
    except (ValueError, KeyError, IndexError):
        return False


def _sorted_table(data: bytes, draw: Draw, depth: int) -> bytes:
    """Another table of the same kind: keys and values changed, in one block."""
    pairs = _pairs(data)
    at = draw.random.randrange(len(pairs))
    key, value = pairs[at]
    how = draw.random.random()
    if how < 0.6:
        pairs[at] = (key, changed(value, draw, depth + 1))
    elif how < 0.75:
        pairs[at] = (bytewise.changed(key, draw.random, draw.words), value)
    elif how < 0.85:
        del pairs[at]
    else:
        pairs.append(draw.random.choice(pairs))
    return table([pairs])


def _pairs(data: bytes) -> list[tuple[bytes, bytes]]:
    return [*entries(source_of(data))]


def _msgpack(data: bytes, draw: Draw, depth: int) -> bytes:
    """Another document of the same kind; what is in an extension is changed as the file that it is."""

    def extension(code: int, content: bytes) -> msgpack.ExtType:
        return msgpack.ExtType(code, changed(content, draw, depth + 1) if draw.random.random() < 0.2 else content)

    found = msgpack.unpackb(data, strict_map_key=False, ext_hook=extension)
    if draw.random.random() < 0.7:
        found = documents.changed(found, draw.random)
    packed: bytes = msgpack.packb(found, default=str, unicode_errors="surrogatepass")
    return packed


def _is_msgpack(data: bytes) -> bool:
    return data[:1] in {bytes([code]) for code in (*range(0x80, 0x90), 0xDE, 0xDF)} and data[1:2] != b"H"


def _text(data: bytes, draw: Draw, _depth: int) -> bytes:
    """Words, numbers, quoted texts and lines changed, left out, doubled, exchanged."""
    text = data.decode()
    pieces = re.split(r"""("[^"]*"|[<>=/]|\s+|-?\d+(?:\.\d+)?)""", text) if draw.random.random() < 0.7 else None
    pieces = pieces if pieces is not None else text.splitlines(keepends=True)
    random = draw.random
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(len(pieces))
        how = random.random()
        if how < 0.2:
            del pieces[at]
        elif how < 0.4:
            pieces[at:at] = [pieces[at]] * random.choice((1, 2, 100))
        elif how < 0.6:
            pieces[at] = random.choice(pieces)
        else:
            pieces[at] = _in_place_of(pieces[at], random)
        pieces = pieces or [""]
    return "".join(pieces).encode("utf-8", "surrogatepass")


def _in_place_of(piece: str, random: Random) -> str:
    """Another word where a word stands, another number where a number stands, in quotes if it stood in some."""
    if piece[:1] == '"':
        inner = piece[1:-1]
        return f'"{random.choice((*documents.TEXTS, inner + "x", inner[1:], f"{inner},{inner}", _number(random)))}"'
    if piece.lstrip("-")[:1].isdigit():
        return _number(random)
    return str(random.choice((*documents.TEXTS, *documents.NUMBERS)))


def _number(random: Random) -> str:
    return str(random.choice((*documents.NUMBERS, 3, 7, 64, 1000, "nan", "1e9", "0x10", "1_0", "٣")))


def _is_text(data: bytes) -> bool:
    try:
        return data.decode().isprintable() or b"\n" in data[:200]
    except UnicodeDecodeError:
        return False


Change = Callable[[bytes, Draw, int], bytes]
CONTAINERS: tuple[tuple[Callable[[bytes], bool], Change], ...] = (
    (lambda data: data[:4] == b"PK\x03\x04", _zip),
    (lambda data: data[257:262] == b"ustar", _tar),
    (lambda data: data[:2] == b"\x1f\x8b", _gzip),
    (lambda data: data[:4] == b"\x28\xb5\x2f\xfd", _zstd),
    (binary.is_hdf5, lambda data, draw, _: binary.hdf5(data, draw.random)),
    (lambda data: data[:4] == b"GGUF", lambda data, draw, _: binary.gguf(data, draw.random, draw.words)),
    (binary.is_flatbuffer, lambda data, draw, _: binary.flatbuffer(data, draw.random)),
    (
        binary.is_paddle,
        lambda data, draw, depth: binary.paddle(data, draw.random, lambda some: changed(some, draw, depth + 1)),
    ),
    (lambda data: data[:6] == b"\x93NUMPY", lambda data, draw, _: binary.npy(data, draw.random, draw.words)),
    (_is_safetensors, _safetensors),
    (lambda data: data[-8:] == MAGIC, _sorted_table),
    (lambda data: data.lstrip()[:1] in (b"{", b"["), _json),
    (_is_pickle, _pickle),
    (_is_msgpack, _msgpack),
    (_is_text, _text),
    (_is_protobuf, _protobuf),
)
"""How each container is known, in order, and changed."""
