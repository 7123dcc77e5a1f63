"""Builds configurations of Hugging Face's transformers. The entry that the worker calls.

The library is imported by `warm` or by the first build, not by this module. Models are made on the meta device, so that
no weight is ever allocated, and from the library's own classes only: a configuration names them, it brings no code.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from service.config import Limits
from service.formats import BuildRequest
from service.tree import Model

KIND = "transformers"

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HOME": "/"}
_LATE = ("transformers.modeling_utils", "transformers.models.auto.modeling_auto", "transformers.masking_utils",
         "transformers.models.llama.modeling_llama", "transformers.models.bert.modeling_bert")  # fmt: skip
"""What nearly every model of the library imports."""


def warm() -> None:
    """Import the library, and run nothing: a process that has run an operation forks badly."""
    os.environ.update(_OFFLINE)
    _framework()
    for name in _LATE:
        importlib.import_module(name)


def framework_version() -> str:
    """The version of transformers that builds."""
    return str(importlib.import_module("transformers").__version__)


def build(request: BuildRequest, limits: Limits) -> Model:
    """The model that the configuration describes.

    Raises:
        InvalidSpec: With `pointer` to the setting that the library does not take.
        UnsupportedFeature: An architecture that this version of the library does not know.
        LimitExceeded: More layers than `limits` allow.
    """
    model: Model = _framework().build(request, limits)
    return model


def _framework() -> Any:
    return importlib.import_module("service.builders.transformers_build")
