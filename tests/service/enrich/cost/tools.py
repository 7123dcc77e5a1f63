"""What the frameworks' own tools count (tests/drivers/costs.py, programs.py), made once; short ways to cost a model."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from service.config import Limits
from service.costs import LayerCost, ModelCost
from service.formats import Upload
from service.language import from_data
from service.registry import load_readers
from service.source import BytesSource, Meter
from service.tree import Layer, Model
from tests import builders
from tests.corpus import CACHE, ROOT, _make
from tests.enriching import add_costs

DRIVERS = ROOT / "tests" / "drivers"


@functools.cache
def folder(kind: str, name: str = "costs") -> Path:
    """Folder with a driver's models and numbers for one framework."""
    driver = DRIVERS / f"{name}.py"
    target = CACHE / f"{name}_{kind}-{hashlib.sha256(driver.read_bytes()).hexdigest()[:16]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}_{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test processes make it once
        if not target.exists():
            _make(driver, kind, target)
    return target


@functools.cache
def measured(kind: str, name: str = "costs") -> dict[str, Any]:
    """The tools' numbers by model."""
    found: dict[str, Any] = json.loads((folder(kind, name) / "expected.json").read_text())
    return found


def read(path: Path) -> Model:
    """A file by the reader that accepts it."""
    meter = Meter(Limits())
    upload = Upload({path.name: BytesSource(path.read_bytes(), meter)}, meter)
    found = next(reader for reader in load_readers() if reader.accept(upload)).read(upload)
    assert isinstance(found, Model)
    return found


def built(answer: dict[str, Any]) -> Model:
    """A model that a builder answered with."""
    return msgspec.convert(answer["model"], Model, dec_hook=from_data)


def by_path(model: Model) -> dict[str, LayerCost]:
    """Each layer's cost."""
    return {layer.path: layer.cost for layer in model.layers if layer.cost is not None}


def total(model: Model) -> ModelCost:
    """The model's cost."""
    assert model.cost is not None
    return model.cost


def costed(framework: str, *layers: Layer, batch: int = 1, inputs: Any = None, **info: Any) -> Model:
    """A model of these layers with its costs."""
    made = builders.model(framework, *layers)
    made = msgspec.structs.replace(made, info=msgspec.structs.replace(made.info, **info))
    return add_costs(made, batch, inputs)


def cost(layer: Layer, framework: str = "keras", batch: int = 1) -> LayerCost:
    """The cost of a layer alone."""
    found = costed(framework, layer, batch=batch).layers[0].cost
    assert found is not None
    return found
