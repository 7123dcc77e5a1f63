"""Changes within binary structures whose numbers lead to one another: HDF5, flatbuffers, GGUF, npy, Paddle's tensors.

What such a file consists of is found by its marks; then one piece is made another of the same shape, or a number that
leads to a piece leads to another one. Lengths and counts are set right, more often than not. Knows bytes only.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz import bytewise, documents

_HDF5 = b"\x89HDF\r\n\x1a\n"
_HDF5_MARKS = (b"OHDR", b"OCHK", b"TREE", b"SNOD", b"HEAP", b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTIN", b"BTLF",
               b"GCOL", b"FAHD", b"FADB", b"EAHD", b"EAIB", b"EASB", b"EADB")  # fmt: skip
_HEAD_BYTES = 64
"""Of a structure, most of which are numbers that say how long, how many, and where."""
_MOST_FOUND = 500
_GGUF_WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9


def hdf5(data: bytes, random: Random) -> bytes:
    """A structure's numbers, a header's message, or where a number leads to."""
    found = bytearray(data)
    places = _structures(data)
    headers = _headers(data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        how = random.random()
        if how < 0.35 and len(places) + len(headers) > 1:
            _lead_elsewhere(found, random, [*places, *headers])
        elif how < 0.7 and headers:
            _change_message(found, random, random.choice(headers))
        else:
            _change_number(found, random, random.choice(places or [0]), _HEAD_BYTES)
    return bytes(found)


def is_hdf5(data: bytes) -> bool:
    """Whether it begins as one."""
    return data.startswith(_HDF5)


def _structures(data: bytes) -> list[int]:
    places = [0]
    for mark in _HDF5_MARKS:
        at = data.find(mark)
        while at >= 0 and len(places) < _MOST_FOUND:
            places.append(at)
            at = data.find(mark, at + 1)
    return places


def _headers(data: bytes) -> list[int]:
    """Where headers of the first version stand, which have no mark: version, messages, uses, size."""
    found = []
    for at in range(0, min(len(data) - 16, 1 << 18), 8):
        version, nothing, messages, uses, size = struct.unpack_from("<BBHII", data, at)
        if version == 1 and not nothing and 0 < messages < 500 and 0 < uses < 100 and 8 <= size <= len(data):
            found.append(at)
    return found[:_MOST_FOUND]


def _lead_elsewhere(found: bytearray, random: Random, places: Sequence[int]) -> None:
    """Wherever one structure's address stands, another's does: circles, and pieces taken for others."""
    wanted = random.choice(places).to_bytes(8, "little")
    at = found.find(wanted)
    if at >= 0:
        others = [at]
        while (at := found.find(wanted, at + 1)) >= 0 and len(others) < _MOST_FOUND:
            others.append(at)
        at = random.choice(others)
        found[at : at + 8] = random.choice(places).to_bytes(8, "little")


def _change_message(found: bytearray, random: Random, header: int) -> None:
    """The kind, the length, or what a message of a header holds."""
    at, messages = header + 16, []
    while at + 8 < len(found) and len(messages) < found[header + 2]:
        messages.append(at)
        at += 8 + int.from_bytes(found[at + 2 : at + 4], "little")
    if not messages:
        return
    at = random.choice(messages)
    how = random.random()
    if how < 0.2:
        found[at : at + 2] = random.choice((0, 1, 3, 5, 6, 8, 11, 12, 16, 17, 21, 10, 255)).to_bytes(2, "little")
    elif how < 0.35:
        _change_number(found, random, at + 2, 2)
    else:
        _change_number(found, random, at + 8, max(1, int.from_bytes(found[at + 2 : at + 4], "little")))


def _change_number(found: bytearray, random: Random, start: int, length: int) -> None:
    """A number of any width within these bytes."""
    width = random.choice(bytewise.WIDTHS)
    at = start + random.randrange(max(1, length - width + 1))
    if at + width > len(found):
        return
    value = int.from_bytes(found[at : at + width], "little")
    other = bytewise.another(value, width, len(found), at, random)
    found[at : at + width] = (other % (1 << 8 * width)).to_bytes(width, "little")


def flatbuffer(data: bytes, random: Random) -> bytes:
    """A field left out, exchanged with another, leading elsewhere; a table that takes another's shape."""
    found = bytearray(data)
    tables = _tables(data)
    for _ in range(random.choice((1, 1, 1, 3))):
        table = random.choice(tables)
        shape = table - struct.unpack_from("<i", data, table)[0]
        slots = range(shape + 4, shape + int.from_bytes(data[shape : shape + 2], "little"), 2)
        how = random.random()
        if how < 0.15 or not slots:
            other = random.choice(tables)
            struct.pack_into("<i", found, table, table - (other - struct.unpack_from("<i", data, other)[0]))
            continue
        slot = random.choice(slots)
        place = table + int.from_bytes(data[slot : slot + 2], "little")
        if how < 0.3:
            found[slot : slot + 2] = random.choice((b"\0\0", bytes(data[(one := random.choice(slots)) : one + 2])))
        elif how < 0.6 and place + 4 <= len(found):
            struct.pack_into("<I", found, place, (random.choice(tables) - place) % 2**32)
        else:
            _change_number(found, random, place, 8)
    return bytes(found)


def is_flatbuffer(data: bytes) -> bool:
    """Whether the first number leads to a table, as it does behind a mark of four letters."""
    return len(data) > 16 and data[4:8].isalnum() and int.from_bytes(data[:4], "little") in _tables(data)


def _tables(data: bytes) -> list[int]:
    """Where tables stand: what leads to their shape leads to one that fits."""
    found = []
    for at in range(4, min(len(data) - 4, 1 << 18), 4):
        shape = at - struct.unpack_from("<i", data, at)[0]
        if 0 < shape < len(data) - 4 and not shape % 2:
            length, size = struct.unpack_from("<HH", data, shape)
            if 4 <= length <= 256 and not length % 2 and 4 <= size <= 1024 and shape + length <= len(data):
                slots = struct.unpack_from(f"<{length // 2 - 2}H", data, shape + 4)
                if all(slot < size for slot in slots):
                    found.append(at)
    return found[:_MOST_FOUND]


def gguf(data: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """Keys and tensors left out, doubled, renamed, exchanged or changed; the counts follow, mostly."""
    read = _Gguf(data)
    keys, tensors, rest = read.keys, read.tensors, data[read.at :]
    for _ in range(random.choice((1, 1, 1, 3))):
        pieces = random.choice([some for some in (keys, tensors) if some] or [keys])
        if not pieces:
            break
        at = random.randrange(len(pieces))
        how = random.random()
        if how < 0.15:
            del pieces[at]
        elif how < 0.3:
            pieces[at:at] = [pieces[at]] * random.choice((1, 2, 300))
        elif how < 0.55:
            pieces[at] = read.renamed(pieces[at], random, words)
        elif how < 0.65:
            pieces[at] = random.choice(pieces)
        else:
            changed = bytearray(pieces[at])
            _change_number(changed, random, read.behind_name(pieces[at]), len(changed) - read.behind_name(pieces[at]))
            pieces[at] = bytes(changed)
    lie = random.choice((0, 0, 0, 0, 1, -1, 2**31))
    counts = [read.number(max(0, len(tensors) + lie)), read.number(len(keys))]
    return b"".join([data[:8], *counts, *keys, *tensors, rest])


class _Gguf:
    """A file taken apart: whole keys and whole tensors, and where the rest begins. IndexError where it is cut."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = "<" if 0 < int.from_bytes(data[4:8], "little") < 100 else ">"
        self._letter = "I" if struct.unpack_from(f"{self._order}I", data, 4)[0] == 1 else "Q"
        self.at = 8
        tensors, keys = self._take(), self._take()
        self.keys = [self._piece(self._key) for _ in range(min(keys, 5000))]
        self.tensors = [self._piece(self._tensor) for _ in range(min(tensors, 5000))]

    def number(self, value: int) -> bytes:
        """As it stands in such a file."""
        return struct.pack(self._order + self._letter, value % 2 ** (8 * struct.calcsize(self._letter)))

    def behind_name(self, piece: bytes) -> int:
        """Where a piece goes on."""
        width = struct.calcsize(self._letter)
        return width + int(struct.unpack_from(self._order + self._letter, piece)[0])

    def renamed(self, piece: bytes, random: Random, words: Sequence[bytes]) -> bytes:
        """The piece with another name of the right length."""
        text = random.choice((*documents.TEXTS, *(word.decode("latin-1") for word in random.choices(words, k=8))))
        name = text.encode("utf-8", "surrogatepass")
        return self.number(len(name)) + name + piece[self.behind_name(piece) :]

    def _take(self, letter: str = "") -> int:
        found = struct.unpack_from(self._order + (letter or self._letter), self._data, self.at)[0]
        self.at += struct.calcsize(letter or self._letter)
        return int(found)

    def _piece(self, skip: Callable[[], None]) -> bytes:
        start = self.at
        self._skip_string()
        skip()
        return self._data[start : self.at]

    def _skip_string(self) -> None:
        length = self._take()
        self.at += length

    def _key(self) -> None:
        self._value(self._take("I"))

    def _value(self, kind: int) -> None:
        if kind == _STRING:
            self._skip_string()
        elif kind == _ARRAY:
            inner, count = self._take("I"), self._take()
            for _ in range(min(count, 100_000)):
                self._value(inner)
        else:
            self.at += _GGUF_WIDTHS[kind]

    def _tensor(self) -> None:
        rank = self._take("I")
        self.at += min(rank, 100) * struct.calcsize(self._letter) + 12


def npy(data: bytes, random: Random, words: Sequence[bytes]) -> bytes:
    """Another description, its length set right."""
    width = 2 if data[6] == 1 else 4
    start = 8 + width
    length = int.from_bytes(data[8:start], "little")
    header = bytewise.changed(data[start : start + length], random, (*words, *_DTYPES))[: (1 << 8 * width) - 1]
    return data[:8] + len(header).to_bytes(width, "little") + header + data[start + length :]


_DTYPES = (
    b"'<f4'", b"'|O'", b"'>c16'", b"'<U99999999'", b"'|V0'", b"'<M8[ns]'", b"(1, 2)", b"[('a', '<f4')]", b"'|S0'",
)  # fmt: skip


def paddle(data: bytes, random: Random, again: Callable[[bytes], bytes]) -> bytes:
    """One tensor's description changed as the message that it is, its length set right."""
    places = _descriptions(data)
    at = random.choice(places)
    size = int.from_bytes(data[at : at + 4], "little")
    described = again(data[at + 4 : at + 4 + size])
    return data[:at] + len(described).to_bytes(4, "little") + described + data[at + 4 + size :]


def is_paddle(data: bytes) -> bool:
    """Whether it begins as a tensor of Paddle's does: versions and levels of none, then a description."""
    return _PADDLE.match(data) is not None


def _descriptions(data: bytes) -> list[int]:
    return [match.start() + 16 for match in _PADDLE.finditer(data)][:_MOST_FOUND]


_PADDLE = re.compile(rb"(?=\0{16}[\x02-\x7f]\0{3}\x08)")
"""A head without levels, and the length of a message that begins with a type."""
