"""The window over a pickle's bytes: what is read once, where frames end, and what ends early."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from service.config import Limits
from service.errors import LimitExceeded, MalformedFile, TruncatedFile
from service.parsers.pickle_cursor import Cursor, check_length
from service.source import BytesSource, Meter


class Counted(BytesSource):
    """Bytes whose reads are counted."""

    def read_at(self, offset: int, length: int) -> bytes:
        self.meter.add_read(length)
        return super().read_at(offset, length)


def cursor(data: bytes, offset: int = 0, line_limit: int = 1000) -> Cursor:
    """A cursor over these bytes."""
    return Cursor(Counted(data, Meter(Limits())), offset, line_limit)


def test_bytes_come_in_order() -> None:
    """From the offset on, whichever way they are asked for; the last opcode's place is kept."""
    one = cursor(b"..abc\x01\x02line\nrest", 2)
    assert (one.opcode(), one.take(2), one.number(2)) == (ord("a"), b"bc", 0x0201)
    assert (one.opcode_at, one.position, one.line(), one.byte(), one.remaining) == (2, 7, b"line", ord("r"), 3)


def test_what_is_passed_over_is_not_read() -> None:
    """A megabyte between two opcodes costs two blocks."""
    meter = Meter(Limits())
    one = Cursor(Counted(b"a" + bytes(1 << 20) + b"z", meter), 0, 1000)
    one.opcode()
    assert one.skip(1 << 20) == 1
    assert one.opcode() == ord("z")
    assert meter.read < 1 << 18


def test_the_end_is_told_with_its_place() -> None:
    """Of an argument, a line, and of what is passed over."""
    asked: list[Callable[[Cursor], object]] = [lambda one: one.take(9), Cursor.line, lambda one: one.skip(9)]
    for ask in asked:
        one = cursor(b"abc")
        one.opcode()
        with pytest.raises(TruncatedFile) as caught:
            ask(one)
        assert caught.value.info.offset == 1
    with pytest.raises(TruncatedFile):
        cursor(b"").opcode()


def test_lines_are_bounded() -> None:
    """One that goes on beyond the limit is refused, though its end would come."""
    with pytest.raises(LimitExceeded):
        cursor(b"x" * 200_000 + b"\n", line_limit=1000).line()
    assert len(cursor(b"x" * 200_000 + b"\n", line_limit=1 << 20).line()) == 200_000


def test_an_argument_that_crosses_its_frame_is_noted() -> None:
    """Taken all the same; one that ends with the frame is not."""
    for length, straddled in ((3, None), (2, 1)):
        one = cursor(b"abcdef")
        one.begin_frame(length)
        one.opcode()
        assert one.take(2) == b"bc"
        assert (one.straddled, one.opcode()) == (straddled, ord("d"))


def test_a_frame_beyond_the_end_is_noted() -> None:
    """What is there of it is gone on with."""
    one = cursor(b"ab")
    one.begin_frame(100)
    assert (one.overrun, one.opcode(), one.opcode()) == (0, ord("a"), ord("b"))


def test_a_frame_within_a_frame_is_noted() -> None:
    """No pickler begins one before the other has ended."""
    one = cursor(b"abcdef")
    one.begin_frame(5)
    one.opcode()
    one.begin_frame(2)
    assert one.straddled == 1


def test_what_was_unpacked_may_run_fewer_opcodes() -> None:
    """As many as the limit of the file itself; in proportion to the upload where it was compressed."""
    meter = Meter(Limits())
    one = Cursor(BytesSource(bytes(10_000_000), meter), 0, 10)
    assert one.allowed(5_000_000) == 5_000_000
    for given, expected in ((10_000_000, 5_000_000), (1000, 500_000), (1_000_000, 1_500_000)):
        meter.given = given
        assert one.allowed(5_000_000) == expected


def test_lengths_are_checked_before_they_are_used() -> None:
    """Negative ones, and those above the limit."""
    check_length(10, 10, 0)
    with pytest.raises(MalformedFile):
        check_length(-1, 10, 0)
    with pytest.raises(LimitExceeded):
        check_length(11, 10, 0)
