"""The frozen types of one analysis: what a model holds; knows no format, no framework and no HTTP.

A reader or builder makes a `Model` once. Enrichers return a new one (`msgspec.structs.replace`); nothing
mutates it. The parent adds what only it knows (file, confinement) and calls the result a `Report`.

Three words are kept apart (see docs/report.md): a *parameter* learns by gradient (or would, once unfrozen);
a *statistic* is kept beside them and learns by the forward pass or not at all (Keras: non-trainable weight of
a BatchNormalization; PyTorch: buffer); an *optimizer* slot belongs to the optimizer.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from service.basis import Frozen, Group, Severity, Shape, Source, Status
from service.blocks import Block
from service.costs import LayerCost, ModelCost
from service.language import Message, verbatim
from service.measured import WeightStatistics

SCHEMA_VERSION = "1.2"
UNSAID = verbatim("")


class Location(Frozen, frozen=True, kw_only=True):
    """Where a weight's bytes lie. `offset` and `length` in bytes, within `member` if that is given.

    `strides` are steps in elements along each axis, from the element at `offset`, where they are not those of C order.
    Of an array in several pieces, as Flax writes large ones, it is all from the description of the first one on.
    """

    member: str | None = None
    offset: int | None = None
    length: int | None = None
    strides: tuple[int, ...] | None = None


class Weight(Frozen, frozen=True, kw_only=True):
    """One stored or declared array.

    Attributes:
        name: The framework's own local name: `kernel`, `moving_mean`; `weight`, `running_mean`.
        stored_as: The full key in the file: `layers/dense/vars/0`, `layer1.0.bn1.running_mean`; None in a spec.
        role: One vocabulary across frameworks, see `service.vocabulary.ROLES`.
        shape: Logical sizes; `()` for a scalar; None if the file does not tell.
        dtype: `float32`, `bfloat16`, `int8` ...; None if unknown.
        count: Logical number of elements, None if unknown.
        stored_count: Elements as stored, where packing makes it differ from `count`; else None.
        bytes: Stored size in bytes, None if unknown.
        layout: Axis order in words of the field (`HWIO`, `OIHW`, `in-out`, `out-in`), None where it has none.
        trainable: Whether gradient descent updates it as the model stands; None if unknown.
        trainable_source: Why we say so.
        tied_to: `layer path + separator + name` of the first weight that owns the same storage, else None.
        persistent: False for a PyTorch buffer that `state_dict()` leaves out; None where the term has no meaning.
    """

    name: str
    role: str
    shape: Shape | None
    dtype: str | None
    count: int | None
    group: Group
    trainable: bool | None
    trainable_source: Source
    stored_as: str | None = None
    stored_count: int | None = None
    bytes: int | None = None
    layout: str | None = None
    tied_to: str | None = None
    persistent: bool | None = None
    location: Location | None = None
    statistics: WeightStatistics | None = None


class Term(Frozen, frozen=True, kw_only=True):
    """One factor or summand of a formula: `4`, "vectors of one value per feature"."""

    symbol: str
    meaning: Message
    value: int


class Part(Frozen, frozen=True, kw_only=True):
    """A share of a layer's count: which weights, in which group, how many elements together."""

    group: Group
    names: tuple[str, ...]
    count: int


class Explanation(Frozen, frozen=True, kw_only=True):
    """Why a layer's count is what it is. `formula` ends in `= total` and evaluates to that total.

    `text` is for a person who meets this layer for the first time, `expert` for one who knows it: what the options do
    to the count, and what the other framework would count. A report of schema 1.0 has no `expert`.
    """

    formula: str
    text: Message
    expert: Message = UNSAID
    terms: tuple[Term, ...]
    parts: tuple[Part, ...]
    total: int
    status: Status = "complete"
    reference: str | None = None


class Layer(Frozen, frozen=True, kw_only=True):
    """One layer or module.

    Attributes:
        path: Unique in the model. Keras: names joined by `/`; PyTorch: the dotted module path.
        parent: Path of the layer that contains it, None at the top.
        name: The last step of the path, as the user named it.
        type: The framework's own class (`Conv2D`, `BatchNorm2d`); None where the file does not name it.
        type_source: recorded, or rule where it was concluded from the weights' names and shapes.
        module: Python module of the class as recorded, None if not.
        kind: One vocabulary across frameworks, see `service.vocabulary.KINDS`.
        custom: True if the class belongs to neither framework.
        config: Hyper-parameters as stored (JSON values only).
        trainable: The layer's own switch as recorded (Keras), else None.
        input_shapes, output_shapes: One per input or output; None if unknown; batch axis is None.
        inputs: Paths of the layers that feed it, () for an input, None if the file has no graph.
        shared_with: Path of the first occurrence when the same layer object occurs again; its weights are
            listed there only.
        uses: How often the layer is called in the graph; None if there is no graph.
        like: Path of the first layer that has the same explanation and cost, which are None here; only in models of
            very many layers, whose reports say it once.
    """

    path: str
    name: str
    kind: str
    type: str | None = None
    type_source: Source = "recorded"
    module: str | None = None
    parent: str | None = None
    custom: bool = False
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    trainable: bool | None = None
    input_shapes: tuple[Shape, ...] | None = None
    output_shapes: tuple[Shape, ...] | None = None
    inputs: tuple[str, ...] | None = None
    shared_with: str | None = None
    uses: int | None = None
    weights: tuple[Weight, ...] = ()
    counts: Counts | None = None
    explanation: Explanation | None = None
    cost: LayerCost | None = None
    like: str | None = None
    notes: tuple[Message, ...] = ()


class Counts(Frozen, frozen=True, kw_only=True):
    """Elements of one layer's own weights by group; None where a weight's size is unknown."""

    parameters: int | None
    trainable: int | None
    frozen: int | None
    statistics: int | None
    unknown: int | None


class State(Frozen, frozen=True, kw_only=True):
    """What a checkpoint holds beside the model: optimizer slots, an EMA copy, a scheduler, other tensors.

    Attributes:
        name: The key it is stored under (`optimizer`, `ema`, `lr_schedulers[0]`).
        group: What it is.
        type: Class, where recorded (`Adam`).
        config: Its plain values (learning rate, epoch ...), JSON only.
        weights: Its arrays.
    """

    name: str
    group: Literal["optimizer", "ema", "scheduler", "other"]
    type: str | None = None
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    weights: tuple[Weight, ...] = ()


class Bytes(Frozen, frozen=True, kw_only=True):
    """Stored sizes in bytes; None where a weight's size is unknown.

    `inference` is what the file would weigh for inference alone: the layers' weights, once each, without any state. A
    report of schema 1.1 has no such number.
    """

    total: int | None
    trainable: int | None
    frozen: int | None
    statistics: int | None
    unknown: int | None
    optimizer: int | None
    ema: int | None
    other: int | None
    by_dtype: dict[str, int]
    inference: int | None = None


class Totals(Frozen, frozen=True, kw_only=True):
    """Elements by group over unique weights (a tied or shared weight counts once).

    `parameters` = trainable + frozen + unknown. `parameters_with_repeats` counts tied weights each time they
    occur. A value is None, and `status` not complete, where it cannot be known; `reason` says why.
    """

    parameters: int | None
    trainable: int | None
    frozen: int | None
    statistics: int | None
    unknown: int | None
    optimizer: int | None
    ema: int | None
    other: int | None
    parameters_with_repeats: int | None
    bytes: Bytes
    status: Status = "complete"
    reason: Message | None = None


class ToolCount(Frozen, frozen=True, kw_only=True):
    """The number a well-known tool prints for this model, so that people find the one they saw."""

    tool: str
    label: str
    value: int | None
    status: Status = "complete"
    note: Message | None = None


class Danger(Frozen, frozen=True, kw_only=True):
    """Something in the file that could run code or reach outside it when a framework loads it. Never executed.

    Attributes:
        code: Stable identifier (`pickle_global`, `keras_lambda`, `hdf5_external_link` ...).
        severity: How bad it is if the file is loaded without care.
        what: One sentence.
        path: Layer path or object path, where it has one.
        member, offset: Where in the file.
        detail: The thing itself, shortened and escaped.
        reference: CVE or documentation.
    """

    code: str
    severity: Severity
    what: Message
    path: str | None = None
    member: str | None = None
    offset: int | None = None
    detail: str | None = None
    reference: str | None = None


class Finding(Frozen, frozen=True, kw_only=True):
    """Something worth knowing about the model itself. Never mixed into the facts."""

    rule: str
    severity: Severity
    what: Message
    why: Message | None = None
    action: Message | None = None
    path: str | None = None
    reference: str | None = None


class RuleRun(Frozen, frozen=True, kw_only=True):
    """One rule of findings: whether it looked at this model, and why not."""

    rule: str
    ran: bool
    reason: Message | None = None


class ModelInfo(Frozen, frozen=True, kw_only=True):
    """What the file is. `format` is the id of `service.formats.Format`; `framework` one of keras, torch."""

    format: str
    framework: str
    name: str | None = None
    type: str | None = None
    format_version: str | None = None
    framework_version: str | None = None
    producer: str | None = None
    members: tuple[str, ...] = ()
    tags: dict[str, Any] = msgspec.field(default_factory=dict)
    sha256: str | None = None
    blake3: str | None = None
    bytes: int | None = None


class Component(Frozen, frozen=True, kw_only=True):
    """One of several models in an upload.

    Attributes:
        path: The file or folder it is in; its layers are inside the layer of this path.
        format, framework, name, type: As in `ModelInfo`; None where it could not be read.
        layers: How many it has.
        complete: As in `Model`.
        totals, counted_as: Its own.
        code, problem: The error that kept it from being read, None if it was.
    """

    path: str
    format: str | None = None
    framework: str | None = None
    name: str | None = None
    type: str | None = None
    layers: int = 0
    complete: bool = True
    totals: Totals | None = None
    counted_as: tuple[ToolCount, ...] = ()
    code: str | None = None
    problem: Message | None = None


class Model(Frozen, frozen=True, kw_only=True):
    """What a reader or builder returns, and what crosses the wall.

    Attributes:
        layers: Execution order where the file has one, else storage order; parents before children.
        states: What is stored beside the model.
        complete: False where the upload left out what the answer would need; `notes` say what.
        notes: Sentences on what is partial or ambiguous and why.
        models: The models in it, where the upload holds several.
    """

    info: ModelInfo
    layers: tuple[Layer, ...]
    states: tuple[State, ...] = ()
    security: tuple[Danger, ...] = ()
    findings: tuple[Finding, ...] = ()
    complete: bool = True
    notes: tuple[Message, ...] = ()
    totals: Totals | None = None
    counted_as: tuple[ToolCount, ...] = ()
    blocks: tuple[Block, ...] = ()
    cost: ModelCost | None = None
    rules: tuple[RuleRun, ...] = ()
    models: tuple[Component, ...] = ()


class Confinement(Frozen, frozen=True, kw_only=True):
    """Which layers of the wall stood while the upload was read."""

    confined: bool
    layers: dict[str, bool]


class Provenance(Frozen, frozen=True, kw_only=True):
    """How the answer came about."""

    reader: str
    method: Literal["static", "framework"]
    version: str
    seconds: float
    bytes_read: int | None
    confinement: Confinement
    framework_version: str | None = None
    peak_memory_bytes: int | None = None


class Report(Frozen, frozen=True, kw_only=True):
    """The answer to a user: JSON of this type is what is stored and served."""

    schema_version: str
    model: ModelInfo
    complete: bool
    layers: tuple[Layer, ...]
    totals: Totals
    counted_as: tuple[ToolCount, ...]
    states: tuple[State, ...]
    security: tuple[Danger, ...]
    findings: tuple[Finding, ...]
    notes: tuple[Message, ...]
    blocks: tuple[Block, ...] = ()
    cost: ModelCost | None = None
    rules: tuple[RuleRun, ...] = ()
    models: tuple[Component, ...] = ()
    provenance: Provenance


def element_count(shape: Shape | None) -> int | None:
    """Product of the sizes of `shape`; 1 for a scalar; None if any size is unknown."""
    if shape is None:
        return None
    total = 1
    for size in shape:
        if size is None:
            return None
        total *= size
    return total
