"""Architectures that public packages ship inside their Keras models are built as Keras itself builds them."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import pytest

from service.registry import identify, load_readers
from tests.building import answers, elements, weights
from tests.corpus import interpreter
from tests.packages.fetch import Shipped, fetch, manifest
from tests.service.readers.hf_uploads import upload

FILES = manifest("keras_json")
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.package)


@functools.cache
def theirs() -> Mapping[str, Any]:
    """What Keras says of every architecture, by path."""
    command = [interpreter("keras"), str(Path(__file__).with_name("answers.py")), FILES[0].answer]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, *(str(fetch(file)) for file in FILES)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@functools.cache
def ours() -> dict[str, dict[str, Any]]:
    """Our model of every architecture, by package."""
    told = answers("keras", [json.loads(fetch(file).read_bytes()) for file in FILES])
    return {file.package: one["model"] for file, one in zip(FILES, told, strict=True)}


@EACH
def test_layers_and_weights_are_keras_own(file: Shipped) -> None:
    """Every layer's class; every weight's shape, type and whether it learns; the known totals."""
    model, told = ours()[file.package], theirs()[str(fetch(file))]
    types = {layer["path"]: layer["type"] for layer in model["layers"]}
    assert {path: types.get(path) for path in told["types"]} == told["types"]
    found = [one for layer in model["layers"] for one in weights(layer)]
    assert sorted(str([one["shape"], one["dtype"], one["trainable"]]) for one in found) == sorted(
        str([one["shape"], one["dtype"], one["trainable"]]) for one in told["weights"].values()
    )
    assert (len(found), elements(model)) == (file.weights, file.elements)
    assert sum(prod(one["shape"]) for one in told["weights"].values()) == file.elements


@EACH
def test_the_document_is_told_by_content(file: Shipped) -> None:
    """It is one of the JSON documents that are read, and nothing in it is a danger."""
    assert identify(upload({"x": fetch(file).read_bytes()}), load_readers()).FORMAT.id == file.format
    assert (ours()[file.package]["complete"], ours()[file.package]["security"]) == (True, [])
