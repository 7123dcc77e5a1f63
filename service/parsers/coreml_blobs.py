"""Core ML's blob storage (`weight.bin`): a header, then for each array 64 bytes of metadata and its data, all aligned.

Knows the layout of version 2 and its element types; reads metadata only. Knows no program.

Source: mlmodel/src/MILBlob/Blob/StorageFormat.hpp and BlobDataType.hpp of coremltools.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from service.errors import MalformedFile, TruncatedFile, UnsupportedFeature
from service.language import msg
from service.source import Source

HEADER = METADATA = 64
_SENTINEL = 0xDEADBEEF
_VERSION = 2

DTYPES = {
    1: "float16", 2: "float32", 3: "uint8", 4: "int8", 5: "bfloat16", 6: "int16", 7: "uint16", 8: "int4", 9: "uint1",
    10: "uint2", 11: "uint4", 12: "uint3", 13: "uint6", 14: "int32", 15: "uint32", 16: "float8_e4m3fn",
    17: "float8_e5m2",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Blob:
    """One array: its element type (None if unknown), and its `length` bytes at `offset` in the file."""

    dtype: str | None
    offset: int
    length: int


def count(source: Source) -> int:
    """How many arrays the header announces.

    Raises:
        TruncatedFile: The file is shorter than its header.
        UnsupportedFeature: Another version.
    """
    announced, version = struct.unpack("<II", source.read_at(0, HEADER)[:8])
    if version != _VERSION:
        raise UnsupportedFeature(
            msg("Weights in blob storage of version {version} are not read; version 2 is.", version=version), offset=4
        )
    return int(announced)


def blob(source: Source, offset: int) -> Blob:
    """The array whose metadata is at `offset`.

    Raises:
        TruncatedFile: The metadata does not lie in the file. Whether the data does is for the caller to say.
        MalformedFile: There is no metadata at that place.
    """
    if offset < 0 or offset + METADATA > source.size:
        raise TruncatedFile(
            msg("The metadata of an array at byte {offset} is not in the file, which has {size}.", offset=offset,
                size=source.size), offset=min(offset, source.size),
        )  # fmt: skip
    sentinel, dtype, length, begin = struct.unpack_from("<IIQQ", source.read_at(offset, METADATA))
    if sentinel != _SENTINEL:
        raise MalformedFile(
            msg("No array begins here: its metadata should start with 0xDEADBEEF, but does with {found}.",
                found=f"0x{sentinel:08X}"), offset=offset,
        )  # fmt: skip
    return Blob(DTYPES.get(dtype), begin, length)
