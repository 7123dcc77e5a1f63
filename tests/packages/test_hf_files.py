"""Folders of the transformers library in public packages: weights as torch.load reads them, configurations as built."""

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
from service.tree import Model
from tests.building import answer, weights
from tests.corpus import interpreter
from tests.packages.fetch import Shipped, fetch, fetch_all, manifest
from tests.service.readers import hf_uploads

ANSWERS = Path(__file__).with_name("answers.py")
FILES = manifest("hf")
FOLDERS = pytest.mark.parametrize(
    "file", [file for file in FILES if file.more], ids=lambda file: f"{file.package}/{Path(file.path).parent.name}"
)
CONFIGS = pytest.mark.parametrize(
    "file", [file for file in FILES if file.format == "hf_config"], ids=lambda file: file.package
)


@functools.cache
def theirs(kind: str) -> Mapping[str, Any]:
    """What PyTorch or transformers says of all files that are asked so, by path."""
    paths = [str(fetch(file)) for file in FILES if file.answer == kind]
    command = [interpreter("torch"), str(ANSWERS), kind, *paths]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return {path: found["weights"] for path, found in json.loads(done.stdout).items()}


def told(file: Shipped) -> dict[str, tuple[list[int], str]]:
    """Their weights by name."""
    return {name: (one["shape"], one["dtype"]) for name, one in theirs(file.answer)[str(fetch(file))].items()}


def model(file: Shipped) -> Model:
    """Our answer to the folder."""
    return hf_uploads.read({name: path.read_bytes() for name, path in fetch_all(file).items()})


@FOLDERS
def test_every_weight_is_there(file: Shipped) -> None:
    """Names, shapes and types are PyTorch's, and none is missing or invented; the totals are the known ones."""
    found = hf_uploads.weights(model(file))
    assert {name: (list(one.shape or ()), one.dtype) for name, one in found.items()} == told(file)
    assert (len(found), sum(one.count or 0 for one in found.values())) == (file.weights, file.elements)


@FOLDERS
def test_weights_and_configuration_agree(file: Shipped) -> None:
    """Nothing is doubted in an honest folder, and the configuration that lies there is the report's."""
    found = model(file)
    assert (found.info.format, found.info.framework, found.complete) == (file.format, file.framework, True)
    assert (hf_uploads.rules(found), found.security) == ([], ())
    config = next(path for name, path in fetch_all(file).items() if name == "config.json")
    assert found.info.tags["config"]["hidden_size"] == json.loads(config.read_bytes())["hidden_size"] == 256


def test_weights_that_are_used_twice_are_told() -> None:
    """The table of words is the output's kernel, and the bias has two names."""
    file = next(file for file in FILES if file.package == "rxnmapper" and file.more)
    tied = {name: one.tied_to for name, one in hf_uploads.weights(model(file)).items() if one.tied_to}
    assert tied == {
        "predictions.decoder.bias": "predictions.bias",
        "predictions.decoder.weight": "albert.embeddings.word_embeddings.weight",
    }


@CONFIGS
def test_a_configuration_is_built_as_the_library_builds_it(file: Shipped) -> None:
    """Every weight with its name and shape, from the document alone."""
    document = json.loads(fetch(file).read_bytes())
    given = hf_uploads.upload({"config.json": fetch(file).read_bytes()})
    assert identify(given, load_readers()).FORMAT.id == file.format
    built = answer("transformers", document)["model"]
    ours = {
        f"{layer['path']}.{one['name']}".removeprefix(".."): one["shape"]
        for layer in built["layers"] for one in weights(layer) if one.get("tied_to") is None
    }  # fmt: skip
    assert ours == {name: shape for name, (shape, _) in told(file).items()}
    assert (len(ours), sum(map(prod, ours.values()))) == (file.weights, file.elements)
