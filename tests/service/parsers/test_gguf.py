"""The header of a GGUF file: every version and byte order, and each way in which it cannot be."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile, UnsupportedFeature
from service.parsers.gguf import Header, Summary, read_header
from service.source import BytesSource, Meter
from tests.service.parsers.ggufs import LETTERS, Tensor, Writer

WRITERS = [Writer(version, order) for version in (1, 2, 3) for order in "<>"]
KEYS = [
    ("general.architecture", "string", "llama"),
    ("a.uint8", "uint8", 255), ("a.int8", "int8", -1), ("a.uint16", "uint16", 65535), ("a.int16", "int16", -2),
    ("a.uint32", "uint32", 2**32 - 1), ("a.int32", "int32", -3), ("a.float32", "float32", 0.5), ("a.bool", "bool", 1),
    ("a.uint64", "uint64", 2**64 - 1), ("a.int64", "int64", -4), ("a.float64", "float64", 1e-300),
    ("a.few", "array", ("int32", [1, 2, 3])), ("a.words", "array", ("string", ["x", "", "ü"])),
    ("a.flags", "array", ("bool", [1, 0])),
]  # fmt: skip
TENSORS = [Tensor("a.weight", (4, 3, 2, 1), 0, 0), Tensor("ü.bias", (7,), 30, 96), Tensor("scalar", (), 28, 128)]


def parse(data: bytes, limits: Limits | None = None) -> Header:
    limits = limits or Limits()
    return read_header(BytesSource(data, Meter(limits)), limits)


@pytest.mark.parametrize("writer", WRITERS, ids=str)
def test_every_version_and_byte_order_is_read(writer: Writer) -> None:
    """Keys of all types and tensors of all ranks; the version says the byte order, and counts have 32 bits in v1."""
    header = parse(writer.file(KEYS, TENSORS, 160))
    assert (header.version, header.big_endian) == (writer.version, writer.order == ">")
    expected = {key: tuple(value[1]) if kind == "array" else value for key, kind, value in KEYS}
    assert dict(header.metadata) == expected
    assert header.metadata["a.bool"] is True
    assert [info[:4] for info in header.tensors] == [tuple(tensor) for tensor in TENSORS]
    assert header.data % 32 == 0
    assert 0 <= header.data - header.end < 32


@pytest.mark.parametrize("writer", WRITERS, ids=str)
def test_long_arrays_are_passed_over_and_summed_up(writer: Writer) -> None:
    """A vocabulary with short, long and very long words, numbers, and arrays of arrays: type and length are told."""
    words = [("w" * (number % 70)) for number in range(3000)] + ["x" * 200_000, "", "y" * 90_000] + ["z"] * 600
    keys = [
        ("tokenizer.ggml.tokens", "array", ("string", words)),
        ("tokenizer.ggml.scores", "array", ("float32", [0.0] * 3000)),
        ("nested", "array", ("array", [("string", ["a"] * 900), ("uint8", [1]), ("array", [("int8", [1])])])),
        ("after", "uint32", 7),
    ]
    header = parse(writer.file(keys, TENSORS, 160))
    assert header.metadata["tokenizer.ggml.tokens"] == Summary("string", len(words))
    assert header.metadata["tokenizer.ggml.scores"] == Summary("float32", 3000)
    assert header.metadata["nested"] == Summary("array", 3)
    assert header.metadata["after"] == 7
    assert [info.name for info in header.tensors] == ["a.weight", "ü.bias", "scalar"]


def test_a_vocabulary_is_read_in_blocks() -> None:
    """60,000 words cost few reads, and the file's data none."""
    reads: list[int] = []

    class Counting(BytesSource):
        def read_at(self, offset: int, length: int) -> bytes:
            reads.append(length)
            return super().read_at(offset, length)

    words = [f"token {number}" for number in range(60_000)]
    data = Writer().file([("tokenizer.ggml.tokens", "array", ("string", words))], TENSORS, 1 << 22)
    read_header(Counting(data, Meter(Limits())), Limits())
    assert len(reads) < 12
    assert sum(reads) < 2 * (len(data) - (1 << 22)) + (1 << 17)


def test_long_texts_are_kept_up_to_a_bound() -> None:
    """A chat template is kept; a text of a megabyte is told by its length."""
    header = parse(Writer().file([("short", "string", "x" * 9000), ("long", "string", "x" * 1_000_000)]))
    assert header.metadata["short"] == "x" * 9000
    assert header.metadata["long"] == Summary("string", 1_000_000)


def test_a_doubled_key_keeps_its_first_value() -> None:
    """And is named."""
    header = parse(Writer().file([("a", "uint8", 1), ("a", "uint8", 1)]))
    assert (dict(header.metadata), header.doubled) == ({"a": 1}, ("a",))


@pytest.mark.parametrize("alignment", [1, 8, 64, 4096])
def test_the_data_begins_where_the_alignment_says(alignment: int) -> None:
    """general.alignment moves it."""
    header = parse(Writer().file([("general.alignment", "uint32", alignment)], TENSORS, 160, alignment))
    assert (header.alignment, header.data) == (alignment, -(-header.end // alignment) * alignment)


def one_key(kind: int, rest: bytes) -> bytes:
    return Writer().header(counts=(0, 1)) + Writer().string("k") + struct.pack("<I", kind) + rest


def one_tensor(rest: bytes) -> bytes:
    return Writer().header(counts=(1, 0)) + rest


BROKEN: dict[str, tuple[bytes, type[InputError], int | None]] = {
    "no magic": (b"GGUX" + bytes(40), MalformedFile, 0),
    "version 0": (b"GGUF" + bytes(40), MalformedFile, 4),
    "version 9": (b"GGUF\x09\0\0\0" + bytes(40), UnsupportedFeature, 4),
    "too short": (b"GGUF\x03", TruncatedFile, 5),
    "absurd counts": (Writer().header(counts=(2**60, 2**61)), MalformedFile, 8),
    "more keys than fit": (Writer().header(counts=(0, 5)), TruncatedFile, 24),
    "more tensors than fit": (Writer().header(counts=(5, 0)), TruncatedFile, 24),
    "unknown type": (one_key(13, bytes(8)), MalformedFile, 37),
    "unknown type in an array": (one_key(9, struct.pack("<IQ", 13, 1)), MalformedFile, 49),
    "endless string": (one_key(8, struct.pack("<Q", 2**63)), TruncatedFile, 45),
    "endless numbers": (one_key(9, struct.pack("<IQ", 10, 2**61)), TruncatedFile, 49),
    "endless words": (one_key(9, struct.pack("<IQ", 8, 2**61)), TruncatedFile, 49),
    "endless word among words": (
        one_key(9, struct.pack("<IQ", 8, 600) + struct.pack("<Q", 2**64 - 1) + bytes(4800)), TruncatedFile, 57),
    "arrays too deep": (one_key(9, struct.pack("<IQ", 9, 1) * 6), MalformedFile, 97),
    "endless key": (Writer().header(counts=(0, 1)) + struct.pack("<Q", 2**40), MalformedFile, 32),
    "endless name": (one_tensor(struct.pack("<Q", 2**40) + bytes(30)), MalformedFile, 32),
    "too many axes": (one_tensor(Writer().string("t") + struct.pack("<I", 65) + bytes(600)), MalformedFile, 37),
    "odd alignment": (Writer().file([("general.alignment", "uint32", 24)]), MalformedFile, None),
    "no alignment": (Writer().file([("general.alignment", "uint32", 0)]), MalformedFile, None),
    "alignment in words": (Writer().file([("general.alignment", "string", "32")]), MalformedFile, None),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_is_refused_with_its_place(name: str) -> None:
    """The exact error, and where."""
    data, kind, offset = BROKEN[name]
    with pytest.raises(kind) as error:
        parse(data)
    assert type(error.value) is kind
    assert error.value.info.offset == offset


def test_limits_are_held() -> None:
    """More tensors than one analysis may describe, where the file could hold them; more keys than anybody writes."""
    data = Writer().file([], [Tensor("t", (), 0, 0)] * 20, 32)
    with pytest.raises(LimitExceeded) as error:
        parse(data, Limits(weights=10))
    assert error.value.info.extra == {"limit": "weights", "maximum": 10, "value": 20}
    many = Writer().header(counts=(0, 100_001)) + bytes(100_001 * 13)
    with pytest.raises(LimitExceeded):
        parse(many)


def test_a_header_cut_anywhere_says_how_far_it_went() -> None:
    """At every byte: truncated, at a place not beyond the cut, with the numbers of whole keys and tensors."""
    data = Writer().header(KEYS, TENSORS)
    for length in range(4, len(data)):
        with pytest.raises(TruncatedFile) as error:
            parse(data[:length])
        assert error.value.info.offset is not None
        assert error.value.info.offset <= length
    assert "of 15 keys and 3 tensors 15 and 2 are whole" in str(error.value.info.detail)


VALUES = {
    kind: st.floats(width=32, allow_nan=False) if kind == "float32"
    else st.floats(allow_nan=False) if kind == "float64"
    else st.booleans() if kind == "bool"
    else st.integers(-(2 ** (8 * struct.calcsize(letter) - 1)), 2 ** (8 * struct.calcsize(letter) - 1) - 1)
    if letter.islower() else st.integers(0, 2 ** (8 * struct.calcsize(letter)) - 1)
    for kind, letter in LETTERS.items()
}  # fmt: skip


@st.composite
def keys(draw: Any) -> list[tuple[str, str, Any]]:
    """Distinct keys with values of any type."""
    found = []
    for name in draw(st.lists(st.text(max_size=20), unique=True, max_size=8)):
        kind = draw(st.sampled_from([*VALUES, "string", "array"]))
        if kind == "array":
            inner = draw(st.sampled_from([*VALUES, "string"]))
            items = draw(st.lists(VALUES.get(inner, st.text(max_size=9)), max_size=20))
            found.append((f"k.{name}", kind, (inner, items)))
        else:
            found.append((f"k.{name}", kind, draw(VALUES.get(kind, st.text(max_size=50)))))
    return found


@settings(max_examples=60, deadline=None)
@given(keys(), st.sampled_from(WRITERS))
def test_what_was_written_is_read(written: list[tuple[str, str, Any]], writer: Writer) -> None:
    """Any keys and values, in every version and byte order."""
    header = parse(writer.file(written, TENSORS, 160))
    assert dict(header.metadata) == {k: tuple(v[1]) if kind == "array" else v for k, kind, v in written}
