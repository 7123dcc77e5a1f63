"""Layers straight from an object tree, where no configuration lists them: subclassed models, bare weight files.

Knows how Keras 3 mirrors attributes and lists of layers as groups. A class is concluded from automatic names and
said to be so; names of groups are the user's attributes and prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.catalog.keras_classes import is_custom, kind_of
from service.catalog.keras_config import Spec, parse_layer, plain_config
from service.catalog.keras_inner import guessed_class
from service.catalog.keras_objects import VARIABLES, Named, Reading, group_name, natural
from service.catalog.keras_paths import Paths
from service.catalog.keras_shelf import CONTAINERS
from service.parsers.hdf5 import Group
from service.tree import Layer

OPTIMIZER = "optimizer"
_METRICS = frozenset({"metrics", "compiled_metrics", "compiled_loss", "_metrics", "_compile_metrics", "_loss_tracker"})


def is_metric(key: str, group: Group) -> bool:
    """Whether a group beside the layers is a metric: by Keras' name for it, or scalars in something called so."""
    if key in _METRICS:
        return True
    variables = group.group(VARIABLES)
    stored = list(variables.datasets.values()) if variables is not None else []
    return ("metric" in key or "tracker" in key) and bool(stored) and all(found.shape == () for found in stored)


class Tree:
    """Walks a group; `layers` is the result, in group order (which is by name, not by execution)."""

    def __init__(self, member: str | None, taken: Iterable[str] = ()) -> None:
        self._member = member
        self._paths = Paths(taken)
        self.layers: list[Layer] = []

    def model(
        self,
        group: Group,
        config: dict[str, Any],
        trainable: bool | None,
        *,
        known: frozenset[str] = frozenset(),
        parent: str | None = None,
    ) -> None:
        """The layers of the model at `group`, apart from the children named in `known`."""
        for key, child in _in_order(group):
            skipped = key in known or key == VARIABLES
            if parent is None and not skipped:
                skipped = key == OPTIMIZER or is_metric(key, child)
            if not skipped:
                self._object(key, child, config.get(key), trainable, parent, in_list=False)

    def _object(
        self, key: str, group: Group, configured: Any, trainable: bool | None, parent: str | None, *, in_list: bool
    ) -> None:
        if VARIABLES not in group.children:
            parts = configured if isinstance(configured, list) else []
            for index, (name, child) in enumerate(_in_order(group)):
                part = parts[index] if index < len(parts) else None
                self._object(name, child, part, trainable, parent, in_list=True)
            return
        self._layer(key, group, parse_layer(configured), trainable, parent, in_list=in_list)

    def _layer(
        self, key: str, group: Group, spec: Spec | None, trainable: bool | None, parent: str | None, *, in_list: bool
    ) -> None:
        name = group_name(group) or (spec.name if spec is not None else key)
        path = self._paths.take(parent, name)
        if any(group.group(container) is not None for container in CONTAINERS):
            self._add(
                path, name, parent, "Sequential" if _is_sequential(key, name) else None, None, Reading(self._member)
            )
            self.model(group, {}, trainable, parent=path)
            return
        class_name = spec.class_name if spec is not None else guessed_class(key, name, in_list)
        switch = False if trainable is False else spec.trainable if spec is not None else None
        reading = Reading(self._member)
        reading.layer(
            group, Named(class_name=class_name, config=spec.config if spec is not None else None, trainable=switch)
        )
        self._add(path, name, parent, class_name, spec, reading)

    def _add(
        self, path: str, name: str, parent: str | None, class_name: str | None, spec: Spec | None, reading: Reading
    ) -> None:
        module = spec.module if spec is not None else None
        self.layers.append(
            Layer(
                path=path,
                name=name,
                parent=parent,
                type=class_name,
                module=module,
                type_source="recorded" if spec is not None else "unknown" if class_name is None else "rule",
                kind=kind_of(class_name, module),
                custom=class_name is not None and is_custom(class_name, module),
                config=plain_config(spec.config) if spec is not None else {},
                trainable=spec.trainable if spec is not None else None,
                weights=tuple(reading.weights),
                notes=tuple(reading.notes),
            )
        )


def _is_sequential(key: str, name: str) -> bool:
    return guessed_class(key, name, in_list=True) == "Sequential"


def _in_order(group: Group) -> list[tuple[str, Group]]:
    """Children as numbered lists count them: `dense`, `dense_1`, `dense_2`, `dense_10`."""
    return sorted(group.groups.items(), key=lambda item: _spread(item[0]))


def _spread(key: str) -> tuple[str, tuple[bool, int, str]]:
    base, _, number = key.rpartition("_")
    return (base, natural(number)) if base and not natural(number)[0] else (key, (False, 0, ""))
