"""Builds Keras specs: architecture JSON of Keras 1 to 3, and layer lists. The entry that the worker calls.

Knows which dialect is read by whom. The framework is imported by `warm` or by the first build, not by this module;
weights are never allocated, because everything happens inside `keras.StatelessScope`.
"""

from __future__ import annotations

import importlib
from typing import Any

from service.config import Limits
from service.formats import BuildRequest
from service.tree import Model

KIND = "keras"


def warm() -> None:
    """Import Keras and TensorFlow, and run nothing: a process that has run an operation forks badly."""
    _framework()


def framework_version() -> str:
    """The version of Keras that builds."""
    return str(importlib.import_module("keras").__version__)


def build(request: BuildRequest, limits: Limits) -> Model:
    """The model that the spec describes.

    Raises:
        InvalidSpec: With `pointer` to the layer and argument, and all problems found in `extra["errors"]`.
        LimitExceeded: A size or a count beyond `limits`.
    """
    model: Model = _framework().build(request, limits)
    return model


def _framework() -> Any:
    return importlib.import_module("service.builders.keras_build")
