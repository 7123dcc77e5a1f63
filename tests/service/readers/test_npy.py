"""Single NumPy arrays: one weight with its type, shape and place, or what its objects hold."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from service.errors import InputError, MalformedFile, TruncatedFile, UnsupportedFeature
from service.readers import npy
from tests.service.parsers.pickles import call, text
from tests.service.readers.numpy_files import findings, notes, read, saved, upload, values, weights

TYPES = ["f2", "f4", "f8", "c8", "c16", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]


@pytest.mark.parametrize("code", TYPES)
@pytest.mark.parametrize("order", "CF")
def test_numbers_are_found_at_their_place(code: str, order: str) -> None:
    """In both orders of axes, the values at the place are the array's."""
    array = np.asarray(np.arange(24).reshape(2, 3, 4), code, order=order)
    data = saved(array)
    found = read(data)
    (weight,) = weights(found).values()
    assert (weight.shape, weight.dtype, weight.bytes, weight.count) == ((2, 3, 4), str(array.dtype), array.nbytes, 24)
    assert np.array_equal(values(data, weight), array)
    assert (found.complete, findings(found), found.info.framework) == (True, [], "numpy")


@pytest.mark.parametrize(("array", "dtype"), [
    (np.zeros(3, ">f4"), "float32"), (np.array(["ab", "c"]), "string"), (np.array([b"ab"]), "string"),
    (np.zeros(2, "M8[s]"), "datetime64"), (np.zeros(2, "V7"), "void56"), (np.zeros(2, "f16"), "float128"),
])  # fmt: skip
def test_what_lies_otherwise_has_no_place(array: Any, dtype: str) -> None:
    """Other byte orders and types are named, with their bytes; values are read of little-endian numbers only."""
    (weight,) = weights(read(saved(array))).values()
    assert (weight.dtype, weight.bytes) == (dtype, array.nbytes)
    assert (weight.location is None) == (dtype != "float128")


def test_bfloat16_is_what_ml_dtypes_writes() -> None:
    """NumPy says two bytes without a type; a note says what they are taken for."""
    found = read(saved(np.ones(3, ml_dtypes.bfloat16)))
    (weight,) = weights(found).values()
    assert (weight.dtype, weight.bytes) == ("bfloat16", 6)
    assert "NumPy has no bfloat16" in notes(found)


def test_a_record_is_told_by_its_fields() -> None:
    """Each with its own type and shape."""
    array = np.zeros(3, [("a", "<i4"), ("b", [("c", "<f8", (2, 2)), ("d", "S3")])])
    found = read(saved(array))
    assert {name: (weight.shape, weight.dtype, weight.bytes) for name, weight in weights(found).items()} == {
        "array.a": ((3,), "int32", 12), "array.b.c": ((3, 2, 2), "float64", 96), "array.b.d": ((3,), "string", 9),
    }  # fmt: skip
    padded = np.zeros(3, np.dtype([("a", "i1"), ("b", "f8")], align=True))
    assert findings(read(saved(padded))) == []


def test_objects_are_looked_through() -> None:
    """Arrays in dictionaries and lists in an array of objects, by the way to them."""
    inner = {"net": [np.ones((2, 3), np.float32), np.ones(3)], "name": "x"}
    found = read(saved(np.array(inner, dtype=object)))
    assert {name: (weight.shape, weight.dtype) for name, weight in weights(found).items()} == {
        "net.0": ((2, 3), "float32"), "net.1": ((3,), "float64"),
    }  # fmt: skip
    listed = read(saved(np.array([np.ones(2), None, "x"], dtype=object)))
    assert {name: weight.shape for name, weight in weights(listed).items()} == {"0": (2,)}


def objects(payload: bytes) -> bytes:
    """An array of objects whose pickle is not what NumPy would write."""
    data = saved(np.array([None], dtype=object))
    return data[: data.index(b"\x80")] + payload


def test_objects_that_run_code_are_dangers() -> None:
    """Also where the pickle breaks off after them."""
    payload = b"\x80\x04" + call("os", "system", text("id"))
    for rest, complete in ((b".", True), (b"\xff", False)):
        found = read(objects(payload + rest))
        assert ("pickle_global", "critical") in {(danger.code, danger.severity) for danger in found.security}
        assert found.complete is complete
    with pytest.raises(MalformedFile) as error:
        read(objects(b"\x80\x04\xff"))
    assert error.value.info.offset is not None


def test_wrong_sizes_are_found() -> None:
    """Too few bytes: not complete; too many: a finding."""
    data = saved(np.ones(100))
    cut, long = read(data[:-8]), read(data + b"x")
    assert not cut.complete
    assert "Of array only 792 of 800 bytes are there." in notes(cut)
    assert findings(cut) == [
        ("data_wrong_size", "array has 792 bytes; its shape and element type need 800."),
    ]
    assert findings(long) == [("data_wrong_size", "array has 801 bytes; its shape and element type need 800.")]
    assert not read(data[: data.index(b"\n") + 1]).complete
    with pytest.raises(TruncatedFile):
        npy.read(upload(data[:50]))


@pytest.mark.parametrize(("descr", "shape", "kind"), [
    ("'<q8'", "(1,)", UnsupportedFeature), ("['x']", "(1,)", UnsupportedFeature), ("{}", "(1,)", UnsupportedFeature),
    ("'<f8'", "(4611686018427387904, 2)", MalformedFile), ("'|V9999999999'", "(9999999999, 9)", MalformedFile),
    ("[('a', '<f8', (4611686018427387904,))]", "(9,)", MalformedFile), ("'<f8'", "(1", MalformedFile),
])  # fmt: skip
def test_headers_that_cannot_be_are_refused(descr: str, shape: str, kind: type[InputError]) -> None:
    """Unknown types, broken literals, sizes beyond counting."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}".encode()
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    with pytest.raises(kind) as error:
        npy.read(upload(data))
    assert type(error.value) is kind


def test_damage_gives_input_errors_only() -> None:
    """Cut and flipped at random places: a model or an InputError, never anything else."""
    chance = random.Random(3)  # noqa: S311 - repeatable damage, no secret
    whole = [saved(np.ones((2, 3))), saved(np.array({"a": [np.ones(3)]}, dtype=object)),
             saved(np.zeros(2, [("a", "i4"), ("b", "f8")]))]  # fmt: skip
    for number in range(1200):
        data = bytearray(chance.choice(whole))
        if number % 4 == 0:
            data = data[: chance.randrange(7, len(data))]
        for _ in range(chance.choice([0, 1, 2, 8])):
            data[chance.randrange(6, len(data))] ^= 1 << chance.randrange(8)
        with contextlib.suppress(InputError):
            npy.read(upload(bytes(data)))
