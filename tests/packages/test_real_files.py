"""Model files of public packages are read as the frameworks themselves read them."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from service.config import Limits
from service.formats import Upload
from service.registry import identify, load_readers
from service.source import FileSource, Meter
from service.tree import Layer, Model, Weight, element_count
from tests.corpus import interpreter
from tests.packages.fetch import Shipped, fetch, manifest

ANSWERS = Path(__file__).with_name("answers.py")
EACH = pytest.mark.parametrize("file", manifest(), ids=lambda file: file.id)
SEPARATORS = {"torch": ".", "keras": "/"}


@functools.cache
def framework_answers(answer: str) -> Mapping[str, Any]:
    """What the framework says of all files that are asked by `answer`, by path."""
    files = [file for file in manifest() if file.answer == answer]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore"}
    command = [interpreter(files[0].framework), str(ANSWERS), answer, *(str(fetch(file)) for file in files)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def framework_answer(file: Shipped) -> dict[str, Any]:
    """What the framework says of one file."""
    found: dict[str, Any] = framework_answers(file.answer)[str(fetch(file))]
    return found


@functools.cache
def read(file: Shipped) -> Model:
    """What we say of it, without its name."""
    with fetch(file).open("rb") as opened:
        meter = Meter(Limits())
        upload = Upload({"upload": FileSource(opened.fileno(), meter)}, meter)
        model = identify(upload, load_readers()).read(upload)
    assert isinstance(model, Model)
    return model


def weights(file: Shipped) -> dict[str, Weight]:
    """The model's own weights as we read them, by the names that the framework's answer has."""
    return {
        full_name(file, layer, weight): weight
        for layer in read(file).layers
        for weight in layer.weights
        if weight.group != "other"
    }


def full_name(file: Shipped, layer: Layer, weight: Weight) -> str:
    """The framework's full name of a weight; its place in the file where only that is known."""
    if file.answer == "h5py":
        return str(weight.stored_as)
    separator = SEPARATORS[file.framework]
    return f"{layer.path}{separator}{weight.name}".strip(separator)


@EACH
def test_the_format_is_told_by_content(file: Shipped) -> None:
    """The reader that takes the file is the one for its format, whatever the file is called."""
    assert (read(file).info.format, read(file).info.framework) == (file.format, file.framework)


@EACH
def test_every_weight_is_there(file: Shipped) -> None:
    """Names, shapes and dtypes are the framework's, and none is missing or invented."""
    expected = {name: (value["shape"], value["dtype"]) for name, value in framework_answer(file)["weights"].items()}
    found = {name: (list(weight.shape or ()), weight.dtype) for name, weight in weights(file).items()}
    assert found == expected


@EACH
def test_the_totals_are_the_known_ones(file: Shipped) -> None:
    """As many weights and elements as were counted when the file was added."""
    found = weights(file).values()
    assert (len(found), sum(element_count(weight.shape) or 0 for weight in found)) == (file.weights, file.elements)


@EACH
def test_trainability_is_the_recorded_one(file: Shipped) -> None:
    """Where the framework knows what learns, we say the same; where it does not, we do not claim that anything does."""
    recorded = {name: value.get("trainable") for name, value in framework_answer(file)["weights"].items()}
    for name, weight in weights(file).items():
        if recorded[name] is None:
            assert weight.trainable is not True, name
        else:
            assert weight.trainable is recorded[name], name


@EACH
def test_layers_have_their_types(file: Shipped) -> None:
    """Where the framework names the classes of the layers, so do we."""
    expected = framework_answer(file).get("types", {})
    ours = {layer.path: layer.type for layer in read(file).layers}
    assert {path: ours.get(path) for path in expected} == expected


@EACH
def test_nothing_is_cried_wolf_over(file: Shipped) -> None:
    """These are honest files: nothing in them is called a serious danger."""
    assert [danger for danger in read(file).security if danger.severity in {"critical", "high"}] == []
