"""Pickles and joblib files of NumPy arrays: what they hold, where it lies, what would run."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import random
import zipfile
import zlib
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile, UnsupportedFeature
from service.readers import plain_pickle
from service.registry import identify, load_readers
from tests.service.parsers.joblib_pickler import dumped
from tests.service.parsers.joblibs import SAMPLE, body, mapping, sample, wrapper
from tests.service.parsers.pickles import call, text
from tests.service.readers.numpy_files import archived, notes, read, upload, values, weights

BIG = np.arange(40_000, dtype="f8").reshape(100, 400)


def test_a_joblib_stream_is_read_with_places() -> None:
    """Every array's shape, type and bytes; the values of plain numbers are where they are said to be."""
    data = sample()
    ours = weights(read(data))
    plain = {key.replace("/", "."): array for key, array in SAMPLE.items()}
    dtypes = {"big": "int32", "record": "record", "words": "string"}
    for name, array in plain.items():
        weight = ours[name]
        assert (weight.shape, weight.bytes) == (array.shape, array.nbytes)
        assert weight.dtype == dtypes.get(name, str(array.dtype))
        if name in dtypes:
            assert weight.location is None
        else:
            assert np.array_equal(values(data, weight), array)
    assert ours["objects.1"].shape == (5,)
    assert ours["objects.2.k"].shape == (2, 2)
    assert list(read(data).security) == []


@pytest.mark.parametrize("inner", [2, 5])
def test_joblib_of_every_age_is_read(inner: int) -> None:
    """Arrays of objects beside others and around them, compressed or not: all found, and no danger in any."""
    words = np.array(["no", "yes"], dtype=object)
    held = {"classes": words, "w": BIG, "parts": np.array([np.ones(2), np.float64(1), words], dtype=object)}
    for data in (dumped(held, 4, inner), zlib.compress(dumped(held, 4, inner))):
        found = read(data)
        assert {name: weight.shape for name, weight in weights(found).items()} == {"w": (100, 400), "parts.0": (2,)}
        assert list(found.security) == []


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_in_a_pickle_are_found(protocol: int) -> None:
    """In every protocol, in dictionaries, lists, tuples and sets of any depth; one object twice is tied."""
    held = {"net": [{"w": BIG, "b": np.zeros(3, "f4")}, (np.ones(2),)], "again": BIG, "lr": 0.1,
            "ordered": OrderedDict(k=np.ones((1, 2), np.int8)), "scalar": np.float32(1)}  # fmt: skip
    data = pickle.dumps(held, protocol)
    ours = weights(read(data))
    assert {name: (weight.shape, weight.dtype) for name, weight in ours.items()} == {
        "net.0.w": ((100, 400), "float64"), "net.0.b": ((3,), "float32"), "net.1.0": ((2,), "float64"),
        "again": ((100, 400), "float64"), "ordered.k": ((1, 2), "int8"),
    }  # fmt: skip
    assert {ours["again"].tied_to, ours["net.0.w"].tied_to} in ({None, "net.0.w"}, {None, "again"})
    if protocol > 2:  # before, bytes are written as text
        assert np.array_equal(values(data, ours["net.0.w"]), BIG)


def test_arrays_of_two_pickles_are_two() -> None:
    """The same place in two byte strings is no tie."""
    held = [pickle.dumps(np.full(3, number), 4) for number in range(4)]
    assert all(weight.tied_to is None for weight in weights(read(pickle.dumps([np.ones(2), *held], 4))).values())


def test_fortran_order_has_strides() -> None:
    """A large array in a plain pickle, its first axis the fastest."""
    array = np.asfortranarray(BIG)
    data = pickle.dumps({"f": array, "x": np.ones(2)}, 4)
    weight = weights(read(data))["f"]
    assert weight.location is not None
    assert weight.location.strides == (1, 100)
    assert np.array_equal(values(data, weight), array)


class Estimator:
    """Stands for a class of any library."""

    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


def test_objects_become_layers() -> None:
    """With their class and plain attributes; arrays are theirs by name."""
    inner = Estimator(coef_=np.ones((2, 3)), C=1.5, penalty="l2", seen_=np.int64(4))
    found = read(pickle.dumps(Estimator(steps=[("a", inner)], verbose=False), 4))
    layers = {layer.path: layer for layer in found.layers}
    assert (layers["."].type, layers["."].type_source) == ("Estimator", "recorded")
    assert layers["."].config == {"verbose": False}
    assert layers["steps.0.1"].config == {"C": 1.5, "penalty": "l2", "seen_": 4}
    assert layers["steps.0.1"].module == Estimator.__module__
    assert [weight.name for weight in layers["steps.0.1"].weights] == ["coef_"]
    assert found.info.type == f"{Estimator.__module__}.Estimator"
    assert {danger.code for danger in found.security} == {"pickle_class"}


def test_objects_that_hold_themselves_end() -> None:
    """Cycles and deep nesting are followed once, and a note says where not."""
    loop: list[Any] = [np.ones(2)]
    loop.append(loop)
    assert set(weights(read(pickle.dumps(loop, 4)))) == {"0"}
    deep: Any = np.ones(3)
    for _ in range(200):
        deep = [deep]
    assert "nested too deeply" in notes(read(pickle.dumps([np.ones(2), deep], 4)))


# Byte strings


def test_a_pickle_in_a_byte_string_is_followed() -> None:
    """Its arrays are found by the way to them; their places are not those of the file."""
    inner = pickle.dumps({"w": np.ones((3, 3))}, 4)
    found = read(pickle.dumps({"outer": inner, "more": pickle.dumps({"big": BIG}, 4)}, 4))
    assert {name: (weight.shape, weight.location) for name, weight in weights(found).items()} == {
        "outer.w": ((3, 3), None), "more.big": ((100, 400), None),
    }  # fmt: skip


def keras_zip() -> bytes:
    built = {"input_shape": [None, 3]}
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d", "units": 4}}
    layers = [{**dense, "build_config": built}]
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": layers}}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("metadata.json", b'{"keras_version": "3.0.0"}')
        archive.writestr("config.json", json.dumps({**config, "build_config": built}))
    return out.getvalue()


def test_a_keras_model_in_a_byte_string_is_described() -> None:
    """Where it is all there is: its layers, and a note on where it lies."""
    found = read(pickle.dumps({"model": io.BytesIO(keras_zip()), "threshold": 0.5}, 4))
    assert "in the format keras_v3" in notes(found)
    assert [(layer.path, layer.type) for layer in found.layers][-1] == ("d", "Dense")
    assert found.info.format == "numpy_pickle"


def test_other_byte_strings_are_listed() -> None:
    """Beside arrays, models and other large strings are told by size and looks."""
    held = {"w": np.ones(2), "model": keras_zip(), "blob": b"\1" * 70_000, "short": b"abc"}
    found = read(pickle.dumps(held, 4))
    states = {state.name: state.config for state in found.states}
    assert states["model"] == {"bytes": len(keras_zip()), "looks_like": "a plain zip archive"}
    assert states["blob"]["bytes"] == 70_000
    assert set(states) == {"model", "blob"}


def test_a_nested_archive_of_arrays_is_listed() -> None:
    """It is not a model that is read there."""
    found = read(pickle.dumps({"w": archived(a=np.ones(3))}, 4))
    assert [state.config["looks_like"] for state in found.states] == ["a plain zip archive"]


# What is taken, and what is not


@pytest.mark.parametrize("data", [
    pickle.dumps({"a": 1}), pickle.dumps([1, 2, 3], 0), b"text", b"{}", b"", b"x\x9cnothing",
    b"\x80\x02" + call("torch._utils", "_rebuild_tensor_v2") + b".",
    b"\x80\x02" + call("os", "system", text("id")) + b".",
])  # fmt: skip
def test_pickles_of_others_are_left_to_them(data: bytes) -> None:
    """Without arrays, or with PyTorch in them."""
    assert not plain_pickle.accept(upload(data))


def test_it_is_asked_before_the_reader_of_all_pickles() -> None:
    """Arrays come here, and what names PyTorch goes there."""
    assert identify(upload(sample()), load_readers()).FORMAT.id == "numpy_pickle"
    both = b"\x80\x02(" + call("numpy.core.multiarray", "_reconstruct") + call("torch", "device") + b"t."
    assert identify(upload(both), load_readers()).FORMAT.id == "torch_pickle"


@pytest.mark.parametrize("level", [1, 5, 9])
def test_a_zlib_stream_is_read(level: int) -> None:
    """The same arrays; their places in it are none in the file."""
    found = read(zlib.compress(sample(), level))
    plain = weights(read(sample()))
    assert {name: (weight.shape, weight.dtype) for name, weight in weights(found).items()} == {
        name: (weight.shape, weight.dtype) for name, weight in plain.items()
    }
    assert all(weight.location is None for weight in weights(found).values())
    assert found.info.tags["compression"] == "zlib"


def test_a_broken_zlib_stream_is_refused() -> None:
    """Cut, damaged, or a bomb."""
    noise = np.random.default_rng(0).random(20_000)
    packed = zlib.compress(mapping({"a": wrapper(noise), "b": body(1)}))
    with pytest.raises(TruncatedFile):
        plain_pickle.read(upload(packed[:-2000]))
    damaged = bytearray(packed)
    damaged[2:40] = b"\xff" * 38
    with pytest.raises(MalformedFile):
        plain_pickle.read(upload(bytes(damaged)))
    with pytest.raises(LimitExceeded):
        plain_pickle.read(upload(zlib.compress(mapping({"a": wrapper(np.zeros(4_000_000))}))))


def test_lz4_is_named() -> None:
    """And refused in words."""
    data = b"\x04\x22\x4d\x18\x40\x40\xc0\x10\0\0\0\xf1\x80\x04cjoblib.numpy_pickle\n"
    assert plain_pickle.accept(upload(data))
    with pytest.raises(UnsupportedFeature, match="LZ4"):
        plain_pickle.read(upload(data))


def test_arrays_in_files_beside_are_missed() -> None:
    """Joblib before 0.10: not complete, and a note says so."""
    made = b"\x80\x02}" + body("w") + b"cjoblib.numpy_pickle\nNDArrayWrapper\n)\x81}" + body("filename") + body("a.npy")
    found = read(made + b"sbs.")
    assert not found.complete
    assert "files beside this one" in notes(found)


# Dangers and damage


def test_what_would_run_is_told() -> None:
    """Beside arrays, and where the pickle breaks off after it."""
    payload = mapping({"w": wrapper(np.ones(3)), "run": call("os", "system", text("id"))})
    for data, complete in ((payload, True), (payload[:-1] + b"\xff", False)):
        found = read(data)
        assert ("pickle_global", "critical") in {(danger.code, danger.severity) for danger in found.security}
        assert found.complete is complete


def test_a_cut_file_is_truncated() -> None:
    """At every 7th byte from where it can be told."""
    data = sample()
    for length in range(120, len(data), 7):
        with pytest.raises(TruncatedFile) as error:
            plain_pickle.read(upload(data[:length]))
        assert error.value.info.offset is not None


def test_damage_gives_input_errors_only() -> None:
    """Flipped at random places: a model or an InputError, never anything else."""
    chance = random.Random(6)  # noqa: S311 - repeatable damage, no secret
    whole = [sample(), pickle.dumps({"a": [np.ones(3)], "o": np.array([{"x": np.ones(2)}], object)}, 4),
             pickle.dumps(Estimator(a=np.zeros(2, [("x", "i4")])), 2), zlib.compress(sample())]  # fmt: skip
    for _ in range(2000):
        data = bytearray(chance.choice(whole))
        for _ in range(chance.choice([1, 1, 2, 8])):
            data[chance.randrange(2, len(data))] ^= 1 << chance.randrange(8)
        with contextlib.suppress(InputError):
            given = upload(bytes(data))
            plain_pickle.accept(given)
            plain_pickle.read(given)
