"""Pickles inside strings of a pickle and behind its end: as they are, in base64 or hex, compressed, or all of these.

Knows what a pickle begins with and how bytes are commonly wrapped; not what a pickle may name. What is unwrapped and
how often is bounded for one analysis of a pickle, so that hiding many costs little.
"""

from __future__ import annotations

import binascii
import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from service.catalog.pickle_misread import run_as_opcodes
from service.catalog.torch_storage import persistent
from service.config import Limits
from service.errors import LimitExceeded
from service.parsers.pickle_joblib import Meant, names_joblib, run_joblib
from service.parsers.pickle_opcodes import run
from service.parsers.pickle_types import Blob, Trace
from service.source import BytesSource, Source, WindowSource

NESTED_DEPTH = 3
_WRAPPINGS = 3
"""Most wrappings around one pickle that are taken off: base64 of zlib of hex."""
_HEAD = 64
_LARGEST = 1 << 20
"""Most bytes that are unwrapped of one string; a payload is short."""
_PICKLES_IN_A_ROW = 20
_SEARCHED = 1 << 20
"""Most bytes behind a pickle that are searched for another one among junk."""
_MEMORY = 80 << 20
"""What xz may take: the dictionary of its strongest setting has 64 MiB."""
_LARGEST_FILE = 8 << 20
"""Most bytes of a compressed file that are unpacked, and most that they unpack to."""
_STREAMS = 16
"""Most compressed streams one behind the other that are unpacked as one, which is how files of them are read."""

_NAME = rb"[A-Za-z_][\w.]{0,80}\n"
_OLD_PICKLE = re.compile(rb"\(*(?:c" + _NAME + _NAME + rb"|i" + _NAME + rb"|[SV][^\n]{0,200}\n|[XU]|\x8c)")
_NAMED = re.compile(rb"[ci]" + _NAME + _NAME)
_SIGN = re.compile(rb"\x80[\x02-\x05]|[ci]" + _NAME + _NAME + rb"|\([SVXU\x8c]")
_NEWER = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"\x95", b"\x8c")
_SHORTEST = 12
"""Bytes of the shortest pickle that calls something with an argument."""
_LETTERS, _FEWEST = 32, 8
"""How many letters of a string are decoded to see what they stand for, and the fewest bytes that show it."""
_ALPHABET = re.compile(rb"[A-Za-z0-9+/_\s-]{16,}={0,2}\s*\Z")
_DIGITS = re.compile(rb"(?:[0-9a-fA-F]{2}\s*){8,}\Z")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}\s*){10,}\Z")
_LZMA = b"]\x00\x00"
_IN_BLOCKS = (b"BZh", b"\xfd7zXZ\x00", _LZMA)
"""Compressions of which a beginning alone gives nothing."""
_SPACES = b" \t\r\n"
_STANDARD = bytes.maketrans(b"-_", b"+/")
_PRESSED = (b"\x1f\x8b\x08", *_IN_BLOCKS)


@dataclass(slots=True)
class Budget:
    """What may still be spent on pickles inside one.

    Attributes:
        strings: Strings whose beginning is looked at.
        tries: Strings and places that are run as a pickle.
        opcodes: Opcodes run in them.
        unwrapped: Bytes unwrapped.
        cut: Whether something was left unsearched for want of any of it.
    """

    strings: int = 200_000
    tries: int = 20_000
    opcodes: int = 400_000
    unwrapped: int = 8 << 20
    cut: bool = False

    @property
    def spent(self) -> bool:
        """Whether nothing more may be looked into."""
        return min(self.strings, self.tries, self.opcodes, self.unwrapped) <= 0

    def ends(self) -> bool:
        """Whether it is spent; asked where more is to be searched, and noted."""
        self.cut = self.cut or self.spent
        return self.spent


def budget_for(source: Source) -> Budget:
    """More strings of a larger upload: a model may hold millions of words."""
    return Budget(strings=max(Budget().strings, (source.meter.given or source.size) // 8))


def sequence(source: Source, start: int, limits: Limits, budget: Budget) -> Iterator[Trace]:
    """Pickles one behind the other, up to the first that breaks."""
    for _ in range(_PICKLES_IN_A_ROW):
        if start >= source.size or budget.ends():
            return
        trace = _run(source, start, limits, budget)
        if names_joblib(trace):  # whichever program loads it: as arrays, and with their bytes as opcodes
            meant = Meant()
            trace = _run(source, start, limits, budget, partial(run_joblib, meant=meant))
            yield _run(source, start, limits, budget, partial(run_as_opcodes, meant))
        yield trace
        if trace.broken is not None:
            return
        start = trace.end


def _run(source: Source, start: int, limits: Limits, budget: Budget, running: Callable[..., Trace] = run) -> Trace:
    allowed = min(budget.opcodes, limits.pickle_opcodes)
    trace = running(source, start, msgspec.structs.replace(limits, pickle_opcodes=allowed), persistent)
    budget.opcodes -= max(trace.opcodes, (trace.end - start) // 8, 1)
    budget.cut = budget.cut or isinstance(trace.broken, LimitExceeded)
    return trace


def among_junk(source: Source, start: int, limits: Limits, budget: Budget) -> Iterator[Trace]:
    """Pickles that begin anywhere in the bytes from `start` on, where something looks as one's beginning does."""
    data = source.read_at(start, min(_SEARCHED, source.size - start))
    reached = 0
    for found in _SIGN.finditer(data):
        if budget.ends():
            return
        if found.start() >= reached:
            budget.tries -= 1
            trace = _run(source, start + found.start(), limits, budget)
            reached = trace.end - start if trace.broken is None else reached
            yield trace


def hidden(trace: Trace, source: Source, budget: Budget) -> Iterator[tuple[int, Source]]:
    """What looks as a pickle does inside the strings of one, unwrapped: where the string is, and the bytes."""
    for offset, value in trace.texts:
        budget.strings -= 1
        held = _bytes(value, source)
        if held is None and budget.strings:
            continue
        if held is None or budget.ends():
            budget.cut = True
            return
        inner = _unwrapped(held, budget, _WRAPPINGS)
        if inner is not None:
            budget.tries -= 1
            yield offset, inner


def _bytes(value: bytes | str | Blob, source: Source) -> Source | None:
    """A string as bytes; None where its beginning shows already that it hides nothing."""
    if isinstance(value, Blob):
        return WindowSource(source, value.offset, value.length)
    start = value[:_HEAD] if isinstance(value, bytes) else value[:_HEAD].encode("latin-1", "replace")
    if not _looks(start):
        return None
    data = value if isinstance(value, bytes) else value[:_LARGEST].encode("latin-1", "replace")
    return BytesSource(data, source.meter)


def _looks(start: bytes) -> bool:
    """Whether bytes begin as a pickle does, or as something that one may be wrapped in."""
    if starts_pickle(start) or pressed(start):
        return True
    first = start[:_LETTERS]
    if not _ALPHABET.match(first):
        return False
    return _reveals(_from_base64(first)) or (_DIGITS.match(first) is not None and _reveals(_from_hex(first)))


def _reveals(data: bytes) -> bool:
    """Whether what letters stand for begins as a pickle, as something compressed, or as letters again."""
    return starts_pickle(data, _FEWEST) or pressed(data) or (len(data) >= _FEWEST and data.isalnum())


def starts_pickle(data: bytes, shortest: int = _SHORTEST) -> bool:
    """Whether bytes begin as a pickle that does something may: newer ones by an opcode, older ones by a name soon."""
    if len(data) < shortest:
        return False
    return data.startswith(_NEWER) or (b"\n" in data and bool(_OLD_PICKLE.match(data) or _NAMED.search(data)))


def pressed(start: bytes) -> bool:
    """Whether bytes begin as something compressed does."""
    return start.startswith(_PRESSED) or (start[:1] == b"x" and int.from_bytes(start[:2], "big") % 31 == 0)


def _unwrapped(source: Source, budget: Budget, depth: int) -> Source | None:
    """The pickle that a string is, or is a wrapping of; None if it is neither."""
    start = source.read_at(0, min(_HEAD, source.size))
    if not depth or budget.ends() or (starts_pickle(start) and not pressed(start)):
        return source if starts_pickle(start) else None
    for accepts, take_off in ((pressed, _inflated), (_HEX.match, _from_hex), (_ALPHABET.match, _from_base64)):
        if accepts(start):
            inner = _taken_off(source, start, take_off, budget)
            found = None if inner is None else _unwrapped(inner, budget, depth - 1)
            if found is not None:
                return found
    return source if starts_pickle(start) else None


def _taken_off(source: Source, start: bytes, take_off: Callable[[bytes], bytes], budget: Budget) -> Source | None:
    """The content of one wrapping: first of a string's beginning, and of all of it only where that looks like more."""
    try:
        if not start.startswith(_IN_BLOCKS) and not _looks(take_off(start)[:_HEAD]):
            return None
        packed = source.read_at(0, min(_LARGEST, source.size))
        budget.unwrapped -= len(packed)
        data = take_off(packed)
    except (ValueError, EOFError, OSError, zlib.error, lzma.LZMAError):
        return None
    budget.unwrapped -= len(data)
    return BytesSource(data, source.meter)


def _inflated(data: bytes) -> bytes:
    return bytes(_decompressor(data).decompress(data, _LARGEST))


def _decompressor(start: bytes) -> Any:
    """What unpacks bytes that begin so; all have `decompress(data, most)`, `eof` and `unused_data`."""
    if start.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(16 + zlib.MAX_WBITS)
    if start.startswith(b"BZh"):
        return bz2.BZ2Decompressor()
    if start.startswith(_IN_BLOCKS):
        return lzma.LZMADecompressor(memlimit=_MEMORY)
    return zlib.decompressobj()


def content_of(source: Source, budget: Budget) -> tuple[Source, bool] | None:
    """What a compressed file unpacks to, as far as is unpacked, and whether that is all; None where it is none."""
    start = source.read_at(0, min(_HEAD, source.size))
    if not pressed(start):
        return None
    rest, content, whole = source.read_at(0, min(_LARGEST_FILE, source.size)), b"", False
    try:
        for _ in range(_STREAMS):
            budget.unwrapped -= len(rest) // 8
            stream = _decompressor(rest[:_HEAD])
            content += stream.decompress(rest, max(1, min(_LARGEST_FILE, budget.unwrapped) - len(content)))
            rest, whole = stream.unused_data, stream.eof
            if not whole or not pressed(rest[:_HEAD]):
                break
    except (ValueError, EOFError, OSError, zlib.error, lzma.LZMAError):
        whole = False
    budget.unwrapped -= len(content)
    return (BytesSource(content, source.meter), whole) if content else None


def _from_hex(data: bytes) -> bytes:
    digits = data.translate(None, _SPACES)
    return binascii.unhexlify(digits[: len(digits) & ~1])


def _from_base64(data: bytes) -> bytes:
    """Of either alphabet; what follows the padding, or is cut off, is left out."""
    digits = data.translate(_STANDARD, _SPACES).rstrip(b"=")
    whole = len(digits) & ~3
    rest = digits[whole:]
    return binascii.a2b_base64(digits[:whole]) + (binascii.a2b_base64(rest + b"===") if len(rest) > 1 else b"")
