"""A position in a GGUF header with a block of the file in memory; knows lengths and byte orders, no key and no tensor.

A vocabulary is an array of some 100,000 strings, each behind its own length, so that there is no way around walking
it; that happens in large blocks in memory, never by a read for each string.
"""

from __future__ import annotations

import re
import struct
from typing import NoReturn

from service.errors import MalformedFile, TruncatedFile
from service.language import Message, msg
from service.source import Source

_FIRST_BLOCK, _BLOCK = 1 << 16, 1 << 20


def _short_strings(batch: int) -> re.Pattern[bytes]:
    """`batch` strings of fewer than 48 bytes behind little-endian 64-bit lengths.

    A regular expression walks them three times as fast as a loop; it takes no step back (`+` after `}`), so that its
    time is linear for every input.
    """
    one = b"|".join(b"\\x%02x\\0{7}.{%d}" % (length, length) for length in range(48))
    return re.compile(b"(?s:%b){%d}+" % (one, batch))


_BATCH = 512
_SHORT = _short_strings(_BATCH)


class Walk:
    """A position in the header with a block of the file in memory.

    `announced` and `item` are numbers of keys and tensors, in all and behind; `kept` the bytes of strings kept.
    """

    def __init__(self, source: Source, order: str, width: int) -> None:
        self._source = source
        self._base = 8
        self._block = source.read_at(8, min(source.size - 8, _FIRST_BLOCK))
        self._at = 0
        self.order = order
        self.letter = "Q" if width == 8 else "I"
        self._number = struct.Struct(order + self.letter)
        self._short = struct.Struct(order + "I")
        self.kept = 0
        self.announced = (0, 0)
        self.item = (0, 0)

    @property
    def position(self) -> int:
        """Offset of the next byte in the file."""
        return self._base + self._at

    def size(self) -> int:
        """A count, length or size: 64 bits, in version 1 32."""
        return int(self.unpack(self._number)[0])

    def uint32(self) -> int:
        """A type or a number of axes."""
        return int(self.unpack(self._short)[0])

    def unpack(self, form: struct.Struct) -> tuple[int, ...]:
        """The next fields."""
        if self._at + form.size > len(self._block):
            self._load(form.size)
        found = form.unpack_from(self._block, self._at)
        self._at += form.size
        return found

    def take(self, length: int) -> bytes:
        """The next bytes."""
        end = self._at + length
        if end > len(self._block):
            self._load(length)
            end = self._at + length
        data = self._block[self._at : end]
        self._at = end
        return data

    def skip(self, length: int) -> None:
        """Pass over bytes; those that are not in memory are not read."""
        if length > self._source.size - self.position:
            self._end()
        self._at += length
        if self._at > len(self._block):
            self._base, self._block, self._at = self.position, b"", 0

    def skip_strings(self, count: int) -> None:
        """Pass over `count` strings."""
        width = self._number.size
        if count * width > self._source.size - self.position:
            self._end()
        fast = self.letter == "Q" and self.order == "<"
        while count:
            found = _SHORT.match(self._block, self._at) if fast and count >= _BATCH else None
            if found is not None:
                self._at = found.end()
                count -= _BATCH
                continue
            few = min(count, _BATCH)
            self._step(few)
            count -= few

    def _step(self, count: int) -> None:
        """Pass over `count` strings one by one."""
        unpack, width, block, at = self._number.unpack_from, self._number.size, self._block, self._at
        last = len(block) - width
        for _ in range(count):
            if at > last:
                self._at = at
                self._load(width)
                block, at, last = self._block, self._at, len(self._block) - width
            length = unpack(block, at)[0]
            at += width
            if length <= len(block) - at:
                at += length
                continue
            self._at = at
            self.skip(length)
            block, at, last = self._block, self._at, len(self._block) - width
        self._at = at

    def _load(self, length: int) -> None:
        """Bring the next `length` bytes and more into memory."""
        start, left = self.position, self._source.size - self.position
        if length > left:
            self._end()
        size = min(left, max(length, min(2 * max(len(self._block), _FIRST_BLOCK), _BLOCK)))
        rest = self._block[self._at :]
        self._block = rest + self._source.read_at(start + len(rest), size - len(rest)) if size > len(rest) else rest
        self._base, self._at = start, 0

    def _end(self) -> NoReturn:
        keys, tensors = self.announced
        raise TruncatedFile(
            msg(
                "The file ends at byte {size}, within its header: of {keys} keys and {tensors} tensors {key} and "
                "{tensor} are whole.",
                size=self._source.size, keys=keys, tensors=tensors, key=self.item[0], tensor=self.item[1],
            ),
            offset=self.position,
        )  # fmt: skip

    def fail(self, what: Message) -> NoReturn:
        """MalformedFile at this position."""
        raise MalformedFile(what, offset=self.position)
