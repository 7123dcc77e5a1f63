"""Headers of NumPy arrays: every version and every literal that NumPy writes, and nothing else."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile, UnsupportedFeature
from service.parsers.npy import NpyHeader, inflated_head, literal, read_npy
from service.source import BytesSource, Meter


def source(data: bytes) -> BytesSource:
    return BytesSource(data, Meter(Limits()))


def parse(data: bytes) -> NpyHeader:
    return read_npy(source(data))


def saved(array: Any, version: tuple[int, int] | None = None) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asanyarray(array), version)
    return out.getvalue()


ARRAYS = [
    np.zeros((2, 3), "<f4"), np.zeros((), "f8"), np.zeros((0, 5), ">i2"), np.asfortranarray(np.zeros((3, 4))),
    np.zeros(3, [("a", "i4"), ("b", [("c", "f8", (2, 2)), ("d", "S3")])]), np.array(["x", "yy"]),
    np.zeros(2, "M8[ns]"), np.zeros(3, bool),
]  # fmt: skip


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)], ids=str)
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.dtype))
def test_headers_are_read_as_numpy_reads_them(array: Any, version: tuple[int, int]) -> None:
    """Type, order, shape and where the values begin."""
    data = saved(array, version)
    theirs = np.load(io.BytesIO(data))
    header = parse(data)
    fortran = theirs.flags.f_contiguous and not theirs.flags.c_contiguous
    assert (header.shape, header.fortran, header.offset) == (theirs.shape, fortran, len(data) - theirs.nbytes)
    assert np.lib.format.descr_to_dtype(header.descr) == theirs.dtype
    assert header.version == f"{version[0]}.{version[1]}"


def test_a_long_header_is_read_whole() -> None:
    """2,000 fields take more than the first look."""
    array = np.zeros(1, [(f"field_{number}", "f4") for number in range(2000)])
    assert len(parse(saved(array)).descr) == 2000


LITERALS = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple)
    | st.dictionaries(st.text("ab_<4'\"\\", max_size=5), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(LITERALS)
def test_what_python_prints_is_read(value: Any) -> None:
    """Texts, numbers, truth values, None, tuples, lists and dictionaries, as `repr` writes them."""
    assert literal(repr(value)) == value


@pytest.mark.parametrize("text", [
    "", "{", "}", "(]", "{'a'}", "{'a': 1, 'b'}", "{'a', 1}", "(1:2)", "[1 2]", "(,)", "(1,,2)", "1 2", "1, 2",
    "{1: 2}", "__import__('os')", "1.5", "'a", "abs", "[" * 40, "{'a':: 1}", "0x10", "1 if 1 else 2", "[x for x in y]",
])  # fmt: skip
def test_nothing_else_is(text: str) -> None:
    """No names, no calls, no comprehensions, nothing unbalanced, nothing too deep."""
    with pytest.raises(MalformedFile):
        literal(text)


def header(text: str, version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text.encode()


BROKEN: dict[str, tuple[bytes, type[InputError], int | None]] = {
    "no magic": (b"\x93NUMPX\x01\0" + bytes(20), MalformedFile, 0),
    "too short": (b"\x93NUMPY\x01\0\x10", TruncatedFile, 9),
    "cut header": (header("{'descr': '<f4'}" * 40)[:300], TruncatedFile, 300),
    "version 4": (header("{}", b"\x04\x00"), UnsupportedFeature, 6),
    "endless header": (b"\x93NUMPY\x02\x00" + b"\xff" * 4 + bytes(20), LimitExceeded, 8),
    "no shape": (header("{'descr': '<f4', 'fortran_order': False}"), MalformedFile, 50),
    "odd shape": (header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"), MalformedFile, 66),
    "odd order": (header("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}"), MalformedFile, 61),
    "not a dictionary": (header("(1, 2)    "), MalformedFile, 20),
    "code": (header("__import__('os').system('x')"), MalformedFile, 10),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_is_refused_with_its_place(name: str) -> None:
    """The exact error, and where."""
    data, kind, offset = BROKEN[name]
    with pytest.raises(kind) as error:
        parse(data)
    assert type(error.value) is kind
    assert error.value.info.offset == offset


def test_only_the_head_is_inflated() -> None:
    """Of a deflated megabyte, what was asked for."""
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(b"abc" * 400_000) + packer.flush()
    compressed = source(packed)
    assert inflated_head(compressed, 100) == (b"abc" * 400_000)[:100]
    assert compressed.meter.inflated == 100
    assert inflated_head(source(packed[:10]), 1 << 20) == zlib.decompressobj(-15).decompress(packed[:10])
    with pytest.raises(MalformedFile):
        inflated_head(source(b"\xff" * 50), 10)
