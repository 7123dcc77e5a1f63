"""What Keras stores beside a model: optimizer variables and metrics; knows their names, must not know files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.catalog.keras_names import Stored
from service.catalog.keras_objects import variables_of
from service.catalog.keras_tree import OPTIMIZER, is_metric
from service.parsers.hdf5 import Dataset, Group
from service.plain import json_value, text
from service.tree import Group as WeightGroup
from service.tree import Location, State, Weight, element_count

_ROLE_ENDINGS = (
    ("_momentum", "momentum"),
    ("_velocity", "velocity"),
    ("/m", "momentum"),
    ("/v", "velocity"),
    ("/momentum", "momentum"),
)
_ROLE_STEPS = {"m": "momentum", "v": "velocity", "momentum": "momentum", "velocity": "velocity"}
_ROLE_NAMES = {
    "iteration": "iteration",
    "iter": "iteration",
    "iterations": "iteration",
    "learning_rate": "learning_rate",
    "current_learning_rate": "learning_rate",
}


def optimizer_from_tree(root: Group, compiled: dict[str, Any] | None, member: str | None) -> State | None:
    """The group `optimizer` of a Keras 3 file; its first variable counts steps, a float scalar after it is the rate."""
    group = root.group(OPTIMIZER)
    if group is None:
        return None
    weights = [
        _slot(dataset, f"vars/{key}", _numbered_role(index, dataset), member)
        for index, (key, dataset) in enumerate(variables_of(group))
    ]
    return _optimizer(weights, compiled)


def _numbered_role(index: int, dataset: Dataset) -> str:
    if index == 0 and dataset.shape == () and (dataset.dtype or "").startswith(("int", "uint")):
        return "iteration"
    if index == 1 and dataset.shape == () and (dataset.dtype or "").startswith("float"):
        return "learning_rate"
    return "optimizer_slot"


def optimizer_from_names(variables: list[Stored], compiled: dict[str, Any] | None, member: str | None) -> State | None:
    """The named variables of a legacy file's `optimizer_weights`."""
    weights = [_slot(found.dataset, found.name, _named_role(found.name), member) for found in variables]
    return _optimizer(weights, compiled)


def _named_role(name: str) -> str:
    steps = name.split("/")
    if steps[-1] in _ROLE_NAMES:
        return _ROLE_NAMES[steps[-1]]
    for ending, role in _ROLE_ENDINGS:
        if name.endswith(ending):
            return role
    return next((_ROLE_STEPS[step] for step in steps[:-1] if step in _ROLE_STEPS), "optimizer_slot")


def _optimizer(weights: list[Weight], compiled: dict[str, Any] | None) -> State | None:
    settings = _optimizer_settings(compiled or {})
    if not weights and not settings:
        return None
    class_name, config = settings.get("class_name"), settings.get("config")
    return State(
        name=OPTIMIZER,
        group="optimizer",
        weights=tuple(weights),
        type=text(class_name.rsplit(">", 1)[-1]) if isinstance(class_name, str) else None,
        config=json_value(config) if isinstance(config, dict) else {},
    )


def _optimizer_settings(compiled: dict[str, Any]) -> dict[str, Any]:
    """From `compile_config` (Keras 3) or `training_config` (legacy); a bare name stands for the class."""
    found = compiled.get("optimizer", compiled.get("optimizer_config"))
    if isinstance(found, str):
        return {"class_name": found}
    return found if isinstance(found, dict) else {}


def metrics_from_tree(root: Group, member: str | None) -> State | None:
    """Metric variables beside the layers, all in one state."""
    weights: list[Weight] = []
    open_groups = [(key, child) for key, child in root.groups.items() if is_metric(key, child)]
    while open_groups:
        path, group = open_groups.pop(0)
        for name, child in group.children.items():
            if isinstance(child, Group):
                open_groups.append((f"{path}/{name}", child))
            else:
                weights.append(_slot(child, f"{path}/{name}", "other", member, group="other"))
    return State(name="metrics", group="other", weights=tuple(weights)) if weights else None


def beside(name: str, datasets: Iterable[Dataset], member: str | None) -> State:
    """A state of arrays that are not the model's, under the names they are stored as."""
    weights = tuple(_slot(dataset, dataset.path, "other", member, group="other") for dataset in datasets)
    return State(name=name, group="other", weights=weights)


def _slot(dataset: Dataset, name: str, role: str, member: str | None, group: WeightGroup = "optimizer") -> Weight:
    count = element_count(dataset.shape)
    size = None if count is None or dataset.itemsize is None else count * dataset.itemsize
    return Weight(
        name=text(name),
        role=role,
        shape=dataset.shape,
        dtype=dataset.dtype,
        count=count,
        bytes=size,
        group=group,
        trainable=False,
        trainable_source="rule",
        stored_as=dataset.path,
        location=Location(member=member, offset=dataset.offset, length=dataset.stored),
    )
