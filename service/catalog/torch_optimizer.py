"""Optimizer, scheduler and stray tensors of a checkpoint as `State`s; knows slots' names, no file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from service.catalog.named_states import SLOTS
from service.catalog.torch_checkpoint import Part
from service.catalog.torch_tensors import Tensor, is_tensor, tensor_of
from service.catalog.torch_values import attributes_of, describe, key_text, mapping_of, number_of, sequence_of
from service.catalog.torch_weights import Label, Weigher
from service.parsers.pickle_types import Global, Instance
from service.plain import text
from service.tree import Group, State, Weight

_MAX_GROUPS = 50


def optimizer(part: Part, weigher: Weigher) -> State:
    """An optimizer's `state_dict` or whole pickled object: its settings, and a weight per slot and parameter."""
    held = mapping_of(part.value) or attributes_of(part.value) or {}
    name = part.key or "optimizer"
    weights: list[Weight] = []
    steps: list[float] = []
    for number, (key, slots) in enumerate((mapping_of(held.get("state")) or {}).items()):
        index = key_text(key) if isinstance(key, (str, int)) else str(number)
        for slot, value in (mapping_of(slots) or {}).items():
            weights.extend(_slot(f"{name}.state", f"{index}.{key_text(slot)}", value, weigher))
            step = number_of(value) if slot == "step" else None
            steps.extend(() if step is None else (step,))
    config: dict[str, Any] = {"param_groups": _groups(held.get("param_groups"))}
    if steps:
        config["step"] = max(steps)
    return State(name=text(name), group="optimizer", type=_class(part.value), config=config, weights=tuple(weights))


def scheduler(part: Part) -> State:
    """A learning-rate scheduler: plain values only."""
    held = mapping_of(part.value) or attributes_of(part.value) or {}
    config = {key_text(key): describe(value) for key, value in held.items() if key != "optimizer"}
    return State(name=text(part.key or "scheduler"), group="scheduler", type=_class(part.value), config=config)


def tensors(part: Part, group: Literal["ema", "other"], weigher: Weigher) -> State:
    """Tensors that belong to no model."""
    held = part.value if type(part.value) is dict else {"": part.value}
    weights = [
        weigher.weight(tensor, _label(part.key or "tensor", name, group, "ema" if group == "ema" else "other"))
        for name, tensor in ((name, tensor_of(value)) for name, value in held.items())
        if tensor is not None
    ]
    return State(name=text(part.key or "tensor"), group=group, weights=tuple(weights))


def _label(key: str, name: str, group: Group, role: str) -> Label:
    path, _, last = key.rpartition(".")
    return Label(path or ".", f"{last}{name}", role, group, False, "rule")


def _slot(path: str, name: str, value: Any, weigher: Weigher) -> Iterator[Weight]:
    """The tensor of one slot, or those of a list (LBFGS keeps its history so)."""
    items = [value] if is_tensor(value) else sequence_of(value) or ()
    found: list[Tensor] = [
        tensor for tensor in (tensor_of(item) for item in items if is_tensor(item)) if tensor is not None
    ]
    role = SLOTS.get(name.rpartition(".")[2], "optimizer_slot")
    for index, tensor in enumerate(found):
        full = name if is_tensor(value) else f"{name}[{index}]"
        yield weigher.weight(tensor, Label(path, full, role, "optimizer", False, "rule"))


def _groups(value: Any) -> list[Any]:
    """Settings of each parameter group; of its parameters only how many."""
    described = []
    for group in (sequence_of(value) or ())[:_MAX_GROUPS]:
        held = mapping_of(group) or {}
        settings = {key_text(key): describe(item) for key, item in held.items() if key != "params"}
        described.append({**settings, "params": len(sequence_of(held.get("params")) or ())})
    return described


def _class(value: Any) -> str | None:
    """Class of a whole pickled object, None for a plain dictionary."""
    maker = value.maker if isinstance(value, Instance) and value.how == "created" else None
    return text(maker.name) if isinstance(maker, Global) and maker.name else None
