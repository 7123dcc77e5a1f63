"""What is gathered while a Core ML model is described: layers with unique paths, findings, dangers; knows the limits.

One `Building` serves a whole upload: the models of a pipeline share its paths and its limits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from service.catalog.counting import check_weights
from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.language import Message, msg
from service.parsers.coreml_values import Kept
from service.plain import text
from service.tree import Danger, Finding, Layer, Weight

MAX_FIELDS = 4_000_000
"""Most fields of one message that are kept: beyond it a description is no model."""
MAX_TEXT = 4096
MAX_AXES = 64


@dataclass(slots=True)
class Building:
    """Layers, findings and dangers so far, and where the model is read from.

    Attributes:
        source: The file with the model's protobuf.
        member: Its part name, None where the upload is that one file.
        limits: Of this analysis.
        weights: How many weights the layers have.
        missing: Names of files with weights that were not uploaded.
        notes: Sentences about the whole model, each once.
    """

    source: Kept
    member: str | None
    limits: Limits
    layers: list[Layer] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    dangers: list[Danger] = field(default_factory=list)
    notes: dict[Message, None] = field(default_factory=dict)
    missing: dict[str, None] = field(default_factory=dict)
    weights: int = 0
    _paths: set[str] = field(default_factory=set)
    _again: dict[str, int] = field(default_factory=dict)

    def path(self, parent: str | None, name: str) -> str:
        """A path for a layer called `name`, made unique with a number where the name occurs again."""
        wanted = text(name, 1000) if parent is None else f"{parent}/{text(name, 1000)}"
        path = wanted
        while path in self._paths:
            self._again[wanted] = self._again.get(wanted, 1) + 1
            path = f"{wanted}#{self._again[wanted]}"
        self._paths.add(path)
        return path

    def add(self, layer: Layer) -> None:
        """Take one more layer; LimitExceeded if that is too many, or its weights are."""
        self.layers.append(layer)
        self.weights += len(layer.weights)
        if len(self.layers) > self.limits.layers:
            raise LimitExceeded(
                "layers", self.limits.layers, msg("The model has more than {layers} layers.", layers=self.limits.layers)
            )
        check_weights(self.weights, self.limits)

    def checked(self, weights: Iterable[Weight]) -> tuple[Weight, ...]:
        """The weights; LimitExceeded if one has a size that no array has."""
        found = tuple(weights)
        for weight in found:
            check_shape(weight.shape, self.limits)
        return found


def check_shape(shape: Sequence[int | None] | None, limits: Limits) -> None:
    """MalformedFile for a size below nothing; LimitExceeded for one, or a number of elements, beyond any model's."""
    if shape:
        _check(tuple(shape), limits.dimension, limits.elements)


@lru_cache(maxsize=4096)
def _check(shape: tuple[int | None, ...], dimension: int, elements: int) -> None:
    """As `check_shape`: a model has very many arrays of few shapes."""
    known = [size for size in shape if size is not None] or [0]
    if min(known) < 0:
        raise MalformedFile(msg("A tensor's size along one axis is negative."))
    if max(known) > dimension:
        raise LimitExceeded("dimension", dimension, msg("A tensor's size along one axis is beyond 64 bits."))
    if len(known) > MAX_AXES or math.prod(known) > elements:
        raise LimitExceeded("elements", elements, msg("One weight has more elements than any model."))
