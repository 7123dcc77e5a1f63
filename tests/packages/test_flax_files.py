"""Flax checkpoints of a public package are read as Flax itself restores them."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from service.enrich.pipeline import enrich
from service.registry import identify, load_readers
from service.tree import Model, Weight
from tests.corpus import interpreter
from tests.packages.fetch import Shipped, fetch, manifest
from tests.service.readers.hf_uploads import upload

FILES = manifest("flax")
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.id)


@functools.cache
def restored() -> Mapping[str, Any]:
    """What `flax.serialization.msgpack_restore` has of every file, by path."""
    script = str(Path(__file__).with_name("field_answers.py"))
    command = [interpreter("field"), script, "flax", *(str(fetch(file)) for file in FILES)]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def model(file: Shipped) -> Model:
    """Our answer."""
    given = upload({"x": fetch(file).read_bytes()})
    reader = identify(given, load_readers())
    assert reader.FORMAT.id == file.format
    found = reader.read(given)
    assert isinstance(found, Model)
    return enrich(found)


def weights(found: Model) -> dict[str, Weight]:
    """By the path of keys in the file."""
    return {one.stored_as or "": one for layer in found.layers for one in layer.weights}


@EACH
def test_every_array_is_there(file: Shipped) -> None:
    """Key paths, shapes, types and the totals; what is beside the arrays is told by its size."""
    ours, theirs = weights(model(file)), restored()[str(fetch(file))]
    assert {name: [list(one.shape or ()), one.dtype] for name, one in ours.items()} == theirs["arrays"]
    assert (len(ours), sum(one.count or 0 for one in ours.values())) == (file.weights, file.elements)
    assert dict(model(file).info.tags) == theirs["values"]


@EACH
def test_nothing_is_doubted(file: Shipped) -> None:
    """An honest file is whole, safe and explained."""
    found = model(file)
    assert (found.info.framework, found.complete, found.security, found.findings) == ("jax", True, (), ())
    explained = [layer.explanation for layer in found.layers if layer.weights]
    assert all(one is not None and one.status == "complete" for one in explained)


def test_an_ensemble_has_an_axis_more() -> None:
    """Networks that were trained side by side share one kernel of three axes; the count is of all of them."""
    (file,) = [file for file in FILES if file.path.endswith(".qlknn")]
    layers = {layer.path: layer for layer in model(file).layers}
    assert [list(one.shape or ()) for one in layers["Dense_1"].weights] == [[1, 133], [1, 133, 133]]
    explanation = layers["Dense_1"].explanation
    assert explanation is not None
    assert explanation.total == 133 * 133 + 133
