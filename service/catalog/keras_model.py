"""Puts a Keras model together: layers, states and notes from a configuration (or none) and stored weights (or none).

Knows the three ways Keras keeps a model; must not know archives, uploads or how bytes were read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from service.catalog.keras_classes import is_custom
from service.catalog.keras_config import Spec
from service.catalog.keras_layers import Layers
from service.catalog.keras_missing import Lacking, findings, lacking, note, without_moved
from service.catalog.keras_names import Stored, leaves
from service.catalog.keras_shelf import CONTAINERS, NamedShelf, NoShelf, ObjectShelf, Same
from service.catalog.keras_states import metrics_from_tree, optimizer_from_names, optimizer_from_tree
from service.catalog.keras_stored import StoredNames, unlisted_layers
from service.catalog.keras_tree import Tree
from service.catalog.keras_unclaimed import claimed_by, numeric_only, unclaimed, unclaimed_in, wrong_shapes, wrong_type
from service.config import Limits
from service.language import Message, msg
from service.parsers.hdf5 import Dataset, Group
from service.tree import Finding, Frozen, Layer, State

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
    findings: tuple[Finding, ...] = ()
    complete: bool = True


def from_object_tree(
    spec: Spec | None, root: Group, compiled: dict[str, Any] | None, member: str | None, limits: Limits
) -> Parts:
    """A Keras 3 file: an object tree, with the configuration (`.keras`) or without (`.weights.h5`)."""
    root, others = numeric_only(root)
    states = (optimizer_from_tree(root, compiled, member), metrics_from_tree(root, member))
    found = tuple(state for state in states if state is not None)
    if spec is None or spec.layers is None:
        parts = _bare_tree(spec, root, member, found)
    else:
        parts = _configured_tree(spec, root, member, found, limits)
    apart, told = unclaimed(unclaimed_in(root, claimed_by(*parts.layers, *found)), member)
    return msgspec.structs.replace(
        parts, states=(*found, *apart), findings=(*parts.findings, *told, *wrong_type(others))
    )


def _configured_tree(spec: Spec, root: Group, member: str | None, states: tuple[State, ...], limits: Limits) -> Parts:
    layers = Layers(spec, limits.weights)
    layers.model(spec, ObjectShelf(spec, root, member))
    strays = Tree(member, [layer.path for layer in layers.layers])
    strays.model(root, spec.config, spec.trainable, known=frozenset(CONTAINERS))
    short = lacking(spec, layers.layers, strays.layers)
    return _checked(Parts(layers=_with_lora((*layers.layers, *strays.layers)), states=states), short)


def _checked(parts: Parts, short: list[Lacking]) -> Parts:
    """`parts` with what their layers lack, and with shapes that no layer of their class has."""
    odd = wrong_shapes(parts.layers)
    if not short:
        return msgspec.structs.replace(parts, findings=(*parts.findings, *odd))
    return msgspec.structs.replace(
        parts, findings=(*parts.findings, *findings(short), *odd), notes=(*parts.notes, note(short)), complete=False
    )


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
        notes = (NO_CONFIGURATION,) if spec is None else ()
        parts = Parts(layers=unlisted_layers(lists, list(stored.own), same), states=states, notes=notes)
    else:
        parts = msgspec.structs.replace(_configured_names(spec, stored, lists, limits, same), states=states)
    apart, told = unclaimed([*_strangers(spec, lists), *stored.unlisted], None)
    return msgspec.structs.replace(
        parts,
        states=(*states, *apart),
        findings=(*parts.findings, *told, *wrong_type(stored.others)),
        notes=(*parts.notes, *stored.notes),
        complete=parts.complete and not stored.notes,
    )


def _configured_names(
    spec: Spec, stored: StoredNames, lists: dict[str, list[Stored]], limits: Limits, same: Same
) -> Parts:
    built = Layers(spec, limits.weights)
    built.model(spec, NamedShelf(lists, list(stored.own), same))
    left = _beyond(spec, lists)
    strange = _is_strange(spec)
    rest = unlisted_layers(
        {name: variables for name, variables in left.items() if not strange(name)},
        [],
        same,
        taken=[layer.path for layer in built.layers],
    )
    nested = [layer.name for layer in spec.members if layer.layers is not None]
    short = without_moved(lacking(spec, built.layers, rest), built.layers, nested)
    return _checked(Parts(layers=_with_lora((*built.layers, *rest))), short)


def _beyond(spec: Spec, lists: dict[str, list[Stored]]) -> dict[str, list[Stored]]:
    """The lists of layers that the configuration does not have at its top."""
    known = {layer.name for layer in spec.members}
    return {name: variables for name, variables in lists.items() if name not in known and variables}


def _is_strange(spec: Spec) -> Callable[[str], bool]:
    """Whether a listed layer is none of the model's: not where a class of the user's may hold more than it configures.

    Keras 1 lists the layers inside a `Merge` beside it.
    """
    inside = {leaf.spec.name for leaf in leaves(spec)}
    custom = is_custom(spec.class_name, spec.module)
    return lambda name: not custom and name not in inside


def _strangers(spec: Spec | None, lists: dict[str, list[Stored]]) -> list[Dataset]:
    if spec is None or spec.layers is None:
        return []
    strange = _is_strange(spec)
    left = _beyond(spec, lists)
    return [one.dataset for name, variables in left.items() if strange(name) for one in variables]


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
