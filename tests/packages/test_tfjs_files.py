"""TensorFlow.js models of public packages: what their manifests list is told, and found in their shards."""

from __future__ import annotations

import pytest

from service.catalog.tf_files import base
from tests.packages.fetch import fetch_all, manifest
from tests.service.readers.tf_uploads import by_path, of_paths, read, rules, stored

FILES = manifest("tfjs")
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.id)


@EACH
def test_every_weight_is_told_and_lies_in_the_shards(file):
    """As many weights and elements as the manifest lists; each with its place in a shard of the right length."""
    model = read(of_paths(fetch_all(file)))
    found = stored(model)
    assert (len(found), sum(one.count for one in found.values())) == (file.weights, file.elements)
    assert (model.info.format, model.info.framework) == (file.format, file.framework)
    assert model.complete
    assert not rules(model)
    assert all(one.location is not None for one in found.values() if one.dtype != "string" and one.bytes)


@EACH
def test_the_json_alone_says_the_same(file):
    """Without the shards: the same weights, not complete."""
    paths = fetch_all(file)
    whole = read(of_paths(paths))
    alone = read(of_paths({name: path for name, path in paths.items() if name == base(file.path)}))
    assert not alone.complete
    assert alone.totals.parameters == whole.totals.parameters


def test_language_detection_is_guesslang():
    """The quantized graph has as many parameters as the SavedModel it was made from (in the package guesslang)."""
    model = read(of_paths(fetch_all(FILES[0])))
    assert model.totals.parameters == 674604
    assert {one.dtype for one in stored(model).values() if one.role in ("kernel", "embedding")} == {"uint8"}


def test_face_detector_layers():
    """A manifest alone tells layers by names and shapes: separable convolutions, each explained."""
    file = next(one for one in FILES if "tiny_face" in one.path)
    layers = by_path(read(of_paths(fetch_all(file))))
    assert [layer.type for layer in layers.values()] == ["Conv2D", *["SeparableConv2D"] * 5, "Conv2D"]
    assert all(layer.explanation.status == "complete" for layer in layers.values())


def test_an_upscaler_is_a_model_of_layers():
    """Classes, edges and switches as its JSON has them; every convolution explained."""
    file = next(one for one in FILES if "upscalerjs" in one.package)
    model = read(of_paths(fetch_all(file)))
    layers = by_path(model)
    assert (model.info.name, model.info.type, model.info.framework_version) == ("generator", "Functional", "2.10.0")
    assert layers["UPN1"].explanation.formula == "5 × 5 × 64 × 64 + 64 = 102464"
    assert (layers["UPN1"].type, layers["UPN1"].trainable) == ("Conv2D", True)
    assert model.totals.trainable == 222075
