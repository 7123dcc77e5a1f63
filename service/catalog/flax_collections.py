"""What the top of a Flax tree means: parameters, moving statistics, optimizer, step; knows collections, no file.

`{"params": ..., "batch_stats": ...}` of `Module.init`, `{"step", "params", "opt_state"}` of a TrainState, the
`{"optimizer": {"target", "state"}}` of older trainers, and a bare tree of parameters as Transformers writes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, NamedTuple

from service.catalog.named import Named, Stored, describe
from service.config import Limits
from service.plain import text
from service.tree import Location, State, Weight, element_count

PARAMETERS = frozenset({"params", "param", "target", "model", "params_axes"})
STATISTICS = frozenset({"batch_stats", "stats", "batch_statistics"})
_OPTIMIZER = frozenset({"opt_state", "optimizer", "opt", "optimizer_state", "opt_states", "param_states"})
_EMA = frozenset({"ema_params", "ema", "params_ema", "ema_state"})
_AROUND = frozenset({"train_state", "state", "model_state", "variables", "target"})
_COLLECTIONS = PARAMETERS | STATISTICS | _OPTIMIZER | _EMA | _AROUND
_MOST_AROUND = 3
_SLOTS = {"mu": "momentum", "nu": "velocity", "trace": "momentum", "count": "iteration", "step": "iteration",
          "grad_ema": "momentum", "grad_sq_ema": "velocity"}  # fmt: skip
_MAX_VALUES = 200

Beside = Literal["optimizer", "ema", "other"]


class Found(NamedTuple):
    """One array of a tree with the keys that lead to it; what is not known is None."""

    path: tuple[str, ...]
    shape: tuple[int, ...] | None
    dtype: str | None
    bytes: int | None
    location: Location | None = None


def is_training(names: Collection[str]) -> bool:
    """Whether the names at the top are collections rather than modules."""
    return not (PARAMETERS | _AROUND | _OPTIMIZER).isdisjoint(names)


def group_of(path: tuple[str, ...], *, collections: bool) -> tuple[Beside | None, bool, tuple[str, ...]]:
    """(what it belongs to where that is not the model, whether it is a statistic, the path without collections).

    `collections`: whether the top of the tree holds collections; a bare tree is all parameters.
    """
    if not collections:
        return None, False, path
    if len(path) > 1 and path[0] in PARAMETERS and path[1] not in _COLLECTIONS:
        return None, False, path[1:]  # as nearly all are
    rest, at = path, 0
    while len(rest) > 1 and at < _MOST_AROUND:
        name = rest[0]
        if name in STATISTICS:
            return None, True, rest[1:]
        if name in _OPTIMIZER and rest[1] != "target":
            return "optimizer", False, path
        if name in _EMA:
            return "ema", False, path
        if name not in PARAMETERS and name not in _AROUND and name not in _OPTIMIZER:
            break
        rest, at = rest[1:], at + 1
    return (None, False, rest) if at else ("other", False, path)


def describe_tree(arrays: Iterable[Found], tops: Collection[str], limits: Limits) -> Named:
    """Layers of the parameters and statistics of a tree; everything else as states, by the name at the top.

    `tops`: every name at the top, those of plain values too.

    Raises:
        LimitExceeded: More weights or layers than one analysis may describe.
    """
    collections = is_training(tops)
    names: set[str] = set()
    model: list[Stored] = []
    beside: dict[tuple[str, Beside], list[Weight]] = {}
    for one in arrays:
        group, statistic, rest = group_of(one.path, collections=collections)
        if group is None:
            name = ".".join(rest)
            model.append(_stored(one, _distinct(name, names) if name in names else name, statistic=statistic))
            names.add(name)
        else:
            beside.setdefault((text(one.path[0], 500), group), []).append(_slot(one, group))
    named = describe(model, limits, separator="/")
    states = (State(name=name, group=group, weights=tuple(held)) for (name, group), held in beside.items())
    return Named(named.layers, (*named.states, *states), named.findings, named.notes)


def _distinct(name: str, names: set[str]) -> str:
    """`name`, marked where another array has it already: keys may have dots, and two collections the same keys."""
    while name in names:
        name = f"{name}#{len(names)}"
    names.add(name)
    return name


def _stored(one: Found, name: str, *, statistic: bool) -> Stored:
    return Stored(
        name=text(name, 4096), shape=one.shape, dtype=one.dtype, bytes=one.bytes, location=one.location,
        stored_as=text("/".join(one.path), 4096), statistic=True if statistic else None,
    )  # fmt: skip


def _slot(one: Found, group: Beside) -> Weight:
    name = text("/".join(one.path[1:]) or one.path[0], 2000)
    return Weight(
        name=name, role=_slot_role(one.path, group), shape=one.shape, dtype=one.dtype, count=element_count(one.shape),
        bytes=one.bytes, group=group, trainable=None, trainable_source="unknown",
        stored_as=text("/".join(one.path), 4096), location=one.location,
    )  # fmt: skip


def _slot_role(path: tuple[str, ...], group: Beside) -> str:
    """Optax calls the moments of Adam `mu` and `nu`, that of momentum `trace`, and counts steps in `count`."""
    if group != "optimizer":
        return "ema" if group == "ema" else "iteration" if path[-1] == "step" else "other"
    found = next((_SLOTS[step] for step in path if step in _SLOTS), None)
    return found or "optimizer_slot"


def tags_of(values: Iterable[tuple[tuple[str, ...], Any]]) -> Mapping[str, Any]:
    """The plain values of a file by their path, the first of many."""
    found: dict[str, Any] = {}
    for path, value in values:
        if len(found) >= _MAX_VALUES:
            break
        if value is not None and path:
            found[text("/".join(path), 500)] = value
    return found
