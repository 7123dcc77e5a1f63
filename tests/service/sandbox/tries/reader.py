"""Stands in for the readers of a worker, and for its builder: the upload names a try, which is done.

Loaded as `--test-module` into warm processes of tests, which nothing else can be made to load.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))  # a warm process knows no path but its interpreter's

import msgspec

from service.config import Limits
from service.formats import BuildRequest, Format, Upload
from service.language import verbatim
from service.tree import Model, ModelInfo
from tests.service.sandbox.tries import (  # noqa: F401 - they register
    answers,
    exhaustion,
    files,
    framed,
    kernel,
    lasting,
    network,
    processes,
)
from tests.service.sandbox.tries.base import DONE, Order, attempt

FORMAT = Format(id="tries", framework="keras", title=verbatim(""), extensions=(), reads=verbatim(""))
KIND = "keras"


def accept(upload: Upload) -> bool:
    """Everything."""
    return True


def find(upload: Upload) -> list[frozenset[str]]:
    """All files together."""
    return [frozenset(upload.parts)]


def read(upload: Upload) -> Model:
    """Do what the upload says."""
    source = next(iter(upload.parts.values()))
    return _done(msgspec.json.decode(source.read_at(0, source.size), type=Order))


def warm() -> None:
    """As a builder: there is nothing to import."""


def framework_version() -> str:
    """As a builder: none."""
    return "0"


def build(request: BuildRequest, limits: Limits) -> Model:
    """As a builder: do what the spec says."""
    order: dict[str, Any] = request.spec
    return _done(msgspec.convert(order, Order))


def _done(order: Order) -> Model:
    notes = tuple(verbatim(f"{name}: {attempt(name, order.target)}") for name in order.names)
    return Model(info=ModelInfo(format=DONE, framework="keras"), layers=(), notes=notes)
