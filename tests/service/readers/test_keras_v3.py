"""`.keras` files that Keras 3 and Keras 2 wrote, read without either, against what the frameworks say of them."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from typing import Any

import h5py
import pytest

from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from tests.corpus import corpus_dir, expected
from tests.keras_reading import (
    by_name,
    elements,
    layers_of,
    member,
    read,
    read_bytes,
    read_upload,
    repacked,
    upload,
    weights_of,
)

EXACT = (
    "seed0", "seed1", "seed2", "dense_and_embedding", "convolutions", "normalizations", "recurrent", "attentions",
    "nested_shared_frozen", "several_outputs", "odd_names", "unbuilt_shapes", "channels_first", "preprocessing",
    "mixed_precision", "trained", "mobilenet",
)  # fmt: skip
RENAMED = {"GroupedQueryAttention": "GroupQueryAttention"}
"""Classes that Keras writes under another name than their own."""


def keras(name: str) -> tuple[Any, dict[str, Any]]:
    """(our model, Keras' answer) for `name.keras`."""
    return read(corpus_dir("keras_files") / f"{name}.keras")[1], expected("keras_files")[name]


@pytest.mark.parametrize("name", EXACT)
def test_layers_weights_shapes_and_trainability_are_those_of_keras(name: str) -> None:
    """Every layer of summary(expand_nested=True), in order.

    Class, switch, output shapes, and each weight of layer.weights with its name, shape, type and trainability.
    """
    model, wanted = keras(name)
    assert [layer.path for layer in model.layers] == [layer["path"] for layer in wanted["layers"]]
    for ours, theirs in zip(model.layers, wanted["layers"], strict=True):
        assert ours.type == RENAMED.get(theirs["type"], theirs["type"]), ours.path
        assert ours.trainable in (theirs["trainable"], None), ours.path
        assert [list(shape) for shape in ours.output_shapes or ()] == theirs["outputs"], ours.path
        assert (ours.shared_with is not None) == theirs["repeated"], ours.path
        assert weights_of(ours) == theirs["weights"], ours.path
        assert ours.notes == ()


@pytest.mark.parametrize("name", EXACT)
def test_totals_are_those_of_keras(name: str) -> None:
    """count_params(), the trainable share, and the optimizer's variables kept apart."""
    model, wanted = keras(name)
    assert elements(model) == wanted["count"]
    assert elements(model, "trainable") == wanted["trainable"]
    optimizer = [
        list(weight.shape or ()) for state in model.states for weight in state.weights if state.group == "optimizer"
    ]
    assert optimizer == wanted["optimizer"]
    assert model.complete
    assert model.security == ()


@pytest.mark.parametrize("name", ["quantized_int8", "quantized_float8"])
def test_quantized_layers_keep_their_scales_apart(name: str) -> None:
    """Names, shapes, types and trainability agree; Keras holds the variables in another order than it stores them."""
    model, wanted = keras(name)
    for ours, theirs in zip(model.layers, wanted["layers"], strict=True):
        assert by_name(weights_of(ours)) == by_name(theirs["weights"]), ours.path


def test_four_bit_weights_are_counted_unpacked() -> None:
    """An int4 kernel of 8 x 7 is stored as 8 x 4 bytes: shape and count are logical, stored_count is not."""
    model, _ = keras("quantized_int4")
    kernel = layers_of(model)["matrix"].weights[0]
    assert (kernel.name, kernel.shape, kernel.dtype, kernel.count) == ("kernel", (8, 7), "int4", 56)
    assert (kernel.stored_count, kernel.bytes, kernel.group, kernel.trainable_source) == (32, 32, "frozen", "rule")
    assert [weight.role for weight in layers_of(model)["matrix"].weights] == [
        "kernel", "bias", "quant_scale", "zero_point", "constant"]  # fmt: skip
    assert layers_of(model)["einsum"].weights[0].count == 6 * 15
    assert layers_of(model)["table"].weights[0].shape == (10, 6)


def test_a_merged_low_rank_pair_is_said_to_be_gone() -> None:
    """Keras merges LoRA into the kernel on saving: the kernel is frozen, the pair is not there, and a note says so."""
    model, _ = keras("low_rank")
    layer = layers_of(model)["matrix"]
    assert [(weight.name, weight.trainable) for weight in layer.weights] == [("kernel", False), ("bias", True)]
    assert "LoRA" in str(layer.notes[0])


def test_custom_layers_are_named_and_their_weights_listed() -> None:
    """A class of the user's own is marked.

    Its numbered variables and those of its inner layers are all there; whether they learn is left open, and a frozen
    one is frozen with everything in it.
    """
    model, wanted = keras("custom")
    gate, frozen = layers_of(model)["gate"], layers_of(model)["frozen_gate"]
    assert (gate.type, gate.custom, gate.kind, gate.trainable) == ("Gate", True, "custom", True)
    theirs = next(layer for layer in wanted["layers"] if layer["name"] == "gate")
    assert sorted(weight.shape or () for weight in gate.weights) == sorted(tuple(w["shape"]) for w in theirs["weights"])
    assert {weight.group for weight in gate.weights} == {"unknown", "statistic"}
    assert gate.weights[0].trainable is None
    assert {weight.trainable for weight in frozen.weights} == {False}
    assert "without names" in str(gate.notes[0])
    assert [danger.code for danger in model.security] == ["keras_custom_object"] * 2
    assert elements(model) == wanted["count"]


def test_a_subclassed_model_is_read_from_its_object_tree() -> None:
    """Without a layer list the file's groups are the layers.

    Classes only where names tell, all weights, own variables at `.`, and a note on the order.
    """
    model, wanted = keras("subclassed")
    found = layers_of(model)
    assert list(found) == ["b0", "b1", "encoder", "wide", "wide/dense", "wide/dense_1", "."]
    assert (found["encoder"].type, found["encoder"].kind, found["encoder"].type_source) == (None, "unknown", "unknown")
    assert (found["b0"].type, found["b0"].type_source) == ("Dense", "rule")
    assert found["wide/dense"].parent == "wide"
    assert [weight.shape for weight in found["."].weights] == [(4,)]
    assert elements(model) == wanted["count"]
    assert "sorted by name" in str(model.notes[0])


def test_edges_sharing_and_frozen_models() -> None:
    """Layers name what feeds them, also into nested models.

    A layer called twice says so; one that is in several models points to the first; in a frozen model all is frozen.
    """
    found = layers_of(keras("nested_shared_frozen")[0])
    assert found["outer_input"].inputs == ()
    assert found["shared"].inputs == ("outer_input", "shared")
    assert found["shared"].uses == 2
    assert found["left/shared"].shared_with == "shared"
    assert found["left/shared"].inputs == ("shared",)
    assert found["left/stiff"].inputs == ("left/shared",)
    assert found["right/inner_input"].inputs == ("shared",)
    assert found["right/deepest/deep"].inputs == ("right/shared",)
    assert found["concatenate"].kind == "operation"
    assert found["concatenate"].inputs == ("left", "right")
    assert {weight.group for weight in found["right/deepest/deep"].weights} == {"frozen"}
    assert [weight.group for weight in found["right/deepest/deep_norm"].weights][2:] == ["statistic", "statistic"]
    assert {weight.trainable for weight in found["left/stiff"].weights} == {False}


def test_roles_layouts_and_places() -> None:
    """Each weight has its role, its axis order, its key in the file and where its bytes lie."""
    archive = (corpus_dir("keras_files") / "convolutions.keras").read_bytes()
    model = read_bytes(archive)[1]
    found = {layer.type: layer for layer in model.layers}
    assert [(w.role, w.layout) for w in found["SeparableConv2D"].weights] == [
        ("depthwise_kernel", "HWIM"), ("pointwise_kernel", "HWIO"), ("bias", None)]  # fmt: skip
    assert [(w.role, w.layout) for w in found["Conv2DTranspose"].weights] == [("kernel", "HWOI"), ("bias", None)]
    assert found["DepthwiseConv2D"].weights[0].role == "depthwise_kernel"
    kernel = found["Conv3D"].weights[0]
    assert kernel.stored_as == "layers/conv3d/vars/0"
    assert kernel.layout == "DHWIO"
    place = kernel.location
    assert place is not None
    assert place.member == "model.weights.h5"
    assert place.length == kernel.bytes == 2 * 2 * 2 * 2 * 3 * 4
    heads = layers_of(keras("attentions")[0])["heads"]
    assert [weight.role for weight in heads.weights] == [
        f"{part}_{kind}" for part in ("query", "key", "value", "output") for kind in ("kernel", "bias")]  # fmt: skip


def test_the_file_tells_its_version_and_optimizer() -> None:
    """Version and date from the metadata, the optimizer's class and settings from the compile configuration."""
    model, _ = keras("trained")
    assert model.info.framework_version is not None
    assert model.info.framework_version.startswith("3.")
    assert "date_saved" in model.info.tags
    assert model.info.members == ("metadata.json", "config.json", "model.weights.h5")
    optimizer = model.states[0]
    assert (optimizer.name, optimizer.type, optimizer.config["beta_1"]) == ("optimizer", "Adam", 0.9)
    assert [weight.role for weight in optimizer.weights[:2]] == ["iteration", "learning_rate"]


def test_keras_2_archives_are_read() -> None:
    """A `.keras` of Keras 2 (no names beside the variables, TensorFlow operations as layers) agrees with Keras 2."""
    model = read(corpus_dir("keras_old_files") / "keras_2.keras")[1]
    wanted = expected("keras_old_files")["keras_2"]
    assert [layer.path for layer in model.layers] == [layer["path"] for layer in wanted["layers"]]
    for ours, theirs in zip(model.layers, wanted["layers"], strict=True):
        names = [{**weight, "name": weight["name"].removeprefix("dense/")} for weight in weights_of(ours)]
        assert names == theirs["weights"], ours.path
        if ours.kind != "operation":
            assert [list(shape) for shape in ours.output_shapes or ()] == theirs["outputs"], ours.path
    assert elements(model, "trainable") == wanted["trainable"]


def test_an_unpacked_folder_is_the_same_model() -> None:
    """The members sent as several files, below any folder, give the same layers as the archive."""
    archive = (corpus_dir("keras_files") / "seed1.keras").read_bytes()
    parts = {
        f"some/model/{name}": member(archive, name) for name in ("config.json", "metadata.json", "model.weights.h5")
    }
    assert read_upload(upload(parts))[1].layers == read_bytes(archive)[1].layers


def test_compressed_weights_are_read() -> None:
    """Weights that a zip tool deflated give the same layers."""
    archive = (corpus_dir("keras_files") / "trained.keras").read_bytes()
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            new.writestr(name, member(archive, name))
    assert read_bytes(packed.getvalue())[1].layers == read_bytes(archive)[1].layers


def test_missing_weights_leave_the_architecture() -> None:
    """An archive without weights lists its layers with their shapes and says that it is not complete."""
    archive = (corpus_dir("keras_files") / "seed1.keras").read_bytes()
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as new:
        new.writestr("metadata.json", member(archive, "metadata.json"))
        new.writestr("config.json", member(archive, "config.json"))
    model = read_bytes(packed.getvalue())[1]
    assert not model.complete
    assert "not in what was uploaded" in str(model.notes[0])
    assert [layer.output_shapes for layer in model.layers][-1] == ((None, 80),)


def test_weights_that_do_not_fit_their_class_stay_unnamed() -> None:
    """A BatchNormalization configured without scale and center but stored with four variables is not guessed at."""
    archive = (corpus_dir("keras_files") / "seed1.keras").read_bytes()
    document = json.loads(member(archive, "config.json"))
    norm = next(layer for layer in document["config"]["layers"] if layer["class_name"] == "BatchNormalization")
    norm["config"].update(scale=False, center=False)
    model = read_bytes(repacked(archive, config=json.dumps(document).encode()))[1]
    layer = next(layer for layer in model.layers if layer.type == "BatchNormalization")
    assert [weight.role for weight in layer.weights] == ["weight"] * 4
    assert {weight.group for weight in layer.weights} == {"unknown"}
    assert "do not fit" in str(layer.notes[0])


def test_errors_name_the_member() -> None:
    """A configuration without class, and one too large, are refused with the member's name."""
    archive = (corpus_dir("keras_files") / "seed1.keras").read_bytes()
    with pytest.raises(MalformedFile) as caught:
        read_bytes(repacked(archive, config=b'{"config": {}}'))
    assert caught.value.info.member == "config.json"
    with pytest.raises(LimitExceeded) as limited:
        read_bytes(archive, Limits(layers=2))
    assert limited.value.info.extra


def test_cells_of_one_name_are_told_apart() -> None:
    """Keras lets two cells of a stack have one name; all weights of the second get its number."""
    archive = (corpus_dir("keras_files") / "recurrent.keras").read_bytes()
    stored = BytesIO(member(archive, "model.weights.h5"))
    with h5py.File(stored, "r+") as file:
        for cell in file["layers/rnn_1/cell/cells"].values():
            cell["vars"].attrs["name"] = "c"
    model = read_bytes(repacked(archive, weights=stored.getvalue()))[1]
    stack = next(layer for layer in model.layers if any("/c/" in weight.name for weight in layer.weights))
    assert [weight.name.split("/")[-2] for weight in stack.weights] == [*["c"] * 3, *["c_1"] * 3, *["c_2"] * 3]
