"""Bytes with something changed, of which nothing is known: bits, numbers of every width, pieces, ends, known words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

WIDTHS = (1, 2, 4, 8)
MOST_BYTES = 1 << 20
"""Inputs of up to a megabyte have to be read fast, so that no larger ones are made."""
TOKENS = (
    b"\x00", b"\xff" * 8, b"\xed\xa0\x80", b"../", b"/etc/passwd", b"NaN", b"-1", b"1e999", b"9" * 400, b"a" * 5000,
    b"\n", b"{", b"[" * 300, b'"', b"\\ud800", b"%n", b"PK\x03\x04", b"\x80\x02", b"\x89HDF\r\n\x1a\n", b"GGUF",
)  # fmt: skip


def dictionary(seeds: Sequence[bytes]) -> tuple[bytes, ...]:
    """Words of a format: those that stand in its files."""
    found: dict[bytes, None] = {}
    for data in seeds:
        found |= dict.fromkeys(re.findall(rb"[A-Za-z_][A-Za-z0-9_./]{2,24}", data[: 1 << 16])[:400])
    return (*TOKENS, *list(found)[:2000])


def changed(data: bytes, draw: Random, words: Sequence[bytes] = TOKENS, other: bytes = b"") -> bytes:
    """A copy of `data` with one to three changes; `other` is another file of the format, to splice with."""
    found = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 3))):
        how = draw.choices(_WAYS, _OFTEN)[0]
        how(found, draw, words, other)
    return bytes(found[:MOST_BYTES])


def _flip(found: bytearray, draw: Random, _words: Sequence[bytes], _other: bytes) -> None:
    if found:
        found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)


def _byte(found: bytearray, draw: Random, _words: Sequence[bytes], _other: bytes) -> None:
    if found:
        found[draw.randrange(len(found))] = draw.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, draw.randrange(256)))


def _number(found: bytearray, draw: Random, _words: Sequence[bytes], _other: bytes) -> None:
    """A number of any width and byte order: another one that formats count wrong with."""
    width = draw.choice(WIDTHS)
    if len(found) < width:
        return
    at = draw.randrange(len(found) - width + 1)
    at -= at % width if draw.random() < 0.7 else 0
    order = draw.choice(("little", "little", "big"))
    value = int.from_bytes(found[at : at + width], order)
    found[at : at + width] = (another(value, width, len(found), at, draw) % (1 << 8 * width)).to_bytes(width, order)


def another(value: int, width: int, size: int, at: int, draw: Random) -> int:
    """A number to stand where `value` stands at `at` of `size` bytes."""
    top = 1 << 8 * width
    return draw.choice(
        (0, 1, 2, top - 1, top - 2, top >> 1, (top >> 1) - 1, value + 1, value - 1, value * 2, value >> 1, value ^ 0x80,
         size, size - 1, size - at, at, value + size, draw.randrange(min(top, size + 2)), value | top >> 2)
    )  # fmt: skip


def _copy_number(found: bytearray, draw: Random, _words: Sequence[bytes], _other: bytes) -> None:
    """A number from elsewhere in the file: offsets lead somewhere that is there, but wrong."""
    width = draw.choice((4, 8))
    if len(found) < 2 * width:
        return
    places = [draw.randrange((len(found) - width) // 4 + 1) * 4 for _ in range(2)]
    found[places[0] : places[0] + width] = found[places[1] : places[1] + width]


def _cut(found: bytearray, draw: Random, _words: Sequence[bytes], _other: bytes) -> None:
    del found[draw.randrange(len(found) + 1) :]


def _remove(found: bytearray, draw: Random, _words: Sequence[bytes], _other: bytes) -> None:
    at = draw.randrange(len(found) + 1)
    del found[at : at + draw.choice((1, 2, 4, 8, 16, 100, 1000))]


def _repeat(found: bytearray, draw: Random, _words: Sequence[bytes], _other: bytes) -> None:
    at = draw.randrange(len(found) + 1)
    piece = found[at : at + draw.choice((1, 4, 8, 16, 64, 500))]
    times = draw.choice((1, 1, 2, 10, 1000)) if len(found) < MOST_BYTES // 2 else 1
    found[at:at] = (bytes(piece) * times)[: MOST_BYTES - min(len(found), MOST_BYTES)]


def _insert(found: bytearray, draw: Random, words: Sequence[bytes], _other: bytes) -> None:
    at = draw.randrange(len(found) + 1)
    word = draw.choice(words)
    found[at : at + (len(word) if draw.random() < 0.5 else 0)] = word


def _splice(found: bytearray, draw: Random, _words: Sequence[bytes], other: bytes) -> None:
    at = draw.randrange(min(len(found), len(other)) + 1)
    if draw.random() < 0.5:
        found[at:] = other[at:]
    else:
        start = draw.randrange(len(other) + 1)
        found[at:at] = other[start : start + draw.choice((16, 100, 1000))]


def _text_number(found: bytearray, draw: Random, _words: Sequence[bytes], _other: bytes) -> None:
    places = [match.span() for match in re.finditer(rb"-?[0-9]+", bytes(found[: 1 << 16]))]
    if places:
        start, end = draw.choice(places)
        found[start:end] = draw.choice((b"0", b"-1", b"1e9", b"99999999999999999999", b"1.5", b"", b"007", b"nan"))


_WAYS = (_flip, _byte, _number, _copy_number, _cut, _remove, _repeat, _insert, _splice, _text_number)
_OFTEN = (3, 3, 6, 2, 1, 2, 2, 2, 2, 1)
