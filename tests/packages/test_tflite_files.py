"""TensorFlow Lite models of public packages are read as TensorFlow's own schema reads them."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from service.enrich.pipeline import enrich
from service.tree import Model
from tests.corpus import ROOT, interpreter
from tests.packages.fetch import Shipped, fetch, manifest
from tests.service.readers.tflite_answers import hold, read

FILES = manifest("tflite")
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.id)
BY_NAME = {Path(file.path).name: file for file in FILES}


@functools.cache
def answers() -> dict[str, Any]:
    """TensorFlow's, by path."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    script = Path(__file__).with_name("tflite_answers.py")
    command = [interpreter("keras"), str(script), *(str(fetch(file)) for file in FILES)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@functools.cache
def model(file: Shipped) -> Model:
    """Our answer."""
    return enrich(read(fetch(file).read_bytes()))


@EACH
def test_every_tensor_is_tensorflows(file: Shipped) -> None:
    """Names, shapes, types, sizes and scales of all tensors; all operators; every constant is a weight."""
    hold(fetch(file).read_bytes(), answers()[str(fetch(file))])


@EACH
def test_the_totals_are_the_known_ones(file: Shipped) -> None:
    """As many parameters as were counted when the file was added."""
    totals = model(file).totals
    assert totals is not None
    assert (totals.parameters, totals.status) == (file.elements, "complete")


@EACH
def test_every_formula_holds(file: Shipped) -> None:
    """All explanations evaluate, and nothing is found wrong with an honest file."""
    found = model(file)
    assert [finding for finding in found.findings if finding.rule.endswith("mismatch")] == []
    assert {layer.explanation.status for layer in found.layers if layer.explanation} == {"complete"}
    assert [danger for danger in found.security if danger.severity != "low"] == []
    assert found.complete


def test_zeros_that_are_left_out_are_counted_as_logical() -> None:
    """MediaPipe's sparse face detector holds fewer values than its kernels have."""
    kernels = [
        weight
        for layer in model(BY_NAME["face_detection_full_range_sparse.tflite"]).layers
        for weight in layer.weights
        if weight.stored_count is not None
    ]
    assert kernels
    assert all((weight.stored_count or 0) < (weight.count or 0) and weight.location is None for weight in kernels)


def test_folded_normalisations_are_named_where_the_file_names_them() -> None:
    """The sparse detector's 87 convolutions say which BatchNormalization they took in."""
    found = model(BY_NAME["face_detection_full_range_sparse.tflite"])
    notes = [str(note) for layer in found.layers for note in layer.notes]
    assert sum("is folded into the kernel and the bias" in note for note in notes) == 87
