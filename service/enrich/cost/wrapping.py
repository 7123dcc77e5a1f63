"""Layers that run one other layer: at each step in time, or with a normalised kernel."""

from __future__ import annotations

from typing import Any

from service.catalog.keras_classes import kind_of
from service.enrich.cost.elementwise import CODE, INSIDE
from service.enrich.cost.work import Call, Sizes, Work, unknown
from service.language import msg

NO_LAYER = msg("Which layer it wraps cannot be read.")
_NESTED = frozenset({"container", "model", "time_distributed", "spectral_norm", "wrapper", "custom", "unknown"})
"""Kinds inside a wrapper whose cost is not worked out: models, and wrappers again."""


def inner_call(call: Call) -> Call | Work:
    """The call of the wrapped Keras layer: for TimeDistributed, steps count as further examples."""
    entry = call.config.get("layer")
    config = entry.get("config") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str) or not isinstance(config, dict):
        return unknown(NO_LAYER)
    name, module = entry["class_name"].rsplit(">", 1)[-1], entry.get("module")
    kind = kind_of(name, module if isinstance(module, str) else None)
    if kind in _NESTED:
        return unknown(CODE)
    ins, outs = call.ins, call.outs
    if call.kind == "time_distributed":
        ins, outs = _per_step(ins), _per_step(outs)
    return Call(kind, name, _plain(config), call.weights, ins, outs, call.batch, call.torch, call.layer)


def _per_step(shapes: tuple[Sizes, ...] | None) -> tuple[Sizes, ...] | None:
    if not shapes or any(len(shape) < 2 for shape in shapes):
        return None
    return tuple((shape[0] * shape[1], *shape[2:]) for shape in shapes)


def _plain(config: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in config.items()}


INSIDE_WORK = Work(0, 0, INSIDE)
KINDS = frozenset({"time_distributed", "spectral_norm", "wrapper"})
