"""TensorFlow.js: layers models, graph models and manifests alone, with and without shards, quantized, damaged."""

from __future__ import annotations

import json
import random

import pytest

from service.errors import InputError, MalformedFile
from service.readers import keras_json, tfjs
from tests.mutation import mutants
from tests.service.readers.tf_uploads import by_path, of_bytes, read, rules, stored, survives

DENSE = {
    "class_name": "Sequential",
    "config": {
        "name": "small",
        "layers": [
            {"class_name": "Dense", "config": {"name": "first", "units": 4, "batch_input_shape": [None, 3]}},
            {"class_name": "BatchNormalization", "config": {"name": "bn", "trainable": False}},
            {"class_name": "LSTM", "config": {"name": "cells", "units": 2}},
            {"class_name": "Dense", "config": {"name": "last", "units": 2, "use_bias": False}},
        ],
    },
}
SHAPES = {
    "first/kernel": [3, 4], "first/bias": [4], "bn/gamma": [4], "bn/beta": [4], "bn/moving_mean": [4],
    "bn/moving_variance": [4], "cells/lstm_cell/kernel": [4, 8], "cells/lstm_cell/recurrent_kernel": [2, 8],
    "cells/lstm_cell/bias": [8], "last/kernel": [2, 2],
}  # fmt: skip
BYTES = 4 * sum(one[0] * (one[1] if len(one) > 1 else 1) for one in SHAPES.values())


def manifest(**more: object) -> list[dict[str, object]]:
    """The weights of `DENSE` in two files."""
    weights = [{"name": name, "shape": shape, "dtype": "float32"} for name, shape in SHAPES.items()]
    return [{"paths": ["group1-shard1of2.bin", "group1-shard2of2.bin"], "weights": weights, **more}]


def layers_model() -> dict[str, object]:
    """A model of layers, as the converter writes it."""
    return {
        "format": "layers-model", "generatedBy": "keras v2.3.0", "convertedBy": "TensorFlow.js Converter v1.2.9",
        "modelTopology": {"keras_version": "2.3.0", "backend": "tensorflow", "model_config": DENSE},
        "weightsManifest": manifest(), "userDefinedMetadata": {"labels": ["a", "b"]},
        "trainingConfig": {"optimizer_config": {"class_name": "Adam", "config": {"lr": 0.1}}, "loss": "mse"},
    }  # fmt: skip


def encoded(document: object) -> bytes:
    """A document as a file."""
    return json.dumps(document).encode()


def shards(first: int = 100) -> dict[str, bytes]:
    """Both files, cut at `first`."""
    return {"group1-shard1of2.bin": bytes(first), "group1-shard2of2.bin": bytes(BYTES - first)}


def test_layers_model_with_shards():
    """Layers with configuration and edges, weights with places, all explained; optimizer and metadata told."""
    upload = of_bytes({"web/model.json": encoded(layers_model()), **{f"web/{k}": v for k, v in shards().items()}})
    assert tfjs.find(upload) == [frozenset(upload.parts)]
    model = read(upload)
    layers = by_path(model)
    assert model.info.framework == "keras"
    assert model.info.framework_version == "2.3.0"
    assert {path: layer.type for path, layer in layers.items()} == {
        "first": "Dense", "bn": "BatchNormalization", "cells": "LSTM", "last": "Dense",
    }  # fmt: skip
    assert all(layer.explanation.status == "complete" for layer in layers.values())
    assert [one.name for one in layers["cells"].weights] == ["kernel", "recurrent_kernel", "bias"]
    assert [one.group for one in layers["bn"].weights] == ["frozen", "frozen", "statistic", "statistic"]
    assert layers["last"].inputs == ("cells",)
    assert model.complete
    assert not rules(model)
    places = stored(model)
    assert (places["first/kernel"].location.member, places["first/kernel"].location.offset) == (
        "web/group1-shard1of2.bin",
        0,
    )
    assert places["bn/moving_mean"].location is None  # it lies in both files
    assert (places["bn/moving_variance"].location.member, places["bn/moving_variance"].location.offset) == (
        "web/group1-shard2of2.bin", 12,
    )  # fmt: skip
    (state,) = model.states
    assert (state.type, state.config) == ("Adam", {"lr": 0.1})
    assert model.info.tags["userDefinedMetadata"] == {"labels": ["a", "b"]}


def test_the_json_alone_is_enough():
    """The same counts; only the values are missing, which the note says."""
    upload = of_bytes({"model.json": encoded(layers_model())})
    model = read(upload)
    assert model.totals.parameters == BYTES // 4 - 8
    assert not model.complete
    assert "weights files were not uploaded" in str(model.notes[0])
    assert not keras_json.accept(upload)


def test_topology_as_the_browser_saves_it():
    """Without `model_config` around it."""
    document = {**layers_model(), "modelTopology": DENSE}
    assert set(by_path(read(of_bytes({"model.json": encoded(document)})))) == {"first", "bn", "cells", "last"}


def test_quantized_weights():
    """Told as stored, with the logical count; integers that stand for integers never learn."""
    weights = [
        {"name": "a/kernel", "shape": [3, 2], "dtype": "float32",
         "quantization": {"dtype": "uint8", "scale": 0.1, "min": -1, "original_dtype": "float32"}},
        {"name": "a/bias", "shape": [2], "dtype": "float32", "quantization": {"dtype": "float16"}},
        {"name": "b/size", "shape": [2], "dtype": "int32", "quantization": {"dtype": "uint16", "scale": 1, "min": 0}},
    ]  # fmt: skip
    data = encoded([{"weights": weights, "paths": ["x.bin"]}])
    model = read(of_bytes({"weights_manifest.json": data, "x.bin": bytes(6 + 4 + 4)}))
    found = stored(model)
    assert [(one.dtype, one.count, one.bytes) for one in found.values()] == [
        ("uint8", 6, 6), ("float16", 2, 4), ("uint16", 2, 4),
    ]  # fmt: skip
    assert [one.group for one in found.values()] == ["unknown", "unknown", "statistic"]
    assert by_path(model)["a"].type == "Dense"
    assert model.complete
    assert "float16, uint16 and uint8" in str(model.notes[0])


GRAPH = {
    "format": "graph-model",
    "modelTopology": {
        "node": [
            {"name": "x", "op": "Placeholder", "attr": {"shape": {"shape": {"dim": [{"size": "-1"}, {"size": "8"}]}}}},
            {"name": "w", "op": "Const", "attr": {"dtype": {"type": "DT_FLOAT"}}},
            {"name": "b", "op": "Const", "attr": {}},
            {"name": "axis", "op": "Const", "attr": {}},
            {
                "name": "y", "op": "_FusedMatMul", "input": ["x", "w", "b"],
                "attr": {"fused_ops": {"list": {"s": ["Qmlhc0FkZA=="]}}, "transpose_b": {"b": False}},
            },
            {"name": "z", "op": "Sum", "input": ["y", "axis"]},
        ],
        "library": {}, "versions": {"producer": 1},
    },
    "weightsManifest": [
        {"paths": ["s.bin"], "weights": [{"name": "w", "shape": [8, 4], "dtype": "float32"},
         {"name": "b", "shape": [4], "dtype": "float32"}, {"name": "axis", "shape": [], "dtype": "int32"}]}
    ],
}  # fmt: skip


def test_graph_model():
    """Operations with the manifest's weights; the fused bias, the axis apart; words from base 64."""
    model = read(of_bytes({"model.json": encoded(GRAPH), "s.bin": bytes(4 * 37)}))
    layers = by_path(model)
    assert [one.role for one in layers["y"].weights] == ["kernel", "bias"]
    assert layers["y"].explanation.formula == "8 × 4 + 4 = 36"
    assert layers["y"].config["fused_ops"] == ["BiasAdd"]
    assert layers["x"].output_shapes == ((None, 8),)
    assert layers["z"].inputs == ("y",)
    assert [one.stored_as for state in model.states for one in state.weights] == ["axis"]
    assert model.info.framework == "tensorflow"


def test_missing_and_short_shards_are_named():
    """One of two files; files that are too short or too long."""
    data = encoded(layers_model())
    one = read(of_bytes({"model.json": data, "group1-shard1of2.bin": bytes(100)}))
    (finding,) = [found for found in one.findings if found.rule == "shard_missing"]
    assert finding.path == "group1-shard2of2.bin"
    assert not one.complete
    short = read(of_bytes({"model.json": data, "group1-shard1of2.bin": bytes(100), "group1-shard2of2.bin": bytes(7)}))
    assert rules(short) == {"data_truncated"}
    long = read(of_bytes({"model.json": data, "group1-shard1of2.bin": bytes(100), "group1-shard2of2.bin": bytes(900)}))
    assert rules(long) == {"data_hole"}


@pytest.mark.parametrize("path", ["../secret.bin", "/etc/passwd", "https://example.org/x.bin", "C:\\x.bin"])
def test_paths_outside_are_dangers(path):
    """A loader would fetch them; we never do."""
    document = {**layers_model(), "weightsManifest": [{**manifest()[0], "paths": [path]}]}
    (danger,) = read(of_bytes({"model.json": encoded(document)})).security
    assert (danger.code, danger.detail) == ("tfjs_path", path)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"shape": [-1]}, "/weightsManifest/0/weights/0/shape"),
        ({"shape": None}, "/weightsManifest/0/weights/0/shape"),
        ({"dtype": "float33"}, "/weightsManifest/0/weights/0/dtype"),
        ({"name": 3}, "/weightsManifest/0/weights/0"),
        ({"quantization": {"dtype": "int3"}}, "/weightsManifest/0/weights/0/quantization/dtype"),
    ],
)
def test_what_cannot_be_is_pointed_at(change, pointer):
    """The JSON pointer of the field."""
    document = layers_model()
    document["weightsManifest"][0]["weights"][0].update(change)
    with pytest.raises(MalformedFile) as caught:
        tfjs.read(of_bytes({"model.json": encoded(document)}))
    assert caught.value.info.pointer == pointer


def test_broken_json_is_still_known():
    """The error is that of the JSON, with its offset."""
    upload = of_bytes({"model.json": encoded(layers_model())[:-50]})
    assert tfjs.accept(upload)
    with pytest.raises(InputError) as caught:
        tfjs.read(upload)
    assert caught.value.info.code == "malformed_json"
    assert caught.value.info.offset is not None


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"weight_map": {}}', b'[{"weights": 1}]', encoded(DENSE), b'{"model_type": "bert"}']
)
def test_other_json_is_not_claimed(data):
    """A bare Keras configuration, an index of shards, a configuration of Hugging Face."""
    assert not tfjs.accept(of_bytes({"x.json": data}))


def test_no_mutation_gets_through_as_another_error():
    """Values of three documents replaced, removed and repeated; bytes cut: an answer or an InputError."""
    documents = [layers_model(), GRAPH, manifest()]
    for mutant in mutants(documents, 1500):
        survives(lambda mutant=mutant: of_bytes({"model.json": encoded(mutant), **shards()}))
    draw = random.Random(5)  # noqa: S311 - a corpus, not a secret
    for document in documents:
        data = encoded(document)
        for _ in range(100):
            survives(lambda data=data: of_bytes({"model.json": data[: draw.randrange(len(data))]}))
