"""Random layers of both frameworks: every formula equals what the framework itself counts.

The frameworks build the layers and write files; our readers read these, or our builders build the same layers from
specs. Nothing that the explanations know comes from the test.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service.config import Limits
from service.enrich.explain import rules
from service.enrich.kinds.catalogue import kinds
from service.formats import Upload
from service.language import from_data
from service.readers import keras_v3, torch_zip
from service.source import FileSource, Meter
from service.tree import Layer, Model
from tests.building import answers
from tests.corpus import ROOT, interpreter
from tests.enriching import explain_layers
from tests.service.enrich.explanations import random_layers

DRIVER = ROOT / "tests" / "drivers" / "layers.py"
NUMBERS = {"keras": 2160, "torch": 3000}
SEED = 20
OPTIONAL = {"lora_rank", "backward_layer", "mean", "variance", "kdim", "vdim", "proj_size", "value_dim", "output_shape"}
"""Options that are given or not; the others are always given."""
INNER = ("time_distributed", "spectral_norm")
"""Kinds that the rule of the layer inside speaks for."""

READERS = {"layers.keras": keras_v3, "module.pt": torch_zip, "state.pt": torch_zip}


def evaluated(formula: str) -> tuple[int, int]:
    """What the left side of a formula gives, and its right side."""
    left, right = formula.split(" = ")
    return eval(left.replace("×", "*")), int(right)  # noqa: S307 - our own formula


def descriptions(framework: str) -> list[dict[str, Any]]:
    """The random layers of a framework."""
    make = {"keras": random_layers.keras_layers, "torch": random_layers.torch_layers}[framework]
    return make(NUMBERS[framework], SEED)


@functools.cache
def built(framework: str) -> tuple[dict[str, Any], dict[str, Model]]:
    """What the framework says of each layer, and the models that our readers make of the files it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [interpreter(framework), str(DRIVER), framework, folder],
            input=json.dumps(descriptions(framework)), capture_output=True, text=True, check=False,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout), {path.name: read(path) for path in sorted(Path(folder).iterdir())}


def read(path: Path) -> Model:
    """A file as it is analysed, explained."""
    with path.open("rb") as opened:
        meter = Meter(Limits())
        model = READERS[path.name].read(Upload({path.name: FileSource(opened.fileno(), meter)}, meter))
    return explain_layers(model)


def held_against(layer: Layer, counted: int) -> None:
    """The formula, evaluated, is the count; the rule of the kind gave it, without doubt."""
    found = layer.explanation
    if found is None:
        assert (layer.weights, counted) == ((), 0), layer.path
        return
    assert evaluated(found.formula) == (counted, counted), (layer.path, found.formula)
    assert layer.kind in rules() or layer.kind in INNER, layer.kind
    assert found.status == "complete", (layer.path, layer.type, str(found.text))
    assert found.total == counted
    assert not re.search(r"[{}]", f"{found.text}{found.expert}"), "a place that nothing fills"
    assert sum(part.count for part in found.parts) == sum(weight.count or 0 for weight in layer.weights)


def packed_away(layer: Layer) -> int:
    """What Keras does not count of values that share a byte: it counts int4 as stored, a report as meant."""
    return sum((weight.count or 0) - weight.stored_count for weight in layer.weights if weight.stored_count is not None)


def test_every_kind_was_drawn() -> None:
    """The random layers are of many kinds: no rule with weights of its own goes untried."""
    tried = {layer.kind for framework in NUMBERS for model in built(framework)[1].values() for layer in model.layers}
    assert set(rules()) - tried <= {"quantization"}


@pytest.mark.parametrize("framework", NUMBERS)
def test_every_option_was_drawn(framework: str) -> None:
    """Whatever the catalogue of kinds says changes a count was tried in two ways at least."""
    drawn: dict[tuple[str, str], set[str]] = {}
    waiting = descriptions(framework)
    while waiting:
        one = waiting.pop()
        told = {**one["arguments"], "quantize": one.get("then")}
        for name, value in told.items():
            drawn.setdefault((one["type"], name), set()).add(str(value))
            waiting.extend(item for item in _listed(value) if isinstance(item, dict))
        for name in OPTIONAL - told.keys():
            drawn.setdefault((one["type"], name), set()).add("left out")
    for kind in kinds():
        classes = [name for found in kind.classes if found.framework == framework for name in found.names]
        options = [found.name for found in kind.options if found.framework == framework and found.changes]
        for name in (part for option in options for part in option.split(", ")):
            values = set().union(*(drawn.get((one, name), set()) for one in classes))
            assert len(values) > 1, (kind.kind, name, values)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_keras_layers_from_a_file() -> None:
    """A `.keras` archive of hundreds of layers: each formula gives `count_params()`, and nothing contradicts."""
    told, models = built("keras")
    model = models["layers.keras"]
    layers = {layer.path: layer for layer in model.layers}
    assert model.findings == ()
    assert len(told) == NUMBERS["keras"]
    for path, answer in told.items():
        if answer["parameters"] == 0:
            continue
        stored = answer["parameters"] - answer["lora"]  # Keras merges low-rank pairs into the kernel when it saves
        held_against(layers[path], stored + packed_away(layers[path]))
        trained = sum(weight.count or 0 for weight in layers[path].weights if weight.group == "trainable")
        assert answer["lora"] or trained == answer["trainable"], path


def test_torch_modules_from_a_file() -> None:
    """A pickled module of thousands of layers: each formula gives its own parameters, buffers are beside them."""
    told, models = built("torch")
    layers = {layer.path: layer for layer in models["module.pt"].layers}
    assert models["module.pt"].findings == ()
    assert told.keys() == layers.keys()
    for path, answer in told.items():
        held_against(layers[path], answer["parameters"])
        assert layers[path].counts.statistics == answer["buffers"]  # type: ignore[union-attr]


def test_torch_state_dict_from_a_file() -> None:
    """Without classes a formula may be missing or doubtful, but what it gives is what the module counts."""
    told, models = built("torch")
    assert models["state.pt"].findings == ()
    for layer in models["state.pt"].layers:
        if layer.explanation is not None:
            assert evaluated(layer.explanation.formula)[0] == told[layer.path]["parameters"], layer.path


def spec(framework: str, one: dict[str, Any]) -> dict[str, Any] | None:
    """A description as a layer list of one layer; None where the list has no such thing."""
    if one.get("then"):
        return None
    if framework == "torch":
        inputs = torch_input(one)
        return None if inputs is None else {"framework": "torch", "layers": [{**flat(one), "name": "one"}], **inputs}
    if len(one["inputs"]) != 1 or isinstance(one["inputs"][0][0], list):
        return None
    return {"framework": "keras", "input_shape": one["inputs"][0][1:], "layers": [flat(one)]}


def torch_input(one: dict[str, Any]) -> dict[str, Any] | None:
    """What a module of these arguments can be fed with; None for those that need more than one input."""
    told = one["arguments"]
    if one["type"] in ("Linear", "PReLU"):
        return {"input_shape": [told.get("in_features", told.get("num_parameters"))]}
    if one["type"] in ("RNN", "LSTM", "GRU"):
        return {"input_shape": [3, told["input_size"]]}
    if one["type"].startswith("Conv"):
        return {"input_shape": [told["in_channels"], *[20] * int(one["type"][-2])]}
    if one["type"] in ("LayerNorm", "RMSNorm"):
        return {"input_shape": told["normalized_shape"]}
    return {"input_shape": [told["num_channels"], 4]} if one["type"] == "GroupNorm" else None


def flat(one: dict[str, Any]) -> dict[str, Any]:
    """A description with its arguments beside the type, as a layer list has them."""
    inner = {
        key: flat(value) if isinstance(value, dict) else [flat(item) for item in value] if key == "cells" else value
        for key, value in one["arguments"].items()
    }
    return {"type": one["type"], **inner}


@pytest.mark.parametrize(("framework", "number"), [("keras", 126), ("torch", 300)])
def test_layers_from_specs(framework: str, number: int) -> None:
    """What our builder makes of a spec is explained as what the framework counts."""
    told, _ = built(framework)
    drawn = enumerate(descriptions(framework)[:number])
    specs = [(document, index) for index, one in drawn if (document := spec(framework, one))]
    assert len(specs) > number / 3
    for found, (document, index) in zip(answers(framework, [one for one, _ in specs]), specs, strict=True):
        made = msgspec.convert(found["model"], Model, dec_hook=from_data)
        model = explain_layers(made)
        layer = next(layer for layer in model.layers if layer.path == document["layers"][0]["name"])
        assert model.findings == ()
        held_against(layer, told[f"{'k' if framework == 'keras' else 'm'}{index}"]["parameters"])
