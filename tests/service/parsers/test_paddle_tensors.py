"""PaddlePaddle's tensor streams are read by their heads; values are passed over."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.config import Limits
from service.errors import MalformedFile, TruncatedFile
from service.parsers.paddle_tensors import DTYPES, SIZES, looks_like_tensor, tensor, tensors
from service.source import BytesSource, Meter


def varint(value: int) -> bytes:
    """A number as Protocol Buffers write it."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes(found) + bytes([value])


def written(code: int, shape: list[int], levels: list[list[int]] | None = None) -> bytes:
    """A tensor of zeros as Paddle writes it."""
    details = b"".join(struct.pack(f"<Q{len(one)}Q", 8 * len(one), *one) for one in levels or [])
    description = b"\x08" + varint(code) + b"".join(b"\x10" + varint(size) for size in shape)
    head = bytes(4) + struct.pack("<Q", len(levels or [])) + details + bytes(4)
    values = bytes(math.prod(shape) * SIZES[DTYPES[code]])
    return head + struct.pack("<i", len(description)) + description + values


def source(data: bytes) -> BytesSource:
    """Bytes to read."""
    return BytesSource(data, Meter(Limits()))


_TENSOR = st.tuples(
    st.sampled_from(sorted(DTYPES)),
    st.lists(st.integers(0, 9), max_size=4),
    st.lists(st.lists(st.integers(0, 99), max_size=40), max_size=3),
)


@given(st.lists(_TENSOR, min_size=1, max_size=6))
def test_streams_are_read_as_they_were_written(made: list[tuple[int, list[int], list[list[int]]]]) -> None:
    """Element types, sizes and ends of any tensors one after another, with any details before them."""
    data = b"".join(written(*one) for one in made)
    found = list(tensors(source(data)))
    assert [(one.dtype, list(one.shape)) for one in found] == [(DTYPES[code], shape) for code, shape, _ in made]
    assert found[-1].end == len(data)


@given(st.integers(0, 200))
def test_a_cut_head_is_an_error(cut: int) -> None:
    """A file that ends within a head says so; one that ends within the values tells where they would end."""
    data = written(5, [3, 4], [[1, 2]])[:cut]
    if cut >= len(written(5, [3, 4], [[1, 2]])) - 48:
        assert tensor(source(data), 0).end == len(written(5, [3, 4], [[1, 2]]))
    else:
        with pytest.raises((TruncatedFile, MalformedFile)):
            tensor(source(data), 0)


def test_a_head_is_recognised_at_a_look() -> None:
    """Zeros, texts and other protobufs are no tensors."""
    assert looks_like_tensor(source(written(5, [2, 2])))
    for data in (b"", bytes(64), b"hello world, this is a text file of some length", b"\x0a\x02ab" + bytes(40)):
        assert not looks_like_tensor(source(data))
