"""Puts a Keras model together: layers, states and notes from a configuration (or none) and stored weights (or none).

Knows the three ways Keras keeps a model; must not know archives, uploads or how bytes were read.
"""

from __future__ import annotations

from typing import Any

import msgspec

from service.catalog.keras_config import Spec
from service.catalog.keras_layers import Layers
from service.catalog.keras_shelf import CONTAINERS, NamedShelf, NoShelf, ObjectShelf, Same
from service.catalog.keras_states import metrics_from_tree, optimizer_from_names, optimizer_from_tree
from service.catalog.keras_stored import StoredNames, unlisted_layers
from service.catalog.keras_tree import Tree
from service.config import Limits
from service.language import Message, msg
from service.parsers.hdf5 import Group
from service.tree import Frozen, Layer, State

NO_ORDER = msg(
    "The file does not list the model's layers in order: they are named by the model's attributes and sorted by name."
)
NO_CONFIGURATION = msg(
    "The file holds weights without the model's configuration: classes are concluded from names, and which "
    "weights are trainable is not recorded."
)
NO_WEIGHTS = msg("The weights are not in what was uploaded: no weight and no parameter count can be given.")
LORA = msg(
    "This layer was saved with a low-rank (LoRA) pair merged into its kernel: the pair itself is not stored, and Keras "
    "makes a new one on loading."
)


class Parts(Frozen, frozen=True, kw_only=True):
    """What a reader needs for its `Model`."""

    layers: tuple[Layer, ...]
    states: tuple[State, ...] = ()
    notes: tuple[Message, ...] = ()
    complete: bool = True


def from_object_tree(
    spec: Spec | None, root: Group, compiled: dict[str, Any] | None, member: str | None, limits: Limits
) -> Parts:
    """A Keras 3 file: an object tree, with the configuration (`.keras`) or without (`.weights.h5`)."""
    states = (optimizer_from_tree(root, compiled, member), metrics_from_tree(root, member))
    found = tuple(state for state in states if state is not None)
    if spec is None or spec.layers is None:
        return _bare_tree(spec, root, member, found)
    layers = Layers(spec, limits.weights)
    layers.model(spec, ObjectShelf(spec, root, member))
    strays = Tree(member, [layer.path for layer in layers.layers])
    strays.model(root, spec.config, spec.trainable, known=frozenset(CONTAINERS))
    return Parts(layers=_with_lora((*layers.layers, *strays.layers)), states=found)


def _bare_tree(spec: Spec | None, root: Group, member: str | None, states: tuple[State, ...]) -> Parts:
    tree = Tree(member)
    trainable = spec.trainable if spec is not None else None
    tree.model(root, spec.config if spec is not None else {}, trainable)
    own = ObjectShelf(spec or NOTHING, root, member).own(trainable)
    layers = list(tree.layers)
    if own.weights:
        layers.append(
            Layer(path=".", name=".", kind="parameter", type_source="unknown", weights=own.weights, notes=own.notes)
        )
    listed = spec is None and any(root.group(container) is not None for container in CONTAINERS)
    notes = [NO_CONFIGURATION] if spec is None else []
    return Parts(layers=tuple(layers), states=states, notes=(*notes, *(() if listed else (NO_ORDER,))))


NOTHING = Spec(name="", class_name="", module=None, registered=None, config={}, pointer="/")
"""Stands for the configuration that a bare weights file does not have."""


def from_names(
    spec: Spec | None, stored: StoredNames, compiled: dict[str, Any] | None, limits: Limits, same: Same
) -> Parts:
    """A legacy file: lists of named variables per layer, with the configuration or without."""
    optimizer = optimizer_from_names(list(stored.optimizer), compiled, None)
    states = (optimizer,) if optimizer is not None else ()
    lists = {name: list(variables) for name, variables in stored.layers}
    if spec is None or spec.layers is None:
        layers = unlisted_layers(lists, list(stored.own), same)
        notes = (NO_CONFIGURATION,) if spec is None else ()
        return Parts(layers=layers, states=states, notes=(*notes, *stored.notes), complete=not stored.notes)
    built = Layers(spec, limits.weights)
    built.model(spec, NamedShelf(lists, list(stored.own), same))
    known = {layer.name for layer in spec.members}
    rest = unlisted_layers(
        {name: variables for name, variables in lists.items() if name not in known and variables},
        [],
        same,
        taken=[layer.path for layer in built.layers],
    )
    return Parts(
        layers=_with_lora((*built.layers, *rest)), states=states, notes=stored.notes, complete=not stored.notes
    )


def from_configuration(spec: Spec, limits: Limits) -> Parts:
    """A configuration whose weights are not there."""
    layers = Layers(spec, limits.weights)
    if spec.layers is not None:
        layers.model(spec, NoShelf())
    return Parts(layers=tuple(layers.layers), notes=(NO_WEIGHTS,), complete=False)


def _with_lora(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    if not any(layer.config.get("lora_rank") for layer in layers):
        return layers
    return tuple(_note_lora(layer) for layer in layers)


def _note_lora(layer: Layer) -> Layer:
    stored = any(weight.role in ("lora_a", "lora_b") for weight in layer.weights)
    if not layer.config.get("lora_rank") or stored or not layer.weights:
        return layer
    return msgspec.structs.replace(layer, notes=(*layer.notes, LORA))
