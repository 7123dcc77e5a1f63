"""Architecture JSON of older Keras: what Keras 2 wrote, and what Keras 1 wrote, becomes the same model in Keras 3.

`data/tf_keras_2.21.jsonl` was written by `model.to_json()` of tf_keras 2.21.0 (PyPI) on TensorFlow 2.21, with that
version's own `count_params()` of every layer and in all. The Keras 1 documents follow Keras 1.2.2's `get_config`.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from tests.building import answer, answers, elements, weights

DATA = Path(__file__).parent / "data" / "tf_keras_2.21.jsonl"
DROPPED = "locally_connected2d"


@functools.cache
def keras_2() -> list[tuple[dict[str, int], dict[str, Any], dict[str, Any]]]:
    """Per model: Keras 2's counts, our answer to its JSON, our answer without what Keras 2.13 and later added to it."""
    samples = [json.loads(line) for line in DATA.read_text().splitlines()]
    full = answers("keras", [sample["spec"] for sample in samples])
    bare = answers("keras", [without_additions(sample["spec"]) for sample in samples])
    return [(sample["counts"], *found) for sample, *found in zip(samples, full, bare, strict=True)]


def without_additions(value: Any) -> Any:
    """A config as Keras before 2.13 wrote it: without modules and without the shapes that layers were built with."""
    if isinstance(value, dict):
        added = ("module", "registered_name", "build_config")
        return {key: without_additions(item) for key, item in value.items() if key not in added}
    return [without_additions(item) for item in value] if isinstance(value, list) else value


def count(model: dict[str, Any], path: str) -> int:
    """Elements in a layer and in all layers below it."""
    inside = (layer for layer in model["layers"] if layer["path"] == path or layer["path"].startswith(f"{path}/"))
    return sum(weight["count"] for layer in inside for weight in weights(layer))


@pytest.mark.parametrize("index", range(8))
def test_counts_are_those_of_keras_2(index: int) -> None:
    """Every layer has as many elements as Keras 2 counted in it, with and without the additions of Keras 2.13."""
    counts, *found = keras_2()[index]
    for reply in found:
        model = reply["model"]
        layers = {name: size for name, size in counts.items() if name != "TOTAL"}
        if DROPPED in layers:
            assert not model["complete"]
            continue
        assert {name: count(model, name) for name in layers} == layers
        assert elements(model) == counts["TOTAL"]
        assert all(layer["output_shapes"] is not None for layer in model["layers"])


def test_says_what_keras_3_no_longer_has() -> None:
    """A class that Keras 3 dropped is named and left unbuilt, and so is what follows it where no shape is recorded."""
    *_, bare = keras_2()[6]
    layers = {layer["name"]: layer for layer in bare["model"]["layers"]}
    assert "no longer has LocallyConnected2D" in layers[DROPPED]["notes"][0]
    assert DROPPED in bare["model"]["notes"][0]
    assert layers["conv2d_3"]["weights"] == []


KERAS_1_SEQUENTIAL = {
    "class_name": "Sequential",
    "keras_version": "1.2.2",
    "config": [
        {"class_name": "Convolution2D", "config": {
            "name": "c", "batch_input_shape": [None, 1, 28, 28], "nb_filter": 8, "nb_row": 3, "nb_col": 3,
            "border_mode": "valid", "dim_ordering": "th", "subsample": [1, 1], "init": "glorot_uniform",
            "activation": "relu", "W_regularizer": None, "bias": True, "input_dtype": "float32", "trainable": True}},
        {"class_name": "MaxPooling2D", "config": {
            "name": "p", "pool_size": [2, 2], "strides": [2, 2], "border_mode": "valid", "dim_ordering": "th"}},
        {"class_name": "Dropout", "config": {"p": 0.25, "name": "r"}},
        {"class_name": "Flatten", "config": {"name": "f"}},
        {"class_name": "Dense", "config": {
            "name": "d", "output_dim": 10, "init": "glorot_uniform", "activation": "softmax", "bias": True,
            "input_dim": None, "W_constraint": None}},
        {"class_name": "BatchNormalization", "config": {"name": "b", "mode": 0, "axis": -1, "epsilon": 1e-05}},
    ],
}  # fmt: skip


def test_keras_1_sequential() -> None:
    """Keras 1's names for arguments, its bare list of layers and its channel order are understood."""
    model = answer("keras", KERAS_1_SEQUENTIAL)["model"]
    assert [(layer["name"], layer["type"], layer["output_shapes"]) for layer in model["layers"]] == [
        ("c", "Convolution2D", [[None, 8, 26, 26]]),
        ("p", "MaxPooling2D", [[None, 8, 13, 13]]),
        ("r", "Dropout", [[None, 8, 13, 13]]),
        ("f", "Flatten", [[None, 1352]]),
        ("d", "Dense", [[None, 10]]),
        ("b", "BatchNormalization", [[None, 10]]),
    ]
    assert (count(model, "c"), count(model, "d"), count(model, "b")) == (80, 13530, 40)
    assert model["info"]["framework_version"] == "1.2.2"


def test_keras_1_functional() -> None:
    """`Model`, `Merge` and the recurrent layers of Keras 1; a GRU then had no `reset_after`."""

    def entry(kind: str, name: str, config: dict[str, Any], *feeds: str) -> dict[str, Any]:
        nodes = [[[feed, 0, 0] for feed in feeds]] if feeds else []
        return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}

    embedding = {"input_dim": 50, "output_dim": 16, "init": "uniform", "input_length": 20, "dropout": 0.0}
    lstm = {"output_dim": 8, "inner_init": "orthogonal", "inner_activation": "hard_sigmoid", "dropout_W": 0.2,
            "dropout_U": 0.2, "consume_less": "cpu", "input_dim": 16}  # fmt: skip
    layers = [
        entry("InputLayer", "i", {"batch_input_shape": [None, 20], "input_dtype": "int32"}),
        entry("Embedding", "e", embedding, "i"),
        entry("LSTM", "l", lstm, "e"),
        entry("GRU", "g", {"output_dim": 8}, "e"),
        entry("Merge", "m", {"mode": "concat", "concat_axis": -1}, "l", "g"),
        entry("Dense", "d", {"output_dim": 2}, "m"),
    ]
    config = {"name": "n", "layers": layers, "input_layers": [["i", 0, 0]], "output_layers": [["d", 0, 0]]}
    model = answer("keras", {"class_name": "Model", "config": config})["model"]
    assert {name: count(model, name) for name in "elgmd"} == {"e": 800, "l": 800, "g": 600, "m": 0, "d": 34}
    assert next(layer for layer in model["layers"] if layer["name"] == "m")["kind"] == "merge"


def test_layers_of_the_old_gpu_library_keep_both_biases() -> None:
    """CuDNNLSTM and CuDNNGRU become LSTM and GRU with the one long bias that they had: 8 and 6 times the units."""
    layers = [
        {"class_name": "CuDNNLSTM", "config": {
            "name": "l", "units": 4, "batch_input_shape": [None, 5, 3], "return_sequences": True}},
        {"class_name": "CuDNNGRU", "config": {"name": "g", "units": 4}},
    ]  # fmt: skip
    model = answer("keras", {"class_name": "Sequential", "config": {"layers": layers}})["model"]
    shapes = {layer["name"]: [weight["shape"] for weight in weights(layer)] for layer in model["layers"]}
    assert shapes == {"l": [[3, 16], [4, 16], [32]], "g": [[4, 12], [4, 12], [24]]}


def test_an_unbuilt_sequential_is_described_without_weights() -> None:
    """A Sequential without an input shape has layers and no weights, and the report says that it is partial."""
    layers = [{"class_name": "Dense", "config": {"name": "d", "units": 4}}]
    model = answer("keras", {"class_name": "Sequential", "config": {"layers": layers}})["model"]
    assert not model["complete"]
    assert model["layers"][0]["weights"] == []
    assert "the model's input" in model["layers"][0]["notes"][0]
