"""ncnn's graph files: lines as documented, numbers as ncnn counts its layers, every break named with its place."""

from __future__ import annotations

import struct

import pytest

from service.catalog.ncnn_types import NAMES
from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile
from service.parsers.ncnn import Param, is_binary, is_text, read_binary, read_text
from service.source import BytesSource, Meter

GRAPH = """7767517
3 3
Input data 0 1 data 0=4 1=4 2=1
InnerProduct ip 1 1 data fc 0=10 1=1 2=80 -23310=2,0.1,6 3=1.0,2.0 4=hello

Softmax softmax 1 1 fc prob 0=0
"""


def read(text: str, **limits: int) -> Param:
    return read_text(BytesSource(text.encode(), Meter(Limits(**limits))), Limits(**limits))


def test_a_documented_file_is_read() -> None:
    """Types, names, blobs, and parameters of every form: whole, fraction, text, arrays of both spellings."""
    found = read(GRAPH)
    assert (found.layers, found.blobs, [entry.type for entry in found.entries]) == (
        3, 3, ["Input", "InnerProduct", "Softmax"],
    )  # fmt: skip
    entry = found.entries[1]
    assert (entry.name, entry.inputs, entry.outputs) == ("ip", ("data",), ("fc",))
    assert entry.params == {0: 10, 1: 1, 2: 80, 10: (0.1, 6), 3: (1.0, 2.0), 4: "hello"}


@pytest.mark.parametrize(
    ("text", "error", "offset"),
    [
        ("7767518\n0 0\n", MalformedFile, 0),
        ("7767517\n", TruncatedFile, 8),
        ("7767517\nx 1\n", MalformedFile, 8),
        ("7767517\n1\n", MalformedFile, 8),
        ("7767517\n-1 1\n", MalformedFile, 8),
        ("7767517\n2 2\nInput data 0 1 data\n", TruncatedFile, 32),
        ("7767517\n1 1\nInput data 0 2 data\n", MalformedFile, 12),
        ("7767517\n1 1\nInput data -1 1 data\n", MalformedFile, 12),
        ("7767517\n1 1\nInput data\n", MalformedFile, 12),
        ("7767517\n1 1\nInput data 0 1 data 0\n", MalformedFile, 12),
        ("7767517\n1 1\nInput data 0 1 data -23300=3,1,2\n", MalformedFile, 12),
    ],
)
def test_what_is_broken_is_named_with_its_place(text: str, error: type[InputError], offset: int) -> None:
    """The first byte of the line."""
    with pytest.raises(error) as caught:
        read(text)
    assert caught.value.info.offset == offset


def test_more_layers_than_allowed_are_refused() -> None:
    """By the count in the head already."""
    with pytest.raises(LimitExceeded):
        read("7767517\n9999999999 1\n")
    with pytest.raises(LimitExceeded):
        read(GRAPH, layers=2)


def numbers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


def test_the_form_of_numbers_is_read() -> None:
    """Types by number, blobs without names, parameters up to the mark; a fraction by its bits."""
    half = struct.unpack("<i", struct.pack("<f", 0.5))[0]
    data = numbers(7767517, 2, 2, 16, 0, 1, 0, 0, 4, -233, 15, 1, 1, 0, 1, 0, 10, 1, half, -23310, 2, 3, half, -233)
    source = BytesSource(data, Meter(Limits()))
    found = read_binary(source, NAMES, Limits())
    assert is_binary(source)
    assert not is_text(source)
    assert [(entry.type, entry.inputs, entry.outputs) for entry in found.entries] == [
        ("Input", (), ("0",)), ("InnerProduct", ("0",), ("1",)),
    ]  # fmt: skip
    assert found.entries[1].params == {0: 10, 1: 0.5, 10: (3, 0.5)}
    for end in range(0, len(data), 4):
        with pytest.raises(InputError):
            read_binary(BytesSource(data[:end], Meter(Limits())), NAMES, Limits())
    with pytest.raises(MalformedFile):
        read_binary(BytesSource(numbers(7767517, 1, 1, 16, -5, 1), Meter(Limits())), NAMES, Limits())
