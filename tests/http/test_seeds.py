"""The seed models, in every form that Keras and PyTorch write, over HTTP: the golden numbers come out of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.corpus import ROOT, corpus_dir

GOLDEN: dict[str, Any] = json.loads((ROOT / "tests" / "golden" / "seed_models.json").read_text())
RAW = {"Content-Type": "application/octet-stream"}
JSON = {"Content-Type": "application/json"}

KERAS = {"seed0": "seed0_mlp_batchnorm", "seed1": "seed1_functional_mlp", "seed2": "seed2_cnn_keras"}
KERAS_FORMS = (".keras", ".h5", ".weights.h5", ".json")
TORCH_FORMS = (
    "seed_state.pt", "seed_state_legacy.pth", "seed_module.pt", "seed_module_legacy.pth", "seed_script.pt", "seed.pt2",
)  # fmt: skip
RECORDED = {".keras", ".h5", ".json"}


def posted(service: Any, path: Path) -> dict[str, Any]:
    """The report on a file."""
    headers = JSON if path.suffix == ".json" else RAW
    response = service.ask(
        "POST", f"/v1/analyses?wait=60&filename={path.name}", body=path.read_bytes(), headers=headers
    )
    assert response.status == 201, response.data
    report: dict[str, Any] = response.json()["report"]
    return report


def weights_by_shape(report: dict[str, Any]) -> list[tuple[str, tuple[int, ...]]]:
    """Name and shape of every weight, in no order: a weights file lists layers as they are stored."""
    return sorted((one["name"], tuple(one["shape"])) for layer in report["layers"] for one in layer["weights"])


@pytest.mark.parametrize("form", KERAS_FORMS)
@pytest.mark.parametrize("name", KERAS)
def test_keras_seeds(service: Any, name: str, form: str) -> None:
    """Totals, every weight's name and shape; where the file records it, each weight's trainability and layer shapes."""
    golden, report = GOLDEN[KERAS[name]], posted(service, corpus_dir("keras_files") / f"{name}{form}")
    totals = report["totals"]
    assert totals["parameters"] + totals["statistics"] == golden["totals"]["total"]
    assert totals["statistics"] == golden["totals"]["non_trainable"]
    expected = [(one["name"], tuple(one["shape"])) for layer in golden["layers"] for one in layer["weights"]]
    assert weights_by_shape(report) == sorted(expected)
    if form in RECORDED:
        assert totals["trainable"] == golden["totals"]["trainable"]
        assert_layers(report, golden)


def assert_layers(report: dict[str, Any], golden: dict[str, Any]) -> None:
    """In the golden order: type, output shape, count and each weight's trainability."""
    found = [layer for layer in report["layers"] if layer["kind"] != "input"]
    for layer, wanted in zip(found, golden["layers"], strict=True):
        assert layer["type"] == wanted["type"]
        assert layer["output_shapes"] == [wanted["output_shape"]]
        assert layer["counts"]["parameters"] + layer["counts"]["statistics"] == wanted["parameters"]
        assert [(one["name"], one["shape"], one["trainable"]) for one in layer["weights"]] == [
            (one["name"], one["shape"], one["trainable"]) for one in wanted["weights"]
        ]


@pytest.mark.parametrize("name", TORCH_FORMS)
def test_torch_seed(service: Any, name: str) -> None:
    """13,108,694 parameters, 65 buffer elements, every weight; trainability unless the file is a state_dict."""
    golden, report = GOLDEN["seed2_cnn_torch"], posted(service, corpus_dir("torch_files") / name)
    assert report["totals"]["parameters"] == golden["totals"]["parameters"]
    assert report["totals"]["statistics"] == golden["totals"]["buffers"]
    expected = [(one["name"], tuple(one["shape"])) for layer in golden["layers"] for one in layer["weights"]]
    assert weights_by_shape(report) == sorted(expected)
    recorded = "state" not in name
    assert report["totals"]["trainable"] == (golden["totals"]["trainable"] if recorded else 0)
    assert [layer["path"] for layer in report["layers"]] == [layer["name"] for layer in golden["layers"]]
    if recorded:
        assert [layer["type"] for layer in report["layers"]] == [layer["type"] for layer in golden["layers"]]


SPECS = {
    "seed2_cnn_keras": {
        "framework": "keras", "input_shape": [64, 64, 1],
        "layers": [
            {"type": "Conv2D", "filters": 32, "kernel_size": 3, "padding": "same", "activation": "relu"},
            {"type": "BatchNormalization", "momentum": 0.15}, {"type": "Flatten"},
            {"type": "Dense", "units": 100, "activation": "relu"}, {"type": "Dense", "units": 10},
        ],
    },
    "seed2_cnn_torch": {
        "framework": "torch", "input_shape": [1, 64, 64],
        "layers": [
            {"type": "Conv2d", "out_channels": 32, "kernel_size": 3, "padding": 1}, {"type": "ReLU"},
            {"type": "BatchNorm2d", "momentum": 0.85}, {"type": "Flatten"}, {"type": "Linear", "out_features": 100},
            {"type": "ReLU"}, {"type": "Linear", "out_features": 10}, {"type": "Softmax", "dim": 1},
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_seed_specs(service: Any, name: str) -> None:
    """The layer lists of the CNN give the numbers of both frameworks: Keras' total is 64 more."""
    response = service.ask("POST", "/v1/analyses?wait=60", body=json.dumps(SPECS[name]).encode(), headers=JSON)
    assert response.status == 201, response.data
    report, golden = response.json()["report"], GOLDEN[name]
    assert report["totals"]["trainable"] == golden["totals"]["trainable"] == 13_108_694
    assert report["totals"]["statistics"] == {"seed2_cnn_keras": 64, "seed2_cnn_torch": 65}[name]
    if name == "seed2_cnn_keras":
        assert_layers(report, golden)


SAMPLES = sorted(path for path in (ROOT / "docs" / "samples").iterdir() if path.suffix != ".py")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples(service: Any, path: Path) -> None:
    """What the README sends is answered as it says: 1,386 parameters in either framework."""
    assert posted(service, path)["totals"]["parameters"] == 1386
