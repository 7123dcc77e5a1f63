"""The header of a safetensors file: what is read, what is refused and where, always as the library or stricter."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors import deserialize as library_read
from safetensors.numpy import save as library_save

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, MalformedJson, TruncatedFile
from service.parsers.safetensors import MAX_HEADER, Header, read_header, resembles
from service.source import BytesSource, Meter
from tests.service.readers.hf_uploads import entry, safetensors
from tests.service.readers.hf_uploads import refusal as refused

GOOD = {"a": entry(0, 8), "b.weight": entry(8, 16, [2, 1])}


def parse(data: bytes, **limits: int) -> Header:
    made = Limits(**limits)
    return read_header(BytesSource(data, Meter(made)), made)


def refusal(data: bytes, **limits: int) -> InputError:
    with pytest.raises(InputError) as error:
        parse(data, **limits)
    return error.value


def test_a_header_is_read() -> None:
    """Names in the file's order, shapes, types as spelled, extents, where the data begins and how much there is."""
    data = safetensors({"__metadata__": {"format": "pt"}, **GOOD}, bytes(16))
    found = parse(data)
    assert [(name, one.dtype, one.shape, one.data_offsets) for name, one in found.arrays.items()] == [
        ("a", "F32", (2,), (0, 8)),
        ("b.weight", "F32", (2, 1), (8, 16)),
    ]
    assert (found.metadata, found.start, found.size) == ({"format": "pt"}, len(data) - 16, 16)


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({}, (0, 0, True)),
        (GOOD, (16, 16, True)),
        ({"a": entry(0, 8), "none": entry(8, 8, [0]), "b": entry(8, 16)}, (16, 16, True)),
        ({"b": entry(8, 16), "a": entry(0, 8)}, (16, 16, False)),
        ({"a": entry(0, 8), "b": entry(12, 20)}, (20, 16, False)),
        ({"a": entry(8, 16)}, (16, 8, False)),
        ({"a": entry(0, 8), "b": entry(0, 8)}, (8, 16, False)),
    ],
)
def test_what_the_arrays_take_of_the_file(entries: Any, told: tuple[int, int, bool]) -> None:
    """How far they reach, their bytes together, and whether each begins where the one before it ends."""
    found = parse(safetensors(entries, bytes(20)))
    assert (found.needed, found.bytes, found.gapless) == told


@pytest.mark.parametrize("left_out", ["dtype", "shape", "data_offsets"])
def test_an_entry_that_says_too_little_is_named(left_out: str) -> None:
    """Whatever it leaves out; the others are in order."""
    short = {name: value for name, value in entry(8, 16).items() if name != left_out}
    error = refusal(safetensors({**GOOD, "short": short}, bytes(16)))
    assert (error.info.code, error.info.pointer) == ("malformed_file", "short")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"\\u0061": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4], "more": {"x": "y"}}}   ',
        b'{"a": {"data_offsets": [0, 4], "shape": [], "dtype": "F32"}, "__metadata__": {"x": "\\""}}',
    ],
)
def test_unusual_spellings_are_the_same_header(raw: bytes) -> None:
    """Escapes, further keys, padding with spaces and another order change nothing."""
    found = parse(safetensors(raw, bytes(4))).arrays
    assert {name: one.data_offsets for name, one in found.items()} == {"a": (0, 4)}


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12).filter(
            lambda name: name != "__metadata__"
        ),
        st.tuples(
            st.sampled_from(["float32", "float16", "int8", "bool", "uint64"]),
            st.lists(st.integers(0, 4), max_size=4),
        ),
        max_size=8,
    ),
    st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
)
def test_what_the_library_writes_is_read_as_the_library_reads_it(arrays: Any, metadata: Any) -> None:
    """Any names, shapes, types and metadata: the same arrays in the same places."""
    data = library_save({name: np.zeros(shape, dtype) for name, (dtype, shape) in arrays.items()}, metadata or None)
    found = parse(data)
    theirs = {name: (facts["dtype"], list(facts["shape"]), bytes(facts["data"])) for name, facts in library_read(data)}
    ours = {
        name: (one.dtype, list(one.shape), data[found.start :][slice(*one.data_offsets)])
        for name, one in found.arrays.items()
    }
    assert ours == theirs
    assert dict(found.metadata) == metadata


@pytest.mark.parametrize("size", range(8))
def test_a_file_that_ends_in_the_length_is_truncated(size: int) -> None:
    """Fewer than eight bytes."""
    error = refusal(safetensors(GOOD)[:size])
    assert isinstance(error, TruncatedFile)


def test_a_file_that_ends_in_the_header_says_how_much_is_missing() -> None:
    """At every place of the header."""
    data = safetensors(GOOD)
    for size in range(8, len(data)):
        error = refusal(data[:size])
        assert isinstance(error, TruncatedFile)
        assert (error.info.extra["missing"], error.info.offset) == (len(data) - size, size)


def test_a_header_beyond_the_limit_is_malformed() -> None:
    """More than the library's 100 MB, up to the largest number: at byte 0."""
    for length in (MAX_HEADER + 1, 2**63, 2**64 - 1):
        error = refusal(safetensors(GOOD, length=length))
        assert (error.info.code, error.info.offset) == ("malformed_file", 0)


def test_limits_hold() -> None:
    """More arrays, or more JSON, than one analysis may have."""
    data = safetensors(GOOD, bytes(16))
    assert refusal(data, weights=1).info.extra["limit"] == "weights"
    assert isinstance(refusal(data, json_bytes=20), LimitExceeded)


def hostile(raw: str) -> bytes:
    return safetensors(raw.encode(), bytes(64))


E = '{"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}'


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (hostile(f'{{"a": {E}, "a": {E}}}'), MalformedJson, "twice"),
        (hostile(f'{{"a": {E}, "\\u0061": {E}}}'), MalformedJson, "twice"),
        (
            hostile('{"a": {"dtype": "F32", "shape": [1], "shape": [2], "data_offsets": [0, 4]}}'),
            MalformedJson,
            "twice",
        ),
        (hostile('{"__metadata__": {"x": "1", "x": "2"}}'), MalformedJson, "twice"),
        (hostile('{"__metadata__": {}, "__metadata__": {}}'), MalformedJson, "twice"),
        (hostile('{"a": {"dtype": "F32"'), MalformedJson, "Not valid JSON"),
        (hostile(f'{{"a": {E}}} x'), MalformedJson, "Extra data"),
        (safetensors(b'{"\xff": {}}'), MalformedJson, "UTF-8"),
        (safetensors(b"[]"), MalformedFile, "JSON object"),
        (safetensors(b""), MalformedJson, "Expecting value"),
        (hostile('{"a": [1]}'), MalformedFile, "a cannot be: it is not an object"),
        (hostile('{"__metadata__": "x"}'), MalformedFile, "__metadata__ cannot be"),
        (hostile('{"a": {"shape": [1], "data_offsets": [0, 4]}}'), MalformedFile, "dtype is not"),
        (hostile('{"a": {"dtype": 1, "shape": [1], "data_offsets": [0, 4]}}'), MalformedFile, "dtype is not"),
        (hostile('{"a": {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]}}'), MalformedFile, "shape is not"),
        (hostile('{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}'), MalformedFile, "shape is not"),
        (hostile('{"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}'), MalformedFile, "shape is not"),
        (hostile('{"a": {"dtype": "F32", "shape": [true], "data_offsets": [0, 4]}}'), MalformedFile, "shape is not"),
        (hostile('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}'), MalformedFile, "data_offsets is not"),
        (hostile('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}'), MalformedFile, "data_offsets is"),
        (
            hostile('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 18446744073709551620]}}'),
            MalformedFile,
            "data_offsets is",
        ),
        (hostile('{"a": {"dtype": "F32", "shape": [1], "data_offsets": [8, 4]}}'), MalformedFile, "ends before"),
        (
            hostile('{"a": {"dtype": "F32", "shape": [%s1], "data_offsets": [0, 4]}}' % ("1, " * 255)),
            MalformedFile,
            "256 axes",
        ),
        (hostile('{"a": ' * 300), LimitExceeded, "nested"),
        (hostile('{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 4]}}'), MalformedJson, "NaN"),
    ],
)
def test_what_is_refused(data: bytes, kind: type[InputError], words: str) -> None:
    """Doubled keys however spelled, what is no JSON or no object, wrong types, numbers that cannot be: each by name."""
    error = refusal(data)
    assert isinstance(error, kind)
    assert words in str(error.info.detail)
    with pytest.raises((SafetensorError, ValueError)):
        library_read(data)


def test_the_place_in_the_json_is_that_in_the_file() -> None:
    """An offset counts from the beginning of the file."""
    assert refusal(safetensors(b'{"a": x}')).info.offset == 8 + 6


def test_damage_only_raises_input_errors() -> None:
    """2000 files with one to eight changed bytes, and what the library reads of them we read as well."""
    whole, chance = safetensors({"__metadata__": {"k": "v"}, **GOOD}, bytes(16)), random.Random(3)  # noqa: S311
    for _ in range(2000):
        changed = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 8])):
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        error = refused(lambda changed=changed: parse(bytes(changed)))
        if error is not None:
            assert error.info.detail
            with pytest.raises((SafetensorError, ValueError)):
                library_read(bytes(changed))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (safetensors(GOOD, bytes(16)), True),
        (safetensors({}), True),
        (safetensors(GOOD)[:9], True),
        (safetensors(GOOD, length=2**60), True),
        (safetensors(b'{"a": 1, "a": 1'), True),
        (json.dumps(GOOD).encode(), False),
        (b"", False),
        (struct.pack("<Q", 5) + b"hello", False),
        (b"GGUF\x03\0\0\0{", False),
        (b"\0" * 64, False),
    ],
)
def test_what_looks_like_safetensors(data: bytes, expected: bool) -> None:
    """The eight bytes and an opening brace, also of a damaged file; not JSON as such, nor other containers."""
    assert resembles(BytesSource(data, Meter(Limits()))) is expected
