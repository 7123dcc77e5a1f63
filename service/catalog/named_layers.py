"""A tree of named arrays into `Layer`s: roles, axis orders, who learns what; knows no file.

For layers with like arrays at like places a plan is made once and followed for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from service.catalog.named_arrays import Sizes, Stored
from service.catalog.named_kinds import Profile, conclude, is_experts, says_instance_norm, shapes_of
from service.catalog.named_leaves import KERNEL_LAYOUTS, NORM_ROLES, ROLES, lora_role, torch_name
from service.catalog.named_tree import Node, word
from service.catalog.named_weights import SAFE_LENGTH, Ledger, group_of, safe
from service.catalog.packing_rules import SCALES, Part
from service.catalog.packing_schemes import Scheme
from service.catalog.torch_layers import layout_of, role_of
from service.catalog.torch_names import is_input_first_name
from service.catalog.torch_parametrized import parametrized_role
from service.catalog.torch_rules import (
    INSTANCE_NOTE,
    is_convolution_shaped,
    linear_layout,
    main_weight,
)
from service.catalog.torch_values import describe
from service.language import Message
from service.plain import text
from service.tree import Group, Layer, Source, Weight, element_count

ROOT = "."
Layouts = Literal["torch", "mlx", "paddle"]
"""Whose axis orders arrays called `weight` have: MLX puts a convolution's inputs last, Paddle a Linear's outputs."""

_MLX = {"conv1d": "OWI", "conv2d": "OHWI", "conv3d": "ODHWI"}


@dataclass(frozen=True, slots=True)
class Entry:
    """What is said of one array of every layer that a plan fits."""

    role: str
    group: Group
    trainable: bool | None
    source: Source
    layout: str | None
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class Manner:
    """What holds for all layers of one file.

    Attributes:
        layouts: Whose axis orders.
        transposed: Whether any fully connected kernel certainly has its inputs first.
        prefix: Path of the model in the file, "" for the only one.
        separator: Between the steps of a path in the answer.
    """

    layouts: Layouts = "torch"
    transposed: bool = False
    prefix: str = ""
    separator: str = "."

    @property
    def plain(self) -> bool:
        """Whether paths in the answer are those of the names."""
        return not self.prefix and self.separator == "."


def layers_of_tree(
    nodes: Mapping[str, Node],
    ledger: Ledger,
    scheme: Scheme,
    *,
    layouts: Layouts = "torch",
    prefix: str = "",
    separator: str = ".",
) -> tuple[list[Layer], list[Message]]:
    """Layers, in the order of the tree, and notes on what holds for all of them."""
    order = conclude(nodes, scheme)
    profiles = {id(profile): (node, profile) for node, profile in order}
    transposed = layouts == "torch" and any(_is_input_first(node, profile) for node, profile in profiles.values())
    manner = Manner(layouts, transposed, prefix, separator)
    weights = _Weights(ledger, manner)
    held = {node.path: weights.of(node, profile) for node, profile in order}
    nothing: dict[str, Any] = {}
    layers = [
        _layer(node, held.get(node.path, ()), manner, nothing)
        for node in nodes.values()
        if node.path or node.arrays or node.values or prefix
    ]
    return layers, [INSTANCE_NOTE] if says_instance_norm(nodes.values()) else []


def join(prefix: str, path: str, separator: str = ".") -> str:
    """`prefix.path`, either of which may be empty; `.` for the root."""
    if prefix:
        path = f"{prefix}.{path}" if path else prefix
    return (path if separator == "." else path.replace(".", separator)) or ROOT


def _layer(node: Node, weights: tuple[Weight, ...], manner: Manner, nothing: dict[str, Any]) -> Layer:
    found, kind = node.guess, node.guess.kind
    if kind == "unknown" and node.children:
        kind = "container" if node.path else "model"
    path, name, parent = _called(node, manner)
    return Layer(
        path=path,
        name=name,
        kind=kind,
        type_source="unknown" if found.kind == "unknown" else "rule",
        parent=parent,
        config=nothing if node.values is None else {name: describe(value) for name, value in node.values.items()},
        weights=weights,
        notes=_without(INSTANCE_NOTE, found.notes) if found.notes else (),
    )


def _called(node: Node, manner: Manner) -> tuple[str, str, str | None]:
    """Path and name of a layer, and its parent's path."""
    if node.path and manner.plain and node.path.isascii() and len(node.path) < SAFE_LENGTH:
        return node.path, node.name, node.parent or None
    parent = node.path and (node.parent or manner.prefix) and join(manner.prefix, node.parent, manner.separator)
    path = safe(join(manner.prefix, node.path, manner.separator))
    return path, safe(node.name or manner.prefix.rpartition(".")[2] or ROOT), safe(parent) if parent else None


def _without(one: Message, notes: tuple[Message, ...]) -> tuple[Message, ...]:
    """`notes`, the same object where `one` is not among them."""
    return notes if all([note is not one for note in notes]) else tuple(note for note in notes if note is not one)  # noqa: C419 - faster as a list


# Weights


class _Weights:
    """Makes the weights of each layer after the plan for its like."""

    def __init__(self, ledger: Ledger, manner: Manner) -> None:
        self._ledger = ledger
        self._manner = manner
        self._prefix = f"{manner.prefix}." if manner.prefix else ""
        self._plans: dict[tuple[int, str, tuple[Message, ...]], tuple[Entry, ...]] = {}

    def of(self, node: Node, profile: Profile) -> tuple[Weight, ...]:
        """The weights of one layer."""
        found = node.guess
        known = found is profile.named or found is profile.structure
        index = (id(profile), found.kind, () if known else found.notes)
        plan = self._plans.get(index)
        if plan is None:
            plan = self._plans[index] = _entries(node, profile, self._manner)
        self._ledger.count(len(plan))
        return tuple([self._weight(local, one, entry)
                      for (local, one), entry in zip(node.arrays.items(), plan, strict=True)])  # fmt: skip

    def _weight(self, local: str, one: Stored, entry: Entry) -> Weight:
        shape, part = one.shape, entry.part
        tied = None if one.identity is None else self._tied(one)
        if part is not None and part.packed:
            return self._packed(local, one, entry, part, tied)
        counted = None if shape is None or None in shape else prod(shape)
        key = one.stored_as or (f"{self._prefix}{one.name}" if self._prefix else one.name)
        plain = key.isascii() and len(key) < SAFE_LENGTH
        return Weight(
            name=local if plain else text(local), role=entry.role, shape=shape, dtype=one.dtype, count=counted,
            group=entry.group, trainable=entry.trainable, trainable_source=entry.source,
            stored_as=key if plain else text(key),
            stored_count=one.stored_count, bytes=one.bytes, layout=entry.layout, tied_to=tied, location=one.location,
        )  # fmt: skip

    def _packed(self, local: str, one: Stored, entry: Entry, part: Part, tied: str | None) -> Weight:
        """A kernel of several values per element: it lies nowhere as values, so no place is told."""
        return Weight(
            name=safe(local), role=entry.role, shape=part.shape, dtype=one.dtype, count=part.count, group=entry.group,
            trainable=entry.trainable, trainable_source=entry.source,
            stored_as=safe(one.stored_as or f"{self._prefix}{one.name}"), stored_count=element_count(one.shape),
            bytes=one.bytes, layout=entry.layout, tied_to=tied,
        )  # fmt: skip

    def _tied(self, one: Stored) -> str | None:
        found = self._ledger.tied(one.identity, join(self._manner.prefix, one.name, self._manner.separator))
        return None if found is None else safe(found)


@dataclass(frozen=True, slots=True)
class _Shapes:
    """Shapes of a layer's arrays by local name: as PyTorch's classes have them, and as they are stored."""

    plain: Mapping[str, Sizes | None]
    stored: Mapping[str, Sizes | None]


def _entries(node: Node, profile: Profile, manner: Manner) -> tuple[Entry, ...]:
    shapes = _Shapes(shapes_of(node.arrays, profile.packed), {local: one.shape for local, one in node.arrays.items()})
    return tuple([_entry(node, profile, local, one, shapes, manner) for local, one in node.arrays.items()])


def _entry(node: Node, profile: Profile, local: str, one: Stored, shapes: _Shapes, manner: Manner) -> Entry:
    part = profile.packed.parts.get(local) if profile.packed is not None else None
    role = one.role or (part.role if part is not None else _role(node, local, one, shapes))
    group, trainable, source = _learns(one, role)
    if part is not None and part.role == "packed_kernel" and one.group is None:
        group, trainable, source = "frozen", False, "rule"
    layout = _layout(node, local, one, role, shapes, manner) if part is None else _packed_layout(node, part)
    return Entry(role, group, trainable, source, layout, part)


def _packed_layout(node: Node, part: Part) -> str | None:
    """Logical sizes of a packed kernel are those of the Linear that it was."""
    matrix = part.role == "packed_kernel" and part.shape is not None and len(part.shape) == 2
    return "out-in" if matrix and node.guess.kind == "linear" else None


def _learns(one: Stored, role: str) -> tuple[Group, bool | None, Source]:
    """Who learns an array: as the file says, else by rule."""
    if one.group is not None:
        return one.group, False if one.group != "unknown" else None, "rule"
    if one.statistic:
        return "statistic", False, "recorded"
    if one.trainable is not None:
        return ("trainable" if one.trainable else "frozen"), one.trainable, "recorded"
    if role == "constant":
        return "statistic", False, "rule"
    return group_of(role, one.dtype)


# Roles and axis orders


def _role(node: Node, local: str, one: Stored, shapes: _Shapes) -> str:
    found = node.guess
    if found.part and local in ("weight", "bias", "kernel"):
        return f"{found.part}_{'bias' if local == 'bias' else 'kernel'}"
    if local.startswith("parametrizations.") or "parametrizations" in node.path:
        parametrized = parametrized_role(found.kind, local, shapes.stored)
        return parametrized or ("spectral_vector" if local in ("_u", "_v") else "parameter")
    halved = lora_role(local)
    if halved is not None:
        return halved
    if local == "alpha" and any(map(lora_role, node.arrays)):
        return "constant"
    name = torch_name(local, node.name, shapes.plain)
    if found.norm and (name in ("weight", "bias") or name in NORM_ROLES):
        return NORM_ROLES.get(name) or ("scale" if name == "weight" else "offset")
    if name == "bias" and one.shape is not None and len(one.shape) == 4 and one.shape[:2] == (1, 1):
        return "mask"
    known = role_of(found.kind, name, node.arrays)
    if known or name in SCALES:
        return known or SCALES[name]
    if name in ROLES or word(node.name) in _CONSTANTS:
        return ROLES.get(name, "constant")
    return _by_shape(node, name, one)


_CONSTANTS = frozenset({"rope_freqs"})


def _by_shape(node: Node, name: str, one: Stored) -> str:
    if name == "weight":
        return "kernel" if is_convolution_shaped(one.shape) and "bias" in node.arrays else "weight"
    if is_experts(node, name, one.shape):
        return "kernel"
    return "bias" if name.endswith("_proj_bias") else "parameter"


def _layout(node: Node, local: str, one: Stored, role: str, shapes: _Shapes, manner: Manner) -> str | None:
    kind, shape = node.guess.kind, one.shape
    kernel = role in ("kernel", "weight_v") or (bool(node.guess.part) and role.endswith("_kernel"))
    if local == "kernel" and kernel:
        layout = KERNEL_LAYOUTS.get(kind)
        return layout if layout and shape and len(shape) == _rank(layout) else None
    if kernel and kind == "linear" and shape is not None and len(shape) == 2:
        return _linear_layout(node, shape, shapes.plain.get("bias"), manner)
    if kernel and manner.layouts == "mlx" and kind in _MLX:
        return _MLX[kind] if shape and len(shape) == len(_MLX[kind]) else None
    return layout_of(kind, "kernel" if kernel else role, len(shape) if shape is not None else None)


def _rank(layout: str) -> int:
    return layout.count("-") + 1 if "-" in layout else len(layout)


def _linear_layout(node: Node, shape: Sizes, bias: Sizes | None, manner: Manner) -> str | None:
    if manner.layouts == "paddle":
        return "in-out"
    layout = linear_layout(shape, bias, transposed_seen=manner.transposed)
    if layout is None and manner.transposed and is_input_first_name(node.name):
        return "in-out"
    return layout


def _is_input_first(node: Node, profile: Profile) -> bool:
    """Whether a layer is fully connected with the inputs of its kernel first."""
    if node.guess.kind != "linear" or "kernel" in node.arrays or profile.packed is not None:
        return False
    shapes = shapes_of(node.arrays)
    weight = main_weight(shapes)
    return weight is not None and linear_layout(weight, shapes.get("bias"), transposed_seen=False) == "in-out"
