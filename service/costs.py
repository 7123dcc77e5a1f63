"""The types of what a layer and a model cost to run; knows no rule by which a cost is found."""

from __future__ import annotations

from service.basis import Frozen, Status
from service.language import Message


class Quantity(Frozen, frozen=True, kw_only=True):
    """One number, and how far it can be trusted. `value` is None exactly when `status` is unavailable."""

    value: int | None
    status: Status
    method: Message | None = None
    assumptions: tuple[Message, ...] = ()


class Extents(Frozen, frozen=True, kw_only=True):
    """One number per spatial axis, in positions of the model's input."""

    value: tuple[int, ...] | None
    status: Status
    method: Message | None = None
    assumptions: tuple[Message, ...] = ()


class ByDtype(Frozen, frozen=True, kw_only=True):
    """Bytes per dtype."""

    value: dict[str, int] | None
    status: Status
    method: Message | None = None
    assumptions: tuple[Message, ...] = ()


class LayerCost(Frozen, frozen=True, kw_only=True):
    """What one call of one layer costs, without what is inside its children.

    `flops` counts a multiply and an add as two. Activations are the layer's outputs. `calls`: how often the model
    calls it for one batch, where the file says; once otherwise.
    """

    macs: Quantity
    flops: Quantity
    activation_elements: Quantity
    activation_bytes: Quantity
    parameter_bytes: ByDtype
    receptive_field: Extents | None = None
    stride: Extents | None = None
    calls: int = 1


class Memory(Frozen, frozen=True, kw_only=True):
    """Bytes needed to serve or to train in one way (`serve`, `train_sgd`, `train_adam`, `train_adam_mixed` ...)."""

    scenario: str
    title: Message
    bytes: Quantity
    parts: dict[str, int]


class ModelCost(Frozen, frozen=True, kw_only=True):
    """Totals over all calls of all layers for `batch` examples.

    `input_shapes` are those that were given for inputs whose size is not stored, without the batch. `uncounted` is the
    number of layers whose MACs are not known, and so are not in the totals.
    """

    batch: int
    input_shapes: tuple[tuple[int, ...], ...] | None
    macs: Quantity
    flops: Quantity
    activation_elements: Quantity
    activation_bytes: Quantity
    parameter_bytes: ByDtype
    memory: tuple[Memory, ...]
    uncounted: int = 0
