"""Adds up a model's weights by group, once each; knows tied weights and states, no format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from service.enrich.counts import PARAMETER_GROUPS, add, elements, stored_bytes
from service.enrich.likeness import Alike, alike
from service.errors import LimitExceeded
from service.language import Message, msg, sentences
from service.tree import Bytes, Group, Model, Status, Totals, Weight

MAX_ELEMENTS = 2**127
"""Above this a total is an attack on whoever prints it, not a model."""


Held = Sequence[tuple[Weight, int]]
"""Weights, and how often each occurs."""


def add_totals(model: Model, sorts: Alike | None = None) -> Model:
    """`model` with `totals` over unique weights; `sorts` of its layers. LimitExceeded for totals beyond any model."""
    held = [*(sorts or alike(model.layers)).weights(model.layers)]
    unique = [(weight, times) for weight, times in held if weight.tied_to is None]
    status, reason = _status(model, held)
    known = status != "unavailable"
    totals = Totals(
        **{name: elements(unique, *groups) if known else None for name, groups in _OWN.items()},
        optimizer=_in_states(model, "optimizer"),
        ema=_in_states(model, "ema"),
        other=_in_states(model, "scheduler", "other"),
        parameters_with_repeats=elements(held, *PARAMETER_GROUPS) if known else None,
        bytes=_bytes(model, unique, known=known),
        status=status,
        reason=reason,
    )
    if (totals.parameters or 0) + (totals.statistics or 0) > MAX_ELEMENTS:
        raise LimitExceeded("elements", MAX_ELEMENTS, msg("The weights add up to more elements than any model has."))
    return msgspec.structs.replace(model, totals=totals)


_OWN: dict[str, tuple[Group, ...]] = {
    "parameters": PARAMETER_GROUPS,
    "trainable": ("trainable",),
    "frozen": ("frozen",),
    "statistics": ("statistic",),
    "unknown": ("unknown",),
}


def _status(model: Model, held: Held) -> tuple[Status, Message | None]:
    if not model.complete and not held:
        return "unavailable", sentences(*model.notes) if model.notes else msg("The upload holds no weights.")
    unsized = sum(times for weight, times in held if weight.count is None)
    if unsized:
        number = sum(times for _, times in held)
        return "partial", msg("{unsized} of {n} weights have no size in this file.", unsized=unsized, n=number)
    if not model.complete:
        return "partial", sentences(*model.notes) if model.notes else msg("The upload is not complete.")
    return "complete", None


def _state_weights(model: Model, groups: Iterable[str]) -> Held:
    return [
        (weight, 1)
        for state in model.states
        if state.group in groups
        for weight in state.weights
        if weight.tied_to is None
    ]


def _in_states(model: Model, *groups: str) -> int | None:
    return elements(_state_weights(model, groups))


def _bytes(model: Model, unique: Held, *, known: bool) -> Bytes:
    def of(*groups: Group) -> int | None:
        return stored_bytes(unique, *groups) if known else None

    beside = {name: stored_bytes(_state_weights(model, groups)) for name, groups in _BESIDE.items()}
    own = {
        "trainable": of("trainable"),
        "frozen": of("frozen"),
        "statistics": of("statistic"),
        "unknown": of("unknown"),
    }
    return Bytes(
        total=add([*own.values(), *beside.values()]),
        **own,
        **beside,
        inference=add(own.values()),
        by_dtype=_by_dtype([*unique, *_state_weights(model, ("optimizer", "ema", "scheduler", "other"))]),
    )


_BESIDE = {"optimizer": ("optimizer",), "ema": ("ema",), "other": ("scheduler", "other")}


def _by_dtype(weights: Held) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for weight, times in weights:
        if weight.bytes is not None:
            dtype = weight.dtype or "unknown"
            sizes[dtype] = sizes.get(dtype, 0) + weight.bytes * times
    return dict(sorted(sizes.items()))
