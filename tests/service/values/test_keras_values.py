"""The values of Keras' files against Keras and the HDF5 library: every type that Keras stores, every container."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import h5py
import msgspec
import numpy as np
import pytest

from service.values.base import ValuesUnavailable
from service.values.measure import measure
from tests.corpus import corpus_dir
from tests.service.values.opened import opened, read, streamed, upload, weights

TYPES = ("plain", "int8", "int4", "float8", "bfloat16", "float16")
PLAIN = [
    f"{name}{ending}"
    for name in (
        "trained",
        "recurrent",
        "convolutions",
        "normalizations",
        "attentions",
        "nested_shared_frozen",
        "odd_names",
    )
    for ending in (".keras", ".h5", ".weights.h5")
]


@pytest.mark.parametrize("name", TYPES)
def test_values_are_those_that_keras_reads(name):
    """Of all types: bfloat16 and 8-bit floats as numbers, whole numbers of 4 bits unpacked by Keras' own function."""
    folder = corpus_dir("keras_values")
    model, values = opened(folder / f"{name}.keras")
    with np.load(folder / f"{name}.npz") as held:
        truth = dict(held)
    for layer in model.layers:
        for weight in layer.weights:
            wanted = truth.pop(f"{layer.name}/{weight.name}")
            ours = values.of(layer, weight)
            assert np.array_equal(ours.array(), wanted), (layer.path, weight.name)
            assert np.array_equal(streamed(ours), wanted)
    assert not truth


@pytest.mark.parametrize("name", TYPES)
def test_a_file_of_weights_alone_holds_the_same(name):
    """What `.weights.h5` stores under a path is what `.keras` stores there; packed kernels come as their bytes."""
    folder = corpus_dir("keras_values")
    whole_model, whole = opened(folder / f"{name}.keras")
    model, values = opened(folder / f"{name}.weights.h5")
    known = weights(whole_model)
    assert known.keys() == weights(model).keys()
    for key, (layer, weight) in weights(model).items():
        ours = values.of(layer, weight).array()
        if known[key][1].stored_count is None:
            assert np.array_equal(ours, whole.of(*known[key]).array()), key
        else:
            assert ours.size == known[key][1].stored_count


@pytest.mark.parametrize("name", PLAIN)
def test_files_of_keras_are_what_the_library_reads(name):
    """Every weight of the model, by the path it is stored under."""
    path = corpus_dir("keras_files") / name
    model, values = opened(path)
    data = zipfile.ZipFile(path).read("model.weights.h5") if name.endswith(".keras") else path.read_bytes()
    compared = 0
    with h5py.File(io.BytesIO(data)) as file:
        for key, (layer, weight) in weights(model).items():
            assert np.array_equal(values.of(layer, weight).array(), file[key][()]), key
            compared += 1
    assert compared > 3


def test_a_deflated_archive_is_the_same():
    """`.keras` repacked with compressed members."""
    folder = corpus_dir("keras_values")
    plain, deflated = opened(folder / "plain.keras"), opened(folder / "deflated.keras")
    for (layer, weight), (other_layer, other) in zip(
        weights(plain[0]).values(), weights(deflated[0]).values(), strict=True
    ):
        assert np.array_equal(plain[1].of(layer, weight).array(), deflated[1].of(other_layer, other).array())


def test_shards_and_folders_of_several_files():
    """A sharded `.weights.h5` and an unpacked `.keras` hold the same numbers as the single files."""
    folder = corpus_dir("keras_files")
    shards = {path.name: path.read_bytes() for path in sorted(folder.glob("sharded*"))}
    model, values = opened(shards)
    found = [values.of(layer, weight).array() for layer, weight in weights(model).values()]
    assert len(found) > 1
    assert all(np.isfinite(array).all() and array.any() for array in found[:1])
    with zipfile.ZipFile(corpus_dir("keras_values") / "plain.keras") as archive:
        unpacked = {f"model/{name}": archive.read(name) for name in archive.namelist()}
    whole_model, whole = opened(Path(corpus_dir("keras_values") / "plain.keras"))
    model, values = opened(unpacked)
    for key, (layer, weight) in weights(model).items():
        assert np.array_equal(values.of(layer, weight).array(), whole.of(*weights(whole_model)[key]).array())


def test_weights_that_point_outside_the_file_have_a_reason_and_the_others_values():
    """One external dataset among plain ones: measured without it, and it says why."""
    data = corpus_dir("keras_values") / "plain.weights.h5"
    out = io.BytesIO(data.read_bytes())
    with h5py.File(out, "r+") as file:
        del file["layers/dense/vars/1"]
        file["layers/dense/vars"].create_dataset("1", (5,), "f4", external=[("/etc/passwd", 0, 20)])
    given = upload(out.getvalue())
    found = weights(measure(given, read(given), lambda _done, _total: None))
    statistics = {key: weight.statistics for key, (_, weight) in found.items()}
    outside = statistics.pop("layers/dense/vars/1")
    assert outside.status == "unavailable"
    assert outside.reason is not None
    assert all(seen.status == "complete" for seen in statistics.values())


def test_an_architecture_without_values_has_none():
    """A place that a report names and the upload does not have."""
    model, values = opened(corpus_dir("keras_values") / "plain.keras")
    layer, weight = next(iter(weights(model).values()))
    for wrong in (
        msgspec.structs.replace(weight, stored_as="layers/nothing"),
        msgspec.structs.replace(weight, location=None),
        msgspec.structs.replace(weight, shape=(70, 5)),
        msgspec.structs.replace(weight, shape=None),
        msgspec.structs.replace(weight, dtype="string"),
        msgspec.structs.replace(weight, dtype="float64"),
    ):
        with pytest.raises(ValuesUnavailable):
            values.of(layer, wrong)
