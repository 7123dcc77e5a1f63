"""What is recorded against what the weights tell: in files tampered with, and silence on those that were not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.config import Limits
from service.formats import Upload
from service.readers import torch_zip
from service.source import BytesSource, Meter
from service.tree import Layer, Model
from tests.builders import layer, model, weight
from tests.corpus import corpus_dir
from tests.enriching import explain_layers
from tests.keras_reading import member, read, read_bytes, repacked


def explained(given: Model) -> Model:
    return explain_layers(given)


def tampered(name: str, layer_name: str, **settings: Any) -> Model:
    """A real `.keras` file with settings of one layer changed in its configuration."""
    archive = (corpus_dir("keras_files") / name).read_bytes()
    config = json.loads(member(archive, "config.json"))
    chosen = next(one for one in config["config"]["layers"] if one["config"]["name"] == layer_name)
    chosen["config"].update(settings)
    return explained(read_bytes(repacked(archive, config=json.dumps(config).encode()))[1])


def test_units_that_are_not_those_of_the_kernel() -> None:
    """units=64 on a kernel of another width: a finding, and the explanation is partial."""
    made = tampered("seed0.keras", first_of("seed0.keras", "linear").name, units=7)
    found = [one for one in made.findings if one.rule == "config_mismatch"]
    assert len(found) == 1
    units = next(one for one in made.layers if one.path == found[0].path).weights[0].shape[-1]  # type: ignore[index]
    assert str(found[0].what) == f"The configuration says units=7, but the weights have units={units}."
    assert {one.explanation.status for one in made.layers if one.path == found[0].path and one.explanation} == {
        "partial"
    }


def test_a_gamma_that_the_configuration_denies() -> None:
    """scale=False with four stored vectors: they cannot be assigned, which is a finding."""
    made = tampered("seed0.keras", first_of("seed0.keras", "batch_norm").name, scale=False)
    assert [one.rule for one in made.findings] == ["formula_mismatch"]
    assert "are not those of a BatchNormalization with the recorded configuration" in str(made.findings[0].what)


def first_of(name: str, kind: str) -> Layer:
    """The first layer of a kind in a file of the corpus."""
    return next(one for one in read(corpus_dir("keras_files") / name)[1].layers if one.kind == kind)


@pytest.mark.parametrize(
    ("framework", "one"),
    [
        ("keras", layer("b", "batch_norm", weight("gamma", (4,), "scale"), weight("moving_mean", (4,), "moving_mean"),
                        type="BatchNormalization", config={"scale": False})),
        ("torch", layer("l", "linear", weight("weight", (4, 3), "kernel", layout="out-in"), type="Linear",
                        config={"in_features": 5})),
        ("torch", layer("c", "conv2d", weight("weight", (4, 3, 2, 2), "kernel", layout="OIHW"), type="Conv2d",
                        config={"kernel_size": [2, 3]})),
        ("keras", layer("e", "embedding", weight("embeddings", (9, 3), "embedding"), type="Embedding",
                        config={"input_dim": 10})),
    ],
)  # fmt: skip
def test_contradictions_of_many_kinds(framework: str, one: Layer) -> None:
    """A recorded size or switch that the shapes deny."""
    assert [found.rule for found in explained(model(framework, one)).findings] == ["config_mismatch"]


@pytest.mark.parametrize("value", [None, True, "4", 4.0, [4], {"a": 1}, -(2**63)])
def test_settings_of_another_sort_contradict_nothing_but_numbers(value: object) -> None:
    """A configuration may hold anything; only a whole number can contradict a whole number."""
    one = layer(
        "d", "linear", weight("kernel", (3, 4), "kernel", layout="in-out"), type="Dense", config={"units": value}
    )
    assert bool(explained(model("keras", one)).findings) == (type(value) is int)


def test_no_false_alarm_on_files_of_keras() -> None:
    """No file that Keras itself wrote contradicts itself."""
    paths = [path for ending in ("keras", "h5") for path in corpus_dir("keras_files").glob(f"*.{ending}")]
    whole = [path for path in paths if not path.name.startswith("sharded")]
    assert len(whole) > 40
    for path in whole:
        given = read(path)[1]
        assert explained(given).findings == given.findings, path.name


def test_no_false_alarm_on_files_of_torch() -> None:
    """Nor does any file that PyTorch wrote."""
    paths = [path for ending in ("pt", "pth") for path in corpus_dir("torch_files").glob(f"*.{ending}")]
    seen = 0
    for path in paths:
        meter = Meter(Limits())
        given = Upload({path.name: BytesSource(path.read_bytes(), meter)}, meter)
        if torch_zip.accept(given):
            made = torch_zip.read(given)
            assert explained(made).findings == made.findings, path.name
            seen += 1
    assert seen > 10
