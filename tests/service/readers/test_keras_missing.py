"""Keras files that lack weights, hold others beside them, or hold what is none: said, and never added up as a fact."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import h5py
import numpy as np
import pytest

from service.enrich.pipeline import enrich
from service.tree import Model
from tests.corpus import corpus_dir
from tests.keras_reading import elements, member, read, read_bytes, read_upload, repacked, upload

DENSE = {"name": "d", "units": 3, "use_bias": True, "trainable": True}
NORM = {"name": "n", "axis": -1, "epsilon": 0.001, "center": True, "scale": True, "trainable": True}
KERNEL, BIAS = np.zeros((4, 3), "float32"), np.zeros(3, "float32")
Edit = Callable[[h5py.File], Any]


def config(*more: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """A chain of an input of four, a Dense of three and a BatchNormalization."""
    layers = [
        {"class_name": "InputLayer", "config": {"name": "i", "batch_shape": [None, 4]}},
        {"class_name": "Dense", "config": {**DENSE, **changed}},
        {"class_name": "BatchNormalization", "config": NORM},
        *more,
    ]
    return {"class_name": "Sequential", "config": {"name": "top", "layers": layers}}


def stored(*edits: Edit) -> bytes:
    """The weights of `config()` as Keras 3 stores them, after `edits`."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, arrays in (("dense", [KERNEL, BIAS]), ("batch_normalization", [np.ones(3, "float32")] * 4)):
            for index, array in enumerate(arrays):
                file[f"layers/{name}/vars/{index}"] = array
        for edit in edits:
            edit(file)
    return buffer.getvalue()


def archive(*edits: Edit, document: dict[str, Any] | None = None) -> Model:
    """The `.keras` model of these weights."""
    empty = (corpus_dir("keras_files") / "seed1.keras").read_bytes()
    data = repacked(empty, config=json.dumps(document or config()).encode(), weights=stored(*edits))
    return read_bytes(data)[1]


def legacy(*edits: Edit, document: dict[str, Any] | None = None) -> Model:
    """The same model as a legacy file."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["model_config"] = json.dumps(document or config())
        held = {
            "d": {"kernel": KERNEL, "bias": BIAS},
            "n": dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), np.ones(3, "float32")),
        }
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"d", b"n"]
        for name, arrays in held.items():
            child = group.create_group(name)
            child.attrs["weight_names"] = [f"{name}/{key}:0".encode() for key in arrays]
            for key, array in arrays.items():
                child[f"{name}/{key}:0"] = array
        for edit in edits:
            edit(file)
    return read_bytes(buffer.getvalue())[1]


def drop(name: str) -> Edit:
    return lambda file: file.__delitem__(name)


def put(name: str, array: Any) -> Edit:
    def edit(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file[name] = array

    return edit


def names(where: str, attribute: str, found: list[bytes]) -> Edit:
    return lambda file: file[where].attrs.__setitem__(attribute, found)


def rules(model: Model) -> list[tuple[str, str | None]]:
    return [(one.rule, one.path) for one in model.findings]


@cache
def files() -> list[str]:
    """Every Keras file of the corpora that the frameworks wrote."""
    folders = ("keras_files", "keras_old_files", "keras_blocks", "keras_cells", "keras_checkpoints")
    found = [path for name in folders for path in corpus_dir(name).rglob("*")]
    return [str(path) for path in found if path.suffix in (".keras", ".h5")]


def test_what_keras_writes_lacks_nothing() -> None:
    """Shared, nested, wrapped, frozen, quantized, merged and unbuilt layers, of Keras 1 to 3, in every layout."""
    read_one = {name: read_upload(upload({name: open(name, "rb").read()}))[1] for name in files()}  # noqa: SIM115, PTH123
    assert len(read_one) > 80
    told = {name: (model.complete, rules(model)) for name, model in read_one.items()}
    assert {name: one for name, one in told.items() if one != (True, [])} == {}


@pytest.mark.parametrize("make", [archive, legacy])
def test_the_whole_model_is_complete(make: Callable[..., Model]) -> None:
    """The file the others are made from."""
    model = make()
    assert (model.complete, model.findings, model.notes, elements(model)) == (True, (), (), 27)


@pytest.mark.parametrize(
    ("model", "path", "held"),
    [
        (lambda: archive(drop("layers/dense")), "d", 0),
        (lambda: archive(drop("layers/dense/vars")), "d", 0),
        (lambda: archive(drop("layers/dense/vars/1")), "d", 1),
        (lambda: archive(drop("layers/batch_normalization/vars/3")), "n", 3),
        (lambda: legacy(names("model_weights/d", "weight_names", [])), "d", 0),
        (lambda: legacy(names("model_weights/d", "weight_names", [b"d/bias:0"])), "d", 1),
        (lambda: legacy(names("model_weights", "layer_names", [b"n"])), "d", 0),
        (lambda: archive(document=config({"class_name": "Dense", "config": {"name": "z", "units": 7}})), "z", 0),
        (lambda: legacy(document=config({"class_name": "Dense", "config": {"name": "z", "units": 7}})), "z", 0),
    ],
)
def test_a_layer_without_its_weights_is_named(model: Callable[[], Model], path: str, held: int) -> None:
    """The model is not complete, its total is partial and says why, and a finding says what the layer must have."""
    found = model()
    assert not found.complete
    assert ("variable_missing", path) in rules(found)
    finding = next(one for one in found.findings if one.rule == "variable_missing")
    assert f"the file holds {held} for it" in str(finding.what)
    totals = enrich(found).totals
    assert totals is not None
    assert totals.status == "partial"
    assert path in str(totals.reason)


def test_without_any_weight_there_is_no_total() -> None:
    """A file from which everything was taken has no number of parameters, rather than zero."""
    found = enrich(archive(drop("layers")))
    assert found.totals is not None
    assert (found.totals.parameters, found.totals.status) == (None, "unavailable")
    assert "d and n" in str(found.totals.reason)


@pytest.mark.parametrize(
    ("class_name", "settings"),
    [
        ("Dense", {"units": 3}),
        ("Activation", {"activation": "relu"}),
        ("BatchNormalization", {}),
        ("LayerNormalization", {"epsilon": 1e-3, "scale": False, "center": False}),
        ("MultiHeadAttention", {"head_num": 3}),
        ("Gate", {"units": 3}),
    ],
)
def test_what_need_not_have_weights_lacks_none(class_name: str, settings: dict[str, Any]) -> None:
    """Layers without weights by class or setting, and classes of the user's, also under a name of Keras' own."""
    module = "mine" if class_name in ("Dense", "Gate") else "keras.layers"
    layer = {"class_name": class_name, "module": module, "config": {"name": "z", **settings}}
    found = archive(document=config(layer))
    assert (found.complete, rules(found)) == (True, [])


def test_layers_never_built_lack_nothing() -> None:
    """A chain whose input nobody ever told has no weights yet."""
    document = config()
    del document["config"]["layers"][0]
    for found in (archive(drop("layers"), document=document), legacy(_lists_nothing, document=document)):
        assert (found.complete, rules(found)) == (True, [])


def _lists_nothing(file: h5py.File) -> None:
    del file["model_weights"]
    file.create_group("model_weights").attrs["layer_names"] = [b"d", b"n"]
    for name in ("d", "n"):
        file["model_weights"].create_group(name).attrs["weight_names"] = []


@pytest.mark.parametrize(
    ("model", "stored_as"),
    [
        (lambda: archive(put("layers/evil/vars/0", np.zeros(5))), "layers/evil/vars/0"),
        (lambda: archive(put("layers/dense/beside", np.zeros(5))), "layers/dense/beside"),
        (lambda: legacy(put("model_weights/evil/w", np.zeros(5))), "model_weights/evil/w"),
        (lambda: legacy(put("model_weights/d/w", np.zeros(5))), "model_weights/d/w"),
    ],
)
def test_arrays_of_no_layer_are_counted_apart(model: Callable[[], Model], stored_as: str) -> None:
    """They are a state of their own, named by a finding, and no part of the model's total."""
    found = enrich(model())
    assert found.complete
    assert [[weight.stored_as for weight in one.weights] for one in found.states if one.name == "unclaimed"] == [
        [stored_as]
    ]
    told = [str(one.what) for one in found.findings if one.rule == "variable_unclaimed"]
    assert told == [f"The file holds 1 array (5 values) that belongs to no layer: {stored_as}. It is counted apart."]
    assert found.totals is not None
    assert (found.totals.parameters, found.totals.statistics, found.totals.other) == (21, 6, 5)


def test_what_a_removed_layer_left_is_of_no_layer() -> None:
    """The configuration of a legacy file lost a layer that its lists of weights still have."""
    document = config()
    del document["config"]["layers"][2]
    found = enrich(legacy(document=document))
    assert found.totals is not None
    assert (found.complete, found.totals.parameters, found.totals.other) == (True, 15, 12)
    assert rules(found)[0] == ("variable_unclaimed", None)


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.array([b"ab"] * 3), "holds string data"),
        (np.zeros(3, dtype=[("a", "f4"), ("b", "i4")]), "holds compound data"),
        (h5py.Empty("f4"), "holds no values at all"),
    ],
)
def test_what_is_no_array_of_numbers_is_no_weight(array: Any, what: str) -> None:
    """It is told by its name, and the layer lacks a weight."""
    for found, name in (
        (archive(put("layers/dense/vars/1", array)), "layers/dense/vars/1"),
        (legacy(put("model_weights/d/d/bias:0", array)), "model_weights/d/d/bias:0"),
    ):
        assert not found.complete
        assert {("variable_missing", "d"), ("data_wrong_type", name)} <= set(rules(found))
        assert any(f"{name} {what}" in str(one.what) for one in found.findings)


@pytest.mark.parametrize(
    ("place", "shape", "path"),
    [
        ("batch_normalization/vars/0", (3, 3, 1, 99), "n"),
        ("batch_normalization/vars/0", (4,), "n"),
        ("dense/vars/0", (9, 3), "d"),
        ("dense/vars/0", (4, 11), "d"),
        ("dense/vars/0", (3, 4), "d"),
    ],
)
def test_shapes_that_no_such_layer_has_are_told_once(place: str, shape: tuple[int, ...], path: str) -> None:
    """Vectors that differ from one another, kernels for other inputs or units than the layer has."""
    found = enrich(archive(put(f"layers/{place}", np.zeros(shape, "float32"))))
    assert [one for one in rules(found) if one[0].endswith("_mismatch")] == [("formula_mismatch", path)]


def test_all_vectors_of_another_size_than_the_input() -> None:
    """A normalisation of nine features where three come in: its vectors agree, and are wrong."""
    edits = [put(f"layers/batch_normalization/vars/{index}", np.zeros(9, "float32")) for index in range(4)]
    assert rules(archive(*edits)) == [("formula_mismatch", "n")]


def test_a_model_inside_another_is_looked_into() -> None:
    """In both layouts the layer is named by its path."""
    for ending in (".keras", ".h5"):
        path = corpus_dir("keras_files") / f"nested_shared_frozen{ending}"
        inner = next(one for one in read(path)[1].layers if "/" in one.path and one.type == "Dense" and one.weights)
        gone = [weight.stored_as or "" for weight in inner.weights]
        data = path.read_bytes()
        buffer = io.BytesIO(member(data, "model.weights.h5") if ending == ".keras" else data)
        with h5py.File(buffer, "r+") as file:
            for name in gone:
                del file[name]
        left = buffer.getvalue()
        found = read_bytes(repacked(data, weights=left) if ending == ".keras" else left)[1]
        assert (found.complete, rules(found)) == (False, [("variable_missing", inner.path)])


def test_many_layers_are_named_in_few_words() -> None:
    """Twelve in the sentence, fifty in findings."""
    document = config(*({"class_name": "Dense", "config": {**DENSE, "name": f"z{index}"}} for index in range(90)))
    found = archive(document=document)
    assert len(found.findings) == 51
    assert str(found.notes[0]).startswith("90 layers lack weights")
    assert "z12" not in str(found.notes[0])
