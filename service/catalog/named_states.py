"""What a checkpoint of named arrays holds beside the model as `State`s; knows the slots' names, no file."""

from __future__ import annotations

from service.catalog.anatomy import Anatomy, What
from service.catalog.named_arrays import Stored
from service.catalog.named_weights import Ledger, safe
from service.tree import Group, State, Weight, element_count

SLOTS = {
    "step": "iteration", "count": "iteration", "iteration": "iteration", "iterations": "iteration",
    "exp_avg": "momentum", "momentum_buffer": "momentum", "mu": "momentum", "m": "momentum", "trace": "momentum",
    "exp_avg_sq": "velocity", "square_avg": "velocity", "sum": "velocity", "nu": "velocity", "v": "velocity",
    "learning_rate": "learning_rate", "acc_delta": "optimizer_slot", "prev": "optimizer_slot",
}  # fmt: skip
"""Roles of an optimizer's slots (torch.optim, optax, Keras, MLX)."""
_GROUPS: dict[What, Group] = {"optimizer": "optimizer", "ema": "ema", "scheduler": "other", "other": "other"}


def states_of(found: Anatomy, ledger: Ledger, separator: str) -> tuple[State, ...]:
    """One state per first step of the names."""
    return tuple(
        State(name=safe(head), group=what, weights=tuple(_weight(one, what, head, ledger, separator) for one in held))
        for head, (what, held) in found.beside.items()
    )


def _weight(one: Stored, what: What, head: str, ledger: Ledger, separator: str) -> Weight:
    ledger.count()
    key = one.name if separator == "." else one.name.replace(".", separator)
    tied = None if one.identity is None else ledger.tied(one.identity, key)
    return Weight(
        name=safe(one.name), role=_role(one.name, what, head), shape=one.shape, dtype=one.dtype,
        count=element_count(one.shape), stored_count=one.stored_count, bytes=one.bytes, group=_GROUPS[what],
        trainable=False, trainable_source="rule", stored_as=safe(one.stored_as or one.name), location=one.location,
        tied_to=None if tied is None else safe(tied),
    )  # fmt: skip


def _role(name: str, what: What, head: str) -> str:
    if what != "optimizer":
        return "ema" if what == "ema" else "other"
    steps = name.split(".")
    found = SLOTS.get(steps[-1]) or SLOTS.get(head)
    return found or next((SLOTS[step] for step in steps[1:-1] if step in SLOTS), "optimizer_slot")
