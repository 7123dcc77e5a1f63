"""OpenVINO IRs of public packages are read as OpenVINO reads them: every constant, every operation, every byte."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import tempfile
from math import prod
from pathlib import Path
from typing import Any

import pytest

from service.readers import openvino
from service.tree import Model
from tests.corpus import interpreter
from tests.packages.fetch import Shipped, fetch_all, manifest
from tests.service.readers.fielded import described, weights

EACH = pytest.mark.parametrize("file", manifest("openvino"), ids=lambda file: file.id)
TYPES = {"f32": "float32", "f16": "float16", "i64": "int64", "i32": "int32"}


def answered(file: Shipped) -> dict[str, Any]:
    """What OpenVINO says."""
    return answer(manifest("openvino").index(file))


@functools.cache
def answer(index: int) -> dict[str, Any]:
    """OpenVINO wants the two files side by side under their own names."""
    file = manifest("openvino")[index]
    with tempfile.TemporaryDirectory() as folder:
        for name, path in fetch_all(file).items():
            shutil.copy(path, Path(folder, name))
        script = Path(__file__).with_name("openvino_answers.py")
        command = [interpreter("field"), str(script), str(Path(folder, Path(file.path).name))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def parts(file: Shipped) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in fetch_all(file).items()}


def model(file: Shipped) -> Model:
    return described(openvino, parts(file))


@EACH
def test_every_constant_is_there(file: Shipped) -> None:
    """Names, types, bytes, numbers of values, and sizes but for axes of one."""
    held, constants = weights(model(file)), answered(file)["constants"]
    assert held.keys() == constants.keys()
    for name, one in constants.items():
        assert (held[name].dtype, held[name].bytes) == (TYPES[one["dtype"]], one["bytes"]), name
        found, told = ([size for size in shape if size != 1] for shape in (held[name].shape or (), one["shape"]))
        assert found == told, name
        assert held[name].count == prod(one["shape"])


@EACH
def test_every_operation_is_a_layer(file: Shipped) -> None:
    """Under its name."""
    assert {layer.path for layer in model(file).layers} == set(answered(file)["operations"])


@EACH
def test_the_totals_are_the_known_ones(file: Shipped) -> None:
    """Constants and values as counted when the file was added; all bytes of the `.bin` belong to one; all explained."""
    found = model(file)
    held = weights(found).values()
    assert (len(held), sum(one.count or 0 for one in held)) == (file.weights, file.elements)
    assert (found.info.format, found.info.framework) == (file.format, file.framework)
    assert not [one for one in found.findings if one.rule.startswith("data_") or one.rule == "formula_mismatch"]
    binary = next(data for name, data in parts(file).items() if name.endswith(".bin"))
    assert sum(one.bytes or 0 for one in held if one.tied_to is None) == len(binary)
    assert [layer.path for layer in found.layers if layer.explanation and layer.explanation.status != "complete"] == []
