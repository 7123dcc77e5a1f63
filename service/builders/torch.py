"""Builds layer lists for PyTorch. The entry that the worker calls.

The framework is imported by `warm` or by the first build, not by this module; everything is made on the meta device,
so that no weight is ever allocated.
"""

from __future__ import annotations

import importlib
from typing import Any

from service.config import Limits
from service.formats import BuildRequest
from service.tree import Model

KIND = "torch"

_LATE = ("sympy", "torch._dynamo")


def warm() -> None:
    """Import PyTorch, and run nothing: a process that has run an operation forks badly.

    What PyTorch itself imports only when a shape is first inferred takes two seconds, so it comes along.
    """
    _framework()
    for name in _LATE:
        importlib.import_module(name)


def framework_version() -> str:
    """The version of PyTorch that builds."""
    return str(importlib.import_module("torch").__version__)


def build(request: BuildRequest, limits: Limits) -> Model:
    """The model that the spec describes.

    Raises:
        InvalidSpec: With `pointer` to the layer and argument, and all problems found in `extra["errors"]`.
        LimitExceeded: A size or a count beyond `limits`.
    """
    model: Model = _framework().build(request, limits)
    return model


def _framework() -> Any:
    return importlib.import_module("service.builders.torch_build")
