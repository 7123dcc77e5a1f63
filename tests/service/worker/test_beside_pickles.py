"""Pickles beside a model: which files are looked into, in what wrappings, and what is said where that ends."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib
from collections.abc import Callable

import pytest

from service.catalog.pickle_nested import Budget
from service.config import Limits
from service.source import BytesSource, Meter
from service.worker.beside_pickles import budget_of, in_file, may_be_pickle
from tests.service.parsers.pickles import call, text

EVIL = b"\x80\x04" + call("os", "system", text("ls")) + b"."
OLD = b"N0" * 200 + b"cos\nsystem\n(S'ls'\ntR."


def told(data: bytes, name: str = "x.pkl", budget: Budget | None = None) -> list[tuple[str, str]]:
    """Code and severity of each danger."""
    source = BytesSource(data, Meter(Limits()))
    return [(one.code, one.severity) for one in in_file(source, name, budget or budget_of(len(data)))]


def npy(data: bytes, code: str) -> bytes:
    """An array of one element."""
    header = f"{{'descr': '{code}', 'fortran_order': False, 'shape': (1,), }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


WRAPPINGS: list[Callable[[bytes], bytes]] = [
    lambda data: data,
    zlib.compress,
    gzip.compress,
    bz2.compress,
    lzma.compress,
    lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    lambda data: zlib.compress(bz2.compress(data)),
    lambda data: npy(data, "|O"),
    lambda data: zlib.compress(npy(data, "|O")),
    lambda data: b"\x80\x02}." + data,
    lambda data: b"\x80\x02}." + bytes(50) + data,
]


@pytest.mark.parametrize("wrap", WRAPPINGS)
def test_a_pickle_is_found_in_what_it_is_wrapped_in(wrap: Callable[[bytes], bytes]) -> None:
    """As it is, compressed, in an array of objects, behind another pickle."""
    assert told(wrap(EVIL)) == [("pickle_global", "critical")]


def test_padding_does_not_hide_it() -> None:
    """Opcodes that name nothing, before what does."""
    assert told(OLD) == told(zlib.compress(OLD)) == [("pickle_global", "critical")]


@pytest.mark.parametrize("data", [
    b"\x80\x02}.", b"", b"x", b"text of a file", bytes(100), zlib.compress(bytes(1000)), npy(EVIL, "|u1"),
    b"x\x9cbroken", b"\x93NUMPY", b"PK\x05\x06", b"collections\nOrderedDict\nimport os",
])  # fmt: skip
def test_other_files_hide_nothing(data: bytes) -> None:
    """Harmless pickles, texts, numbers, broken ones."""
    assert told(data) == []


@pytest.mark.parametrize("start", [b"\x04\x22\x4d\x18", b"\xff\x06\x00\x00sNaPpY", b"7z\xbc\xaf\x27\x1c"])
def test_what_is_packed_otherwise_is_said_of_what_is_called_a_pickle(start: bytes) -> None:
    """As low; of other files nothing is expected."""
    assert told(start + EVIL, "a/prep.joblib") == told(start + EVIL, "p.PKL.lz4") == [("pickle_unsearched", "low")]
    assert told(start + EVIL, "video.mp4") == []


@pytest.mark.parametrize(("name", "start", "expected"), [
    ("a.bin", b"\0", True), ("a.txt", b"\0", False), ("a", EVIL[:64], True), ("a", b"N0N0", True),
    ("a", b"\x1f\x8b\x08", True), ("a", b"\x93NUMPY", True), ("a", b"", False), ("a.json", b"{}", False),
])  # fmt: skip
def test_which_files_may_be_pickles(name: str, start: bytes, expected: bool) -> None:
    """By their names or their first bytes."""
    assert may_be_pickle(name, start) is expected


def test_when_all_is_spent_that_is_kept_in_mind() -> None:
    """Only where a file was left that is likely to be a pickle: by its name or its beginning."""
    budget = Budget(tries=10)
    assert told(b"N0N0", "a", budget) == []
    assert not budget.cut
    spent = Budget(opcodes=0)
    assert told(EVIL, "x.pkl", spent) == []
    assert spent.cut


def test_what_is_not_unpacked_to_its_end_is_kept_in_mind() -> None:
    """Where it begins as a pickle may."""
    budget = Budget(unwrapped=1 << 16)
    assert told(zlib.compress(b"N0" * 100_000 + EVIL), "x.pkl", budget) == []
    assert budget.cut
