"""Legacy HDF5 files that Keras 3, 2 and (by its layout) 1 wrote, whole models and weights alone."""

from __future__ import annotations

import io
import json
from typing import Any

import h5py
import numpy as np
import pytest

from tests.corpus import corpus_dir, expected
from tests.keras_reading import by_name, elements, layers_of, read, read_bytes, weights_of

EXACT = (
    "seed0", "seed1", "seed2", "dense_and_embedding", "convolutions", "recurrent", "attentions", "nested_shared_frozen",
    "several_outputs", "odd_names", "unbuilt_shapes", "channels_first", "preprocessing", "trained", "mobilenet",
)  # fmt: skip
REORDERED = ("normalizations", "quantized_int8", "quantized_float8", "low_rank")
"""Models with layers whose trainable weights do not come first, as they do in legacy files."""


def legacy(name: str) -> tuple[Any, dict[str, Any]]:
    """(our model, Keras' answer) for `name.h5`."""
    return read(corpus_dir("keras_files") / f"{name}.h5")[1], expected("keras_files")[name]


def legacy_file(layers: dict[str, dict[str, Any]], config: dict[str, Any] | None = None) -> bytes:
    """A legacy file with these arrays per layer, with a configuration or without."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file
        if config is not None:
            file.attrs["model_config"] = json.dumps(config)
            group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in layers]
        for name, arrays in layers.items():
            child = group.create_group(name)
            child.attrs["weight_names"] = [key.encode() for key in arrays]
            for key, array in arrays.items():
                child[key] = array
    return buffer.getvalue()


@pytest.mark.parametrize("name", EXACT)
def test_layers_weights_shapes_and_trainability_are_those_of_keras(name: str) -> None:
    """As for `.keras` files: every layer, and each weight by its recorded name; a shared layer counts once."""
    model, wanted = legacy(name)
    assert [layer.path for layer in model.layers] == [layer["path"] for layer in wanted["layers"]]
    for ours, theirs in zip(model.layers, wanted["layers"], strict=True):
        assert [list(shape) for shape in ours.output_shapes or ()] == theirs["outputs"], ours.path
        assert (ours.shared_with is not None) == theirs["repeated"], ours.path
        assert weights_of(ours) == theirs["weights"], ours.path
    assert elements(model) == wanted["count"]
    assert elements(model, "trainable") == wanted["trainable"]
    assert [list(w.shape or ()) for state in model.states for w in state.weights] == wanted["optimizer"]


@pytest.mark.parametrize("name", REORDERED)
def test_weights_stored_in_another_order_are_the_same(name: str) -> None:
    """Legacy files store trainable weights first: the same names, shapes and flags, also of a LoRA pair."""
    model, wanted = legacy(name)
    for ours, theirs in zip(model.layers, wanted["layers"], strict=True):
        assert by_name(weights_of(ours)) == by_name(theirs["weights"]), ours.path


def test_custom_layers_keep_the_names_of_their_variables() -> None:
    """Legacy files record names: a custom layer's weights have them, statistics by name are statistics."""
    model, wanted = legacy("custom")
    gate = layers_of(model)["gate"]
    assert (gate.type, gate.custom) == ("Gate", True)
    theirs = next(layer for layer in wanted["layers"] if layer["name"] == "gate")
    assert sorted(weight.name for weight in gate.weights) == sorted(weight["name"] for weight in theirs["weights"])
    groups = {weight.name: weight.group for weight in gate.weights}
    assert (groups["norm/moving_mean"], groups["seen"], groups["mix"]) == ("statistic", "statistic", "unknown")


def test_keras_2_models_agree_with_keras_2() -> None:
    """Nested and shared layers, wrappers, TensorFlow operations, a frozen layer, the optimizer, as Keras 2 says."""
    model = read(corpus_dir("keras_old_files") / "keras_2.h5")[1]
    wanted = expected("keras_old_files")["keras_2"]
    for ours, theirs in zip(model.layers, wanted["layers"], strict=True):
        assert ours.path == theirs["path"]
        assert ours.type == theirs["type"]
        assert (ours.shared_with is not None) == theirs["repeated"], ours.path
        assert weights_of(ours) == theirs["weights"], ours.path
        if ours.kind != "operation":
            assert [list(shape) for shape in ours.output_shapes or ()] == theirs["outputs"], ours.path
    assert elements(model) == wanted["count"]
    assert elements(model, "trainable") == wanted["trainable"]
    assert [list(w.shape or ()) for state in model.states for w in state.weights] == wanted["optimizer"]
    assert model.info.framework_version is not None
    assert model.info.framework_version.startswith("2.")


def test_weights_alone_say_what_they_do_not_say() -> None:
    """`save_weights` of Keras 2.

    Classes by rule, statistics by name, everything else of unknown trainability; a layer stored twice with the same
    values counts once.
    """
    form, model = read(corpus_dir("keras_old_files") / "keras_2_weights.h5")
    found = layers_of(model)
    assert form == "keras_h5"
    assert model.info.format_version == "weights"
    assert (found["norm"].type, found["norm"].type_source) == ("BatchNormalization", "rule")
    assert [weight.group for weight in found["norm"].weights] == ["unknown", "unknown", "statistic", "statistic"]
    assert found["conv"].type == "Conv2D"
    assert found["gru"].type == "GRU"
    assert found["shared"].shared_with == "inner/shared"
    assert elements(model) == expected("keras_old_files")["keras_2"]["count"]
    assert "configuration" in str(model.notes[0])


def test_keras_1_names_and_arguments() -> None:
    """A list of layers as configuration, `convolution2d_1_W`, `border_mode`: read as what they became."""
    model = read(corpus_dir("keras_old_files") / "keras_1.h5")[1]
    found = layers_of(model)
    conv, norm = found["convolution2d_1"], found["batchnormalization_1"]
    assert (conv.kind, conv.output_shapes) == ("conv2d", ((None, 8, 8, 4),))
    assert [(w.name, w.role, w.trainable) for w in conv.weights] == [("W", "kernel", True), ("b", "bias", True)]
    assert [(w.role, w.group) for w in norm.weights] == [
        ("scale", "frozen"),
        ("offset", "frozen"),
        ("moving_mean", "statistic"),
        ("moving_variance", "statistic"),
    ]
    assert found["dense_1"].output_shapes == ((None, 5),)
    assert found["dropout_1"].inputs == ("dense_1",)
    assert model.info.framework_version == "1.2.2"


def test_keras_1_weights_alone() -> None:
    """Their names tell roles, and automatic layer names classes."""
    found = layers_of(read(corpus_dir("keras_old_files") / "keras_1_weights.h5")[1])
    assert [weight.role for weight in found["dense_1"].weights] == ["kernel", "bias"]
    assert (found["convolution2d_1"].type, found["convolution2d_1"].type_source) == ("Convolution2D", "rule")


def test_same_names_with_other_values_are_other_layers() -> None:
    """Two nested models with layers of the same names are one shared layer only if the values agree."""
    inner = {
        "class_name": "Sequential",
        "config": {
            "layers": [
                {
                    "class_name": "Dense",
                    "config": {"name": "d", "units": 2, "trainable": True, "batch_input_shape": [None, 2]},
                }
            ]
        },
    }
    config = {"class_name": "Sequential", "config": {"name": "top", "layers": [
        {**inner, "config": {**inner["config"], "name": name}} for name in ("first", "second", "third")]}}  # fmt: skip
    ones, twos = np.ones((2, 2), "float32"), np.full((2, 2), 2, "float32")
    data = legacy_file(
        {"first": {"d/kernel:0": ones}, "second": {"d/kernel:0": ones}, "third": {"d/kernel:0": twos}}, config
    )
    found = layers_of(read_bytes(data)[1])
    assert found["second/d"].shared_with == "first/d"
    assert found["third/d"].shared_with is None
    assert found["third/d"].weights[0].shape == (2, 2)


def test_layer_names_in_pieces_are_put_together() -> None:
    """Keras splits lists that do not fit into one attribute."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["layer_names0"], file.attrs["layer_names1"] = [b"dense_1"], [b"dense_2"]
        for name in ("dense_1", "dense_2"):
            child = file.create_group(name)
            child.attrs["weight_names0"] = [f"{name}/kernel:0".encode()]
            child[f"{name}/kernel:0"] = np.zeros((2, 3), "float32")
    assert list(layers_of(read_bytes(buffer.getvalue())[1])) == ["dense_1", "dense_2"]


def test_a_listed_weight_that_is_not_there_is_reported() -> None:
    """The list of names and what is stored disagree: said in a note, and the answer is not complete."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["layer_names"] = [b"dense_1"]
        file.create_group("dense_1").attrs["weight_names"] = [b"dense_1/kernel:0"]
    model = read_bytes(buffer.getvalue())[1]
    assert not model.complete
    assert any("does not hold it" in str(note) for note in model.notes)


def test_dangers_in_both_configurations_are_listed() -> None:
    """Lambda bytecode in the model's configuration or in the training configuration is reported with its place."""
    layer = {
        "class_name": "Lambda",
        "config": {"name": "evil", "function": ["4wEA", None, None], "function_type": "lambda"},
    }
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["model_config"] = json.dumps(
            {"class_name": "Sequential", "config": {"name": "m", "layers": [layer]}}
        )
        file.attrs["training_config"] = json.dumps({"loss": {"class_name": "__lambda__", "config": {"code": "4wEA"}}})
        file.create_group("model_weights").attrs["layer_names"] = np.array([], "S1")
    dangers = read_bytes(buffer.getvalue())[1].security
    assert [(d.code, d.severity, d.path, d.member) for d in dangers] == [
        ("keras_lambda", "critical", "evil", "model_config"),
        ("keras_lambda", "critical", None, "training_config"),
    ]
