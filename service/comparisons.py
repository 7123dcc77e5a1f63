"""The types of a comparison of two models; knows neither how layers are aligned nor how values are read."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from service.basis import Frozen, Status
from service.language import Message

Verdict = Literal["equal", "close", "different", "unknown"]


class Difference(Frozen, frozen=True, kw_only=True):
    """How the numbers of two weights differ after the transform. Floats that are not finite are None.

    Attributes:
        verdict: equal (bit for bit, or the same number), close (within rounding of the coarser dtype), different.
        max_absolute: Largest difference of two values.
        max_relative: The same, relative to the larger of the two.
        cosine: Cosine similarity of all values; None where one side is all zero.
        reason: Why nothing is known, where the verdict is unknown.
    """

    verdict: Verdict
    max_absolute: float | None = None
    max_relative: float | None = None
    cosine: float | None = None
    reason: Message | None = None


class Transform(Frozen, frozen=True, kw_only=True):
    """How the left weight becomes the right one.

    Attributes:
        code: `identity`, `transpose`, `permute` (HWIO to OIHW ...), `flatten_order`, `gate_order`, `bias_sum`,
            `split`, `stack`, `cast` ...; several joined by ` + `.
        text: The same in words.
        parameters: What it needs to be carried out: `{"axes": [3, 2, 0, 1]}`.
    """

    code: str
    text: Message
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)


class WeightPair(Frozen, frozen=True, kw_only=True):
    """Two weights that are the same thing, or one that has no counterpart. Names as in the reports.

    Several names on one side are several weights that are one on the other (two biases that are added up). A weight
    that is split (query, key and value in one) occurs in several pairs; `left_rows`, `right_rows` say which rows
    (start, stop along its first axis) this pair is about, None for all of it. Counts are those of the part.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    role: str
    left_count: int | None
    right_count: int | None
    left_rows: tuple[int, int] | None = None
    right_rows: tuple[int, int] | None = None
    transform: Transform | None = None
    difference: Difference | None = None
    notes: tuple[Message, ...] = ()


class LayerPair(Frozen, frozen=True, kw_only=True):
    """Two layers that are the same thing, or one that has no counterpart. Paths as in the reports.

    A layer that is several on the other side (attention as four linear layers, a stacked recurrent layer) occurs in
    several pairs. `status` is the first of these that holds: added, removed, changed, renamed, equal; names are
    compared only within one framework.
    """

    left: str | None
    right: str | None
    kind: str
    status: Literal["equal", "changed", "renamed", "added", "removed"]
    changes: tuple[Message, ...] = ()
    weights: tuple[WeightPair, ...] = ()


class Cause(Frozen, frozen=True, kw_only=True):
    """Why the two counts differ, and by how much: right minus left, signed. `layers` are paths of either side."""

    code: str
    count: int
    text: Message
    layers: tuple[str, ...]


class Problem(Frozen, frozen=True, kw_only=True):
    """What is wrong with the values of a conversion: `values: true` found what makes both sides equal.

    `code`: `gate_order`, `not_transposed`, `flatten_order`, `mean_variance_swapped` ..., `ambiguous` where several
    explanations fit, `different` where none does. `layers` are paths of either side, left first.
    """

    code: str
    text: Message
    layers: tuple[str, ...]


class HyperParameter(Frozen, frozen=True, kw_only=True):
    """A setting that both layers have, in each framework's convention.

    `converted` is the left value in the right framework's convention; `equal` compares it with `right_value`.
    """

    left: str
    right: str
    name: str
    left_value: Any
    right_value: Any
    converted: Any
    equal: bool | None
    text: Message | None = None


class Side(Frozen, frozen=True, kw_only=True):
    """One of the two models: what it is, and the number its framework prints for it."""

    name: str | None
    framework: str
    format: str
    counted: int | None
    layers: int


class Comparison(Frozen, frozen=True, kw_only=True):
    """The answer.

    `gap` is right minus left in what each framework counts; the causes add up to it but for `unexplained`.
    `problems` are found only where `values` were compared.
    `status`: partial where a size is unknown on either side, or where values were asked for and could not be read.
    """

    schema_version: str
    summary: Message
    status: Status
    left: Side
    right: Side
    gap: int | None
    unexplained: int | None
    causes: tuple[Cause, ...]
    layers: tuple[LayerPair, ...]
    hyperparameters: tuple[HyperParameter, ...]
    values: bool
    problems: tuple[Problem, ...] = ()
    notes: tuple[Message, ...] = ()
