"""Core ML's blob storage is read by its header and metadata, each checked."""

from __future__ import annotations

import struct

import pytest

from service.config import Limits
from service.errors import MalformedFile, TruncatedFile, UnsupportedFeature
from service.parsers.coreml_blobs import Blob, blob, count
from service.source import BytesSource, Meter


def storage(*, version: int = 2, sentinel: int = 0xDEADBEEF, dtype: int = 1) -> BytesSource:
    """One array of 6 half floats."""
    header = struct.pack("<II", 1, version) + bytes(56)
    metadata = struct.pack("<IIQQ", sentinel, dtype, 12, 128) + bytes(40)
    return BytesSource(header + metadata + bytes(12), Meter(Limits()))


def test_an_array_is_found_by_its_metadata() -> None:
    """Element type, place and length stand in the 64 bytes that a program points at."""
    assert count(storage()) == 1
    assert blob(storage(), 64) == Blob("float16", 128, 12)
    assert blob(storage(dtype=99), 64).dtype is None


def test_what_is_no_metadata_is_refused_with_its_place() -> None:
    """Another sentinel, another version, and a place outside the file each have their error."""
    with pytest.raises(MalformedFile, match="0xDEADBEEF") as wrong:
        blob(storage(sentinel=1), 64)
    assert wrong.value.info.offset == 64
    with pytest.raises(UnsupportedFeature, match="version 3"):
        count(storage(version=3))
    with pytest.raises(TruncatedFile):
        blob(storage(), 100)
    with pytest.raises(TruncatedFile):
        count(BytesSource(bytes(10), Meter(Limits())))
