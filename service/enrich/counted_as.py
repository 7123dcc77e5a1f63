"""The numbers that well-known tools print for the same model; knows their conventions, no format.

Sources: `keras.Model.summary` and `keras.src.utils.summary_utils` (total counts all weights, statistics too, and
the optimizer's variables where it is compiled); `torch.nn.Module.parameters` (each tied parameter once, no buffers);
`torch.nn.Module.state_dict` (every key, so tied tensors as often as they occur; persistent buffers only);
`torchinfo.summary`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from service.enrich.counts import PARAMETER_GROUPS, add, elements
from service.enrich.likeness import Alike
from service.language import Message, msg
from service.tree import Layer, Model, Status, ToolCount, Totals, Weight

_UNTOLD = msg("The file does not say which weights are trained.")
_OWN_RULES = msg("A state_dict does not tell parameters from buffers of a layer whose class is not known.")


def count_as_tools_do(model: Model, sorts: Alike) -> Model:
    """`model` with `counted_as`, by the conventions of its own framework; `sorts` of its layers. Needs `totals`."""
    if model.totals is None:
        return model
    if model.info.framework == "keras":
        return msgspec.structs.replace(model, counted_as=tuple(_keras(model.totals)))
    if model.info.framework == "torch":
        return msgspec.structs.replace(model, counted_as=tuple(_torch(sorts.sorts(model.layers), model.totals)))
    return model


def _tool(
    tool: str, label: str, value: int | None, note: Message | None = None, status: Status | None = None
) -> ToolCount:
    known: Status = "complete" if value is not None else "unavailable"
    return ToolCount(tool=tool, label=label, value=value, status=status or known, note=note)


def _keras(totals: Totals) -> Iterator[ToolCount]:
    total = add([totals.parameters, totals.statistics])
    told = not totals.unknown
    note = None if told else _UNTOLD
    yield _tool("keras", "model.count_params()", total)
    yield _tool("keras", "summary(): Total params, without optimizer", total)
    yield _tool("keras", "summary(): Trainable params", totals.trainable if told else None, note)
    yield _tool(
        "keras", "summary(): Non-trainable params", add([totals.frozen, totals.statistics]) if told else None, note
    )
    if totals.optimizer:
        yield _tool("keras", "summary(): Optimizer params", totals.optimizer)
        yield _tool("keras", "summary(): Total params, with optimizer", add([total, totals.optimizer]))


def _torch(sorts: Iterable[tuple[Layer, int]], totals: Totals) -> Iterator[ToolCount]:
    held = [(layer.kind, weight, times) for layer, times in sorts for weight in layer.weights]
    certain = not any(_uncertain(kind, weight) for kind, weight, _ in held)
    status: Status | None = None if certain or totals.parameters is None else "partial"
    note = None if certain else _OWN_RULES
    yield _tool("torch", "sum(p.numel() for p in model.parameters())", totals.parameters, note, status)
    yield _tool(
        "torch",
        "... if p.requires_grad",
        None if totals.unknown else totals.trainable,
        _UNTOLD if totals.unknown else None,
    )
    yield _tool("torch", "sum(b.numel() for b in model.buffers())", totals.statistics, note, status)
    persistent = [(weight, times) for _, weight, times in held if weight.persistent is not False]
    yield _tool("torch", "sum(t.numel() for t in model.state_dict().values())", elements(persistent))
    tied = any(weight.tied_to and weight.group in PARAMETER_GROUPS for _, weight, _ in held)
    yield _tool(
        "torchinfo", "Total params", None if tied else totals.parameters,
        msg("torchinfo counts tied parameters by rules of its own.") if tied else note, None if tied else status,
    )  # fmt: skip


def _uncertain(kind: str, weight: Weight) -> bool:
    """A weight that only its place in a state_dict speaks for: it might be a buffer."""
    return weight.group == "unknown" and kind in ("unknown", "custom", "parameter")
