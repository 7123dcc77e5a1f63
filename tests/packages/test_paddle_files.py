"""PaddlePaddle models of public packages are read as Paddle itself loads them."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from service.config import Limits
from service.enrich.pipeline import enrich
from service.formats import Upload
from service.readers import paddle_inference, paddle_json, paddle_params, paddle_tensors
from service.source import FileSource, Meter
from service.tree import Model, Weight
from tests.corpus import interpreter
from tests.packages.fetch import Shipped, fetch_all, manifest

ANSWERS = Path(__file__).with_name("field_answers.py")
PROGRAMS = [file for file in manifest("paddle") if file.format == "paddle_inference"]
FOLDERS = [file for file in manifest("paddle") if file.format == "paddle_tensors" and file.more]
ALONE = [file for file in manifest("paddle") if file.format == "paddle_tensors" and not file.more]
NEW = [file for file in manifest("paddle") if file.format in ("paddle_json", "paddle_params")]
READERS = {
    "paddle_inference": paddle_inference, "paddle_json": paddle_json, "paddle_params": paddle_params,
    "paddle_tensors": paddle_tensors,
}  # fmt: skip
EACH = pytest.mark.parametrize("file", PROGRAMS, ids=lambda file: Path(file.path).parent.name)


def ours(file: Shipped) -> Model:
    """The enriched model of all its files."""
    reader = READERS[file.format]
    meter = Meter(Limits())
    with ExitStack() as opened:
        upload = Upload(
            {
                name: FileSource(opened.enter_context(path.open("rb")).fileno(), meter)
                for name, path in fetch_all(file).items()
            },
            meter,
        )
        assert reader.accept(upload)
        return enrich(reader.read(upload))


def stored(model: Model) -> dict[str, Weight]:
    """Weights by the names of their variables."""
    return {one.stored_as or one.name: one for layer in model.layers for one in layer.weights if one.tied_to is None}


def theirs(file: Shipped, folder: Path) -> dict[str, Any]:
    """What Paddle says of the program and its parameters, which it wants beside each other under one stem."""
    for name, path in fetch_all(file).items():
        shutil.copy(path, folder / name)
    program = str(folder / Path(file.path).name)
    command = [interpreter("field"), str(ANSWERS), file.answer, program]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)[program]
    return found


@EACH
def test_parameters_are_those_that_paddle_loads(file: Shipped, tmp_path: Path) -> None:
    """Every parameter with its name and shape, and at its place the value that Paddle has there first."""
    facts, held = theirs(file, tmp_path), stored(ours(file))
    assert {name: list(one.shape or ()) for name, one in held.items()} == facts["shapes"]
    data = next(path for name, path in fetch_all(file).items() if name.endswith(".pdiparams")).read_bytes()
    for name, one in held.items():
        assert one.location is not None
        first = struct.unpack_from("<f", data, one.location.offset or 0)[0]
        assert first == pytest.approx(facts["first"][name], rel=1e-6), name


@EACH
def test_programs_are_whole_and_explained(file: Shipped) -> None:
    """Nothing is missing, names and training come from the pickle beside, and no formula fails."""
    model = ours(file)
    assert model.complete
    assert not model.security
    assert not [one for one in model.findings if one.rule in ("parameter_differs", "formula_mismatch")]
    weights = stored(model)
    assert (len(weights), sum(one.count or 0 for one in weights.values())) == (file.weights, file.elements)
    assert {one.trainable_source for one in weights.values()} == {"recorded", "rule"}
    assert any(layer.path == "backbone.conv1.conv" for layer in model.layers)
    assert {layer.explanation.status for layer in model.layers if layer.explanation is not None} == {"complete"}


@pytest.mark.parametrize("file", FOLDERS, ids=lambda file: file.package)
def test_a_folder_of_parameters_has_layers(file: Shipped) -> None:
    """The tagger of jieba: 20 tensors in as many files, among them 20,941 words of 128 values."""
    held = stored(ours(file))
    assert (len(held), sum(one.count or 0 for one in held.values())) == (file.weights, file.elements)
    assert held["word_emb"].shape == (20941, 128)
    assert (held["fc_0.w_0"].shape, held["fc_0.w_0"].role) == ((128, 384), "kernel")
    gru = held["gru_0.w_0"]  # of before version 2: the layer fc_0 multiplies the inputs, this one the state alone
    assert (gru.shape, gru.role, gru.layout) == ((128, 384), "recurrent_kernel", "in-out")


@pytest.mark.parametrize("file", ALONE, ids=lambda file: file.package)
def test_parameters_without_their_program_are_all_there(file: Shipped, tmp_path: Path) -> None:
    """Their shapes in the order of their names, which only the program has: as Paddle loads them with it."""
    (program,) = [one for one in PROGRAMS if file.path in {more["path"] for more in one.more}]
    shapes = theirs(program, tmp_path)["shapes"]
    held = [one for layer in ours(file).layers for one in layer.weights]
    assert [list(one.shape or ()) for one in held] == [shapes[name] for name in sorted(shapes)]
    assert (len(held), sum(one.count or 0 for one in held)) == (file.weights, file.elements)


@pytest.mark.parametrize("file", NEW, ids=lambda file: f"{Path(file.path).parent.name}-{Path(file.path).stem}")
def test_programs_and_states_of_paddle_3_are_those_that_it_loads(file: Shipped, tmp_path: Path) -> None:
    """Every array with its name and shape; a program's at their places, with training recorded; all explained."""
    facts, model = theirs(file, tmp_path), ours(file)
    held = stored(model)
    assert {name: list(one.shape or ()) for name, one in held.items()} == facts["shapes"]
    assert (len(held), sum(one.count or 0 for one in held.values())) == (file.weights, file.elements)
    assert model.complete
    assert not model.security
    assert not [one for one in model.findings if one.rule in ("parameter_differs", "formula_mismatch")]
    assert {layer.explanation.status for layer in model.layers if layer.explanation is not None} <= {"complete"}
    if file.format == "paddle_json":
        data = next(path for name, path in fetch_all(file).items() if name.endswith(".pdiparams")).read_bytes()
        assert {one.trainable_source for one in held.values()} == {"recorded", "rule"}
        for name, one in held.items():
            assert one.location is not None
            first = struct.unpack_from("<f", data, one.location.offset or 0)[0]
            assert first == pytest.approx(facts["first"][name], rel=1e-6), name
