"""TensorFlow checkpoints: the index of a tensor bundle (V2), the slices of a single file (V1), and stored strings.

Knows keys, element types, shapes and places; must not know what a variable is for.
Sources: tensorflow/core/protobuf/tensor_bundle.proto, tensorflow/core/util/tensor_bundle/tensor_bundle.cc,
tensorflow/core/util/saved_tensor_slice.proto.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.protobuf import BYTES, Blocks, Field, fields, message, read_number, signed, text_of
from service.parsers.sstable import entries, first
from service.parsers.tensorflow_slices import Extent, extents_of, is_slice_key, read_key
from service.parsers.tensorflow_types import dtype_name, shape_of, written_shape
from service.source import BytesSource, Source
from service.tree import Shape

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The key under which a checkpoint of TF 2 keeps which object owns which variable."""
_MAX_STRINGS = 1 << 20
_VARINT = rb"([\x80-\xff]{0,7}[\x00-\x7f])"
_WRITTEN = re.compile(
    rb"\x08([\x01-\x7f])\x12.((?:\x12[\x02-\x0a]\x08[\x80-\xff]{0,8}[\x00-\x7f]|\x12\x00)*)"
    rb"(?:\x18" + _VARINT + rb")?(?:\x20" + _VARINT + rb")?(?:\x28" + _VARINT + rb")?(?:\x35.{4})?",
    re.DOTALL,
)
"""An entry whose fields stand in the order of their numbers, without slices: type, shape, shard, offset, size."""


class Stored(NamedTuple):
    """One tensor, or one slice of a partitioned one: `shard` and `offset` are its place in the data files."""

    dtype: str | None
    shape: Shape | None
    shard: int
    offset: int
    size: int
    slices: tuple[tuple[Extent, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """An index: tensors by key in its order; slices by the tensor's name and their extents.

    `shards` is None in a single file of V1, which holds the values itself.
    """

    shards: int | None
    big_endian: bool
    tensors: dict[str, Stored]
    slices: dict[tuple[str, tuple[Extent, ...]], Stored]


def looks_like_index(start: bytes) -> bool:
    """Whether a file begins as a bundle's index does: an empty key, whose value is the header."""
    return start[:2] == b"\x00\x00" and start[3:4] == b"\x08" and 2 <= int.from_bytes(start[2:3]) <= 64


def looks_like_single(start: bytes) -> bool:
    """Whether a file that is not compressed begins as a checkpoint of V1 does."""
    return start[:2] == b"\x00\x00" and 0x0A in start[3:8] and start[2:3] > b"\x00"


def read_index(source: Source, limits: Limits) -> Bundle:
    """The index of a bundle. Raises InputError."""
    shards, big_endian = 0, False
    tensors: dict[str, Stored] = {}
    slices: dict[tuple[str, tuple[Extent, ...]], Stored] = {}
    for number, (key, value) in enumerate(entries(source)):
        if not number:
            shards, big_endian = _header(key, value, source)
        elif is_slice_key(key):
            slices[_slice(key)] = _entry(value, source)
        else:
            tensors[key.decode("utf-8", "replace")] = _entry(value, source)
        if number > limits.weights:
            raise _too_many(limits)
    if not shards:
        raise MalformedFile(msg("The index has no header."), offset=0)
    return Bundle(shards=shards, big_endian=big_endian, tensors=tensors, slices=slices)


def read_single(source: Source, limits: Limits) -> Bundle:
    """The list of tensors in a checkpoint of V1; the values themselves are not looked at."""
    found = first(source)
    if found is None or found[0]:
        raise MalformedFile(msg("The checkpoint does not begin with a list of its tensors."), offset=0)
    listing = Blocks(BytesSource(found[1], source.meter))
    tensors: dict[str, Stored] = {}
    for meta in fields(listing):
        if meta.number == 1 and meta.wire == BYTES:
            for entry in message(listing, meta):
                if entry.number == 1 and entry.wire == BYTES:
                    name, stored = _listed(listing, entry)
                    tensors[name] = stored
                    if len(tensors) > limits.weights:
                        raise _too_many(limits)
    return Bundle(shards=None, big_endian=False, tensors=tensors, slices={})


def read_string(source: Source, stored: Stored, limit: int) -> bytes | None:
    """The value of a tensor that is one string, from its data file; None if it is not, or not all there."""
    if stored.size > limit or stored.offset + stored.size > source.size:
        return None
    data = source.read_at(stored.offset, stored.size)
    length = 0
    for index, byte in enumerate(data[:10]):
        length |= (byte & 127) << (7 * index)
        if byte < 128:
            content = data[index + 5 :]  # after the length, four bytes of checksum
            return content if len(content) == length else None
    return None


def _header(key: bytes, value: bytes, source: Source) -> tuple[int, bool]:
    if key:
        raise MalformedFile(msg("The index has no header."), offset=0)
    numbers = {field.number: field.value for field in fields(BytesSource(value, source.meter))}
    shards = numbers.get(1, 0)
    if not 0 < shards <= _MAX_STRINGS:
        raise MalformedFile(msg("The index says that there are {shards} data files.", shards=shards), offset=0)
    return shards, numbers.get(2, 0) == 1


def _slice(key: bytes) -> tuple[str, tuple[Extent, ...]]:
    found = read_key(key)
    if found is None:
        raise MalformedFile(msg("A key of the index names no tensor and no slice of one."), offset=0)
    return found


def _entry(value: bytes, source: Source) -> Stored:
    """A BundleEntryProto: at once where it stands as TensorFlow writes it, field by field where it does not."""
    found = _WRITTEN.fullmatch(value)
    if found is None or value[3] != len(found[2]) or value[1] > 100:
        return _any_entry(value, source)
    dtype, shape, shard, offset, size = found.groups()
    return Stored(dtype_name(dtype[0]), written_shape(shape), _number(shard), _number(offset), _number(size))


def _number(data: bytes | None) -> int:
    return read_number(data, 0)[0] if data else 0


def _any_entry(value: bytes, source: Source) -> Stored:
    blocks = Blocks(BytesSource(value, source.meter))
    numbers = [0] * 8
    shape: Shape | None = ()
    slices = []
    for field in fields(blocks):
        if field.number == 2 and field.wire == BYTES:
            shape = shape_of(blocks, field) if field.length else ()
        elif field.number == 7 and field.wire == BYTES:
            slices.append(extents_of(blocks, field))
        elif field.number < 8:
            numbers[field.number] = field.value
    shard, offset, size = signed(numbers[3]), signed(numbers[4]), signed(numbers[5])
    if shard < 0 or offset < 0 or size < 0:
        raise MalformedFile(msg("A tensor of the index lies at a negative place."), offset=0)
    return Stored(dtype_name(numbers[1]), shape, shard, offset, size, tuple(slices))


def _listed(listing: Blocks, entry: Field) -> tuple[str, Stored]:
    """One SavedSliceMeta: a tensor of V1 and its slices."""
    name, shape, dtype, slices = "", None, 0, []
    for field in message(listing, entry):
        if field.number == 1:
            name = text_of(listing, field, 1 << 16)
        elif field.number == 2:
            shape = shape_of(listing, field)
        elif field.number == 3:
            dtype = field.value
        elif field.number == 4:
            slices.append(extents_of(listing, field))
    return name, Stored(dtype_name(dtype), shape, 0, 0, 0, tuple(slices) if len(slices) > 1 else ())


def _too_many(limits: Limits) -> LimitExceeded:
    return LimitExceeded("weights", limits.weights, msg("The checkpoint holds too many tensors."))
