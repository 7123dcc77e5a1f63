"""Arrays that Flax writes in pieces: the numbers that were given to it; pieces that are none."""

from __future__ import annotations

import random

import ml_dtypes
import msgpack
import numpy as np
import pytest

from service.config import Limits
from service.errors import InputError, TruncatedFile
from service.source import BytesSource, Meter
from service.tree import Location
from service.values.base import ValuesUnavailable
from service.values.pieces import JoinedSource, joined
from tests.corpus import corpus_dir
from tests.service.values.formats import Files, drawn, files, holds, measured, reasons, statistics, upload
from tests.service.values.opened import opened, streamed, weights


def extension(array: np.ndarray) -> msgpack.ExtType:
    """An array as flax.serialization writes it."""
    return msgpack.ExtType(1, msgpack.packb((array.shape, array.dtype.name, array.tobytes())))


def pieced(array: np.ndarray, *cuts: int, order: tuple[int, ...] = ()) -> dict:
    """An array in pieces, cut at elements of it, as flax.serialization._chunk does; numbered otherwise with `order`."""
    parts = np.split(array.reshape(-1), cuts)
    numbers = order or range(len(parts))
    return {
        "__msgpack_chunked_array__": True,
        "shape": {str(axis): size for axis, size in enumerate(array.shape)},
        "chunks": {str(number): extension(part) for number, part in zip(numbers, parts, strict=True)},
    }


def file(**leaves: object) -> Files:
    """A file of parameters."""
    return {"m.msgpack": msgpack.packb({"params": {"Dense_0": leaves}})}


def source(data: bytes) -> BytesSource:
    return BytesSource(data, Meter(Limits()))


@pytest.mark.parametrize("cuts", [(), (7,), (1, 2, 3), (20, 40), (59,), tuple(range(1, 60))])
def test_the_numbers_that_were_cut(cuts):
    """However they are cut, and whole arrays beside them as before."""
    kernel, bias = drawn(6, 10), drawn(10)
    given = file(kernel=pieced(kernel, *cuts), bias=extension(bias))
    holds(given, {"kernel": kernel, "bias": bias})
    assert not reasons(given)
    model, values = opened(given["m.msgpack"])
    held = values.of(*weights(model)["params/Dense_0/kernel"])
    assert np.array_equal(streamed(held), kernel)
    assert np.array_equal(held.box((1, 2), (5, 9)), kernel[1:5, 2:9])
    assert held.bytes == kernel.nbytes


def test_other_types_of_numbers():
    """bfloat16 has no name in NumPy."""
    array = drawn(4, 6).astype(ml_dtypes.bfloat16)
    assert not reasons(file(kernel=pieced(array, 5)))
    holds(file(kernel=pieced(array, 5)), {"kernel": array.astype(np.float32)})


def test_what_flax_writes():
    """With its limit lowered, so that small arrays are cut: bit by bit what it writes of the same arrays whole."""
    folder = corpus_dir("field_flax")
    whole, cut = (statistics(files(folder / f"{name}.msgpack")) for name in ("variables", "pieces"))
    assert cut.keys() == whole.keys()
    assert {name: one.digest for name, one in cut.items()} == {name: one.digest for name, one in whole.items()}
    assert None not in {one.digest for one in cut.values()}


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 2, 1), (0, 1, 10)])
def test_pieces_out_of_order_are_not_put_together(order):
    """Their numbers say how they belong together, and only those that come in that order are read."""
    (reason,) = reasons(file(kernel=pieced(drawn(6, 10), 10, 30, order=order)))
    assert "several pieces" in reason


def test_places_that_are_no_pieces():
    """Another type or size, other values between, an end inside: unavailable, whatever the report says."""
    array = drawn(6, 10)
    data = file(kernel=pieced(array, 10))["m.msgpack"]
    (weight,) = measured({"m.msgpack": data}).layers[-1].weights
    assert isinstance(weight.location, Location)
    offset, length = weight.location.offset, weight.location.length
    assert joined(source(data), offset, length, 240, "float32").size == 240
    for start, size, whole, dtype in (
        (offset, length, 244, "float32"), (offset, length, 240, "float16"), (offset, length - 1, 240, "float32"),
        (offset + 1, length - 1, 240, "float32"), (offset, length - 60, 40, "float32"),
    ):  # fmt: skip
        with pytest.raises(ValuesUnavailable):
            joined(source(data), start, size, whole, dtype)
    with pytest.raises(TruncatedFile):
        joined(source(data), offset, len(data), 240, "float32")


def test_bytes_across_pieces():
    """Read in any part, exactly or not at all; pieces without bytes are no hindrance."""
    whole = bytes(range(100))
    found = JoinedSource(source(bytes(5) + whole), [(5, 30), (35, 0), (35, 1), (36, 69)])
    assert found.size == 100
    for start in range(0, 100, 7):
        for length in (0, 1, 29, 40):
            if start + length <= 100:
                assert found.read_at(start, length) == whole[start : start + length]
    with pytest.raises(TruncatedFile):
        found.read_at(99, 2)
    with pytest.raises(TruncatedFile):
        JoinedSource(source(bytes(5)), [(3, 3)])


def test_damaged_pieces_have_numbers_or_reasons():
    """Whatever byte is changed: an error of the input, or a state for every weight."""
    data = file(kernel=pieced(drawn(4, 5), 3, 9))["m.msgpack"]
    draw = random.Random(3)  # noqa: S311 - a corpus, not a secret
    for _ in range(300):
        at = draw.randrange(len(data))
        changed = data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]
        try:
            found = statistics({"m.msgpack": changed})
        except InputError:
            continue
        assert all(one.status in ("complete", "unavailable") for one in found.values())
    assert upload({"m.msgpack": data}).single is not None
