"""Pickles inside strings and behind pickles are found however they are wrapped, within a budget that tells its end."""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import pickle
import zlib
from typing import Any

import pytest

from service.catalog.pickle_nested import Budget, among_junk, content_of, hidden, sequence, starts_pickle
from service.config import Limits
from service.parsers.pickle_opcodes import run
from service.source import BytesSource, Meter
from tests.service.parsers.pickles import call, text

LIMITS = Limits()
INNER = b"\x80\x04" + call("os", "system", text("ls")) + b"."


def source(data: bytes) -> BytesSource:
    return BytesSource(data, Meter(LIMITS))


def found_in(value: Any, budget: Budget | None = None, protocol: int = 4) -> list[bytes]:
    """What is found in the strings of a pickle of `value`."""
    outer = source(pickle.dumps(value, protocol))
    inner = hidden(run(outer, 0, LIMITS), outer, budget or Budget())
    return [one.read_at(0, one.size) for _, one in inner]


@pytest.mark.parametrize("wrap", [
    lambda data: data, base64.b64encode, lambda data: base64.b64encode(data).decode(), base64.urlsafe_b64encode,
    lambda data: data.hex(), lambda data: data.hex(" ", 4), zlib.compress, gzip.compress, bz2.compress, lzma.compress,
    lambda data: lzma.compress(data, lzma.FORMAT_ALONE), lambda data: lzma.compress(data, preset=9),
    lambda data: base64.b64encode(zlib.compress(data)), lambda data: gzip.compress(data).hex().encode().hex(),
    lambda data: data.decode("latin-1"),
])  # fmt: skip
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_wrapped_pickles_are_unwrapped(wrap: Any, protocol: int) -> None:
    """As bytes or text of every protocol, up to three wrappings."""
    assert found_in(["decoy", wrap(INNER)], protocol=protocol) == [INNER]


@pytest.mark.parametrize("value", [
    "layer1.0.conv1.weight", "num_batches_tracked_in_total", "9f" * 32, base64.b64encode(bytes(range(200))),
    zlib.compress(bytes(5000)), b"\x89PNG\r\n\x1a\n" + bytes(40), "two\nlines\n", b"short", bytes(100),
])  # fmt: skip
def test_other_strings_hide_nothing(value: Any) -> None:
    """Names, digests, pictures and data."""
    assert found_in([value]) == []


def test_long_strings_are_looked_into() -> None:
    """Those that are passed over while a pickle runs, as bytes and as text."""
    long = INNER[:-1] + b"0B" + (100_000).to_bytes(4, "little") + bytes(100_000) + b"."
    assert found_in([long])[0] == long
    assert found_in([base64.b64encode(long).decode()])[0] == long


def test_a_budget_that_is_spent_says_so() -> None:
    """For strings tried, for bytes unwrapped, for opcodes run."""
    few = Budget(tries=3)
    assert (len(found_in([INNER + bytes([number]) for number in range(9)], few)), few.cut) == (3, True)
    little = Budget(unwrapped=100)
    assert (found_in([zlib.compress(INNER * 9), zlib.compress(INNER)], little)[1:], little.cut) == ([], True)
    short = Budget(opcodes=10)
    assert (next(sequence(source(b"N0" * 50 + b"N."), 0, LIMITS, short)).broken is not None, short.cut) == (
        True,
        True,
    )


def test_pickles_in_a_row_and_among_junk() -> None:
    """One behind the other up to the first that breaks; behind junk wherever one begins."""
    row = source(b"N." + INNER + b"\xff")
    assert [trace.broken is None for trace in sequence(row, 0, LIMITS, Budget())] == [True, True, False]
    junk = source(b"\xff" * 50 + INNER + b"\x00 padding \x00" + b"cposix\nsystem\n(S'ls'\ntR.")
    names = {key for trace in among_junk(junk, 0, LIMITS, Budget()) for key in trace.uses}
    assert names == {("os", "system"), ("posix", "system")}


@pytest.mark.parametrize(("data", "expected"), [
    (INNER, True), (b"cos\nsystem\n(S'ls'\ntR.", True), (b"(S'ls'\nios\nsystem\n.", True),
    (b"I1\n0cos\nsystem\n)R.", True),
    (b"\x8c\x02os\x8c\x06system\x93)R.", True), (b"\x80\x04N.", False), (b"\x80\x06" + bytes(20), False),
    (b"\x93NUMPY\x01\x00" + bytes(20), False), (b"import os\nimport sys\n", False),
])  # fmt: skip
def test_beginnings(data: bytes, expected: bool) -> None:
    """By protocol, or by what old pickles begin with; too short to call anything is none."""
    assert starts_pickle(data) is expected


PACKS: list[Any] = [zlib.compress, lambda data: gzip.compress(data, mtime=0), bz2.compress, lzma.compress,
                    lambda data: lzma.compress(data, lzma.FORMAT_ALONE)]  # fmt: skip


@pytest.mark.parametrize("pack", PACKS)
def test_a_compressed_file_is_unpacked(pack: Any) -> None:
    """All of it; several streams one behind the other too, as the files' own modules read them."""
    for data in (pack(INNER), pack(INNER[:7]) + pack(INNER[7:])):
        found = content_of(source(data), Budget())
        assert found is not None
        content, whole = found
        assert (content.read_at(0, content.size), whole) == (INNER, True)


@pytest.mark.parametrize("pack", PACKS)
def test_no_more_is_unpacked_than_may_be(pack: Any) -> None:
    """What is left is told, and what was spent."""
    budget = Budget(unwrapped=1 << 16)
    found = content_of(source(pack(bytes(1 << 20))), budget)
    assert found is not None
    assert found[0].size <= 1 << 16
    assert not found[1]
    assert budget.spent


@pytest.mark.parametrize("data", [INNER, b"", b"x\x9cnothing", b"BZh9nothing", b"]\x00\x00nothing", b"\x1f\x8b\x08"])
def test_what_is_not_compressed_has_no_content(data: bytes) -> None:
    """Whatever it begins with."""
    assert content_of(source(data), Budget()) is None
