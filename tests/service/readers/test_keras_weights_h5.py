"""Weight files of Keras 3 without configuration: what they tell is told, what they do not tell is said to be open."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest

from tests.corpus import corpus_dir, expected
from tests.keras_reading import elements, layers_of, read, read_bytes

WHOLE = [name for name in expected("keras_files") if name not in ("sharded", "low_rank", "quantized_int4")]


@pytest.mark.parametrize("name", WHOLE)
def test_every_stored_element_is_counted_once(name: str) -> None:
    """All weights of the model, none of the optimizer's, and optimizer variables as a state."""
    form, model = read(corpus_dir("keras_files") / f"{name}.weights.h5")
    wanted = expected("keras_files")[name]
    assert form == "keras_weights_h5"
    assert elements(model) == wanted["count"]
    assert [list(w.shape or ()) for state in model.states for w in state.weights] == wanted["optimizer"]
    assert elements(model, "trainable", "frozen") == 0


def test_classes_and_roles_follow_from_group_names() -> None:
    """`layers/conv2d` with the name `conv2d` is a Conv2D by rule.

    Its variables have their roles; statistics are told apart; trainability is unknown.
    """
    model = read(corpus_dir("keras_files") / "seed2.weights.h5")[1]
    conv = next(layer for layer in model.layers if layer.type == "Conv2D")
    norm = next(layer for layer in model.layers if layer.type == "BatchNormalization")
    assert conv.type_source == "rule"
    assert [(w.name, w.role, w.group, w.trainable, w.trainable_source) for w in conv.weights] == [
        ("kernel", "kernel", "unknown", None, "unknown"), ("bias", "bias", "unknown", None, "unknown")]  # fmt: skip
    assert [weight.group for weight in norm.weights] == ["unknown", "unknown", "statistic", "statistic"]
    assert "configuration" in str(model.notes[0])


def test_three_vectors_of_a_batch_normalization_are_ambiguous() -> None:
    """Without scale or without center there are three vectors of one size: no role is given, and a note says why."""
    model = read(corpus_dir("keras_files") / "normalizations.weights.h5")[1]
    found = [layer for layer in model.layers if layer.type == "BatchNormalization" and len(layer.weights) == 3]
    assert len(found) == 2
    for layer in found:
        assert {weight.role for weight in layer.weights} == {"weight"}
        assert {weight.group for weight in layer.weights} == {"unknown"}
        assert "ambiguous" in str(layer.notes[0])


def test_composite_layers_own_what_is_inside() -> None:
    """The halves of a Bidirectional and the projections of an attention are named relative to it."""
    both = layers_of(read(corpus_dir("keras_files") / "recurrent.weights.h5")[1])["both"]
    assert [weight.name for weight in both.weights][-3:] == [
        "forward_lstm_1/lstm_cell/kernel", "forward_lstm_1/lstm_cell/recurrent_kernel", "forward_lstm_1/lstm_cell/bias",
    ]  # fmt: skip
    heads = layers_of(read(corpus_dir("keras_files") / "attentions.weights.h5")[1])["heads"]
    assert {weight.role for weight in heads.weights} >= {"query_kernel", "key_bias", "output_kernel"}


def test_shards_are_one_model() -> None:
    """All shards with their map give every weight; a missing one is named and the answer is not complete."""
    wanted = expected("keras_files")["sharded"]
    paths = [corpus_dir("keras_files") / name for name in wanted["files"]]
    assert len(paths) > 2
    model = read(*paths)[1]
    assert elements(model) == wanted["count"]
    assert model.complete
    part = read(*paths[:-1])[1]
    assert not part.complete
    assert any(paths[-1].name in str(note) for note in part.notes)


def test_the_container_of_keras_2_13_is_read() -> None:
    """Early `.keras` files keep layers under `_layer_checkpoint_dependencies`."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["_layer_checkpoint_dependencies/dense/vars/0"] = np.zeros((3, 2), "float32")
        file["_layer_checkpoint_dependencies/dense/vars/1"] = np.zeros(2, "float32")
    form, model = read_bytes(buffer.getvalue())
    assert form == "keras_weights_h5"
    assert [(layer.path, layer.type) for layer in model.layers] == [("dense", "Dense")]
    assert [weight.role for weight in model.layers[0].weights] == ["kernel", "bias"]


def test_metrics_are_a_state_of_their_own() -> None:
    """Metric variables beside the layers are no weights of the model."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((3, 2), "float32")
        file["metrics/mean/vars/0"] = np.float32(1)
    model = read_bytes(buffer.getvalue())[1]
    assert elements(model) == 6
    assert [(state.name, state.group, len(state.weights)) for state in model.states] == [("metrics", "other", 1)]
