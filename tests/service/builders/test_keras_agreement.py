"""What the Keras builder says of Keras' own JSON, and of layer lists, is what Keras itself says of those models."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from tests.building import answers, elements, weights
from tests.corpus import corpus_dir, expected

NAMES = (
    "mlp_batchnorm", "functional_mlp", "small_cnn", "nested_shared", "frozen_base", "recurrent", "shared_layer",
    "open_sizes", "transformer", "all_layers", "ResNet50", "EfficientNetV2B0", "MobileNetV3Small", "ConvNeXtTiny",
    "NASNetMobile", "DenseNet121",
)  # fmt: skip


@functools.cache
def models() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Per model of the corpus: Keras' account of it and ours."""
    lines = (corpus_dir("keras_specs") / "specs.jsonl").read_text().splitlines()
    told = expected("keras_specs")["models"]
    return {one["model"]: (one, other) for one, other in zip(told, answers("keras", lines), strict=True)}


@functools.cache
def random_lists() -> list[tuple[dict[str, Any], list[dict[str, Any]] | None, dict[str, Any]]]:
    """Per random layer list: the list, Keras' account (None: refused) and ours."""
    lines = (corpus_dir("keras_specs") / "random.jsonl").read_text().splitlines()
    told = [one["layers"] for one in expected("keras_specs")["random"]]
    return list(zip(map(json.loads, lines), told, answers("keras", lines), strict=True))


def facts(layer: dict[str, Any]) -> list[str]:
    """A layer's weights as [shape, dtype, trainable], in an order of no meaning."""
    return sorted(str([weight["shape"], weight["dtype"], weight["trainable"]]) for weight in weights(layer))


def test_every_model_of_the_corpus_is_checked() -> None:
    """The names tested here are those that the factory writes."""
    assert tuple(models()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_layers_agree(name: str) -> None:
    """Every layer Keras lists is there, in Keras' order, with its weights, trainability and output shapes."""
    theirs, answer = models()[name]
    layers = {layer["path"]: layer for layer in answer["model"]["layers"]}
    listed = [path for path, layer in layers.items() if layer["kind"] != "operation"]
    assert listed == [layer["path"] for layer in theirs["layers"]]
    for layer in theirs["layers"]:
        found = layers[layer["path"]]
        assert found["type"] == layer["type"]
        assert found["output_shapes"] == layer["output"]
        assert facts(found) == sorted(map(str, layer["weights"]))


@pytest.mark.parametrize("name", NAMES)
def test_totals_agree(name: str) -> None:
    """All elements, and those that learn, are as many as Keras counts; nothing is left open."""
    theirs, answer = models()[name]
    model = answer["model"]
    assert (elements(model), elements(model, "trainable")) == (theirs["total"], theirs["trainable"])
    assert model["complete"]
    assert model["security"] == []


def test_random_lists_agree() -> None:
    """Random layer lists give the layers, weights and shapes that Keras gives, or are refused as Keras refuses."""
    for spec, told, answer in random_lists():
        assert ("model" in answer) == (told is not None), (spec, answer)
        for layer, theirs in zip(answer["model"]["layers"] if told else [], told or [], strict=True):
            assert (layer["path"], layer["type"]) == (theirs["path"], theirs["type"]), spec
            assert layer["output_shapes"] == theirs["output"], (spec, layer["path"])
            assert facts(layer) == sorted(map(str, theirs["weights"])), (spec, layer["path"])
