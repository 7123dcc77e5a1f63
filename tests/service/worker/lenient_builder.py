"""A stand-in for a builder, for interpreters without a framework; loaded as `--test-module`, never by the service."""

from __future__ import annotations

from service.config import Limits
from service.errors import InvalidSpec
from service.formats import BuildRequest
from service.language import verbatim
from service.tree import Model, ModelInfo

KIND = "keras"


def warm() -> None:
    """Nothing to import."""


def framework_version() -> str:
    """Made up."""
    return "0.0"


def build(request: BuildRequest, limits: Limits) -> Model:
    """A model that tells what was asked for."""
    if "layers" not in request.spec:
        raise InvalidSpec("There are no layers.", pointer="layers")
    return Model(info=ModelInfo(format="lenient", framework="keras"), layers=(), notes=(verbatim(request.dialect),))
