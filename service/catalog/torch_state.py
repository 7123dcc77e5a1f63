"""A `state_dict` into layers: the tree from dotted names and `_metadata`, kinds and roles by rule; knows no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from service.catalog.torch_layers import layout_of, role_of
from service.catalog.torch_names import by_name, is_input_first_name
from service.catalog.torch_packed import is_opaque, packed_role, tensors_in
from service.catalog.torch_parametrized import computed, parametrized_role, split_name
from service.catalog.torch_rules import (
    INSTANCE_NOTE,
    SQUARE_NOTE,
    Guess,
    convolution_before,
    convolution_rank,
    guess,
    is_convolution_shaped,
    linear_layout,
    main_weight,
)
from service.catalog.torch_tensors import Tensor, is_tensor, tensor_of
from service.catalog.torch_values import attributes_of, describe, key_text, mapping_of
from service.catalog.torch_weights import Label, Weigher, rule_group
from service.language import Message
from service.plain import text
from service.tree import Layer, Weight

ROOT = "."


@dataclass(slots=True)
class _Node:
    """One module path while the tree is put together."""

    path: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    packed: set[str] = field(default_factory=set)
    values: dict[str, Any] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    version: int | None = None
    guess: Guess = field(default_factory=Guess)


def metadata_of(state: Any) -> dict[str, int | None]:
    """Module path -> version of its class, from the `_metadata` attribute of a state_dict; empty without one."""
    attributes = attributes_of(state)
    versions: dict[str, int | None] = {}
    for path, entry in (mapping_of((attributes or {}).get("_metadata")) or {}).items():
        version = (mapping_of(entry) or {}).get("version")
        if isinstance(path, str):
            versions[path] = version if type(version) is int else None
    return versions


def layers_of(state: Any, weigher: Weigher, prefix: str = "") -> tuple[list[Layer], list[Message]]:
    """Layers of a state_dict, below `prefix`, and notes on what holds for all of them."""
    nodes = _tree(mapping_of(state) or {}, metadata_of(state))
    _conclude(nodes)
    notes = [INSTANCE_NOTE] if any(INSTANCE_NOTE in node.guess.notes for node in nodes.values()) else []
    transposed = any(_is_input_first(node) for node in nodes.values())
    wanted = [node for node in nodes.values() if node.path or node.tensors or node.values or prefix]
    return [_layer(node, weigher, prefix, transposed=transposed) for node in wanted], notes


# The tree


def _tree(state: Mapping[Any, Any], versions: Mapping[str, int | None]) -> dict[str, _Node]:
    """Every module path, parents first, in the order of `_metadata` where that fits the names, else of storage."""
    held: dict[str, _Node] = {}
    for key, value in state.items():
        _place(held, key_text(key), value)
    fits = sum(path in versions for path in held) * 2 >= len(held)
    nodes: dict[str, _Node] = {"": held.get("", _Node(""))}
    for path in [*(versions if fits else ()), *held]:
        _add(nodes, path, held)
    for path, node in nodes.items():
        node.version = versions.get(path)
    return nodes


def _place(held: dict[str, _Node], key: str, value: Any) -> None:
    """Put one entry of the state_dict at its module's path."""
    path, name = split_name(key)
    node = held.setdefault(path, _Node(path))
    if is_tensor(value):
        tensor = tensor_of(value)
        if tensor is not None:
            node.tensors[name] = tensor
            return
    packed = dict(tensors_in(name, value)) if isinstance(value, tuple) or is_opaque(value) else {}
    node.tensors.update(packed)
    node.packed.update(packed)
    if not packed:
        node.values[name] = value


def _add(nodes: dict[str, _Node], path: str, held: Mapping[str, _Node]) -> None:
    """Add `path` and the parents it needs."""
    missing: list[str] = []
    while path not in nodes:
        missing.append(path)
        path = path.rpartition(".")[0]
    for found in reversed(missing):
        nodes[found] = held.get(found, _Node(found))
        parent, _, name = found.rpartition(".")
        nodes[parent].children.append(name)


# Kinds


def _stored(node: _Node) -> dict[str, tuple[int, ...] | None]:
    return {name: tensor.shape for name, tensor in node.tensors.items()}


def _shapes(node: _Node) -> dict[str, tuple[int, ...] | None]:
    return computed(_stored(node))


def _inside(node: _Node) -> list[str]:
    """Layers inside, but for those that compute the node's own weights."""
    return [name for name in node.children if name != "parametrizations"]


def _conclude(nodes: Mapping[str, _Node]) -> None:
    """Guess each layer's kind by itself, by its name, by the normalisation after it, then by what all others are."""
    order = [node for node in nodes.values() if node.tensors]
    for node in order:
        node.guess = guess(_shapes(node), _inside(node), node.version)
        if node.guess == Guess():
            node.guess = by_name(node.path.rpartition(".")[2], _shapes(node), _inside(node)) or node.guess
    for node, following in pairwise(order):
        _conclude_by_norm(node, following)
    kinds = {node.guess.kind for node in order}
    for node in order:
        weight = main_weight(_shapes(node))
        if node.guess.kind == "unknown" and weight is not None and is_convolution_shaped(weight):
            rank = convolution_rank(weight)
            if (
                f"conv{rank}" in kinds
                and f"conv_transpose{rank}" not in kinds
                and _shapes(node).keys() <= _CONVOLUTION_NAMES
            ):
                node.guess = Guess(f"conv{rank}", (SQUARE_NOTE,))


_CONVOLUTION_NAMES = {"weight", "bias", "weight_g", "weight_v", "weight_orig", "weight_u"}


def _conclude_by_norm(node: _Node, following: _Node) -> None:
    weight = main_weight(_shapes(node))
    same_parent = node.path.rpartition(".")[0] == following.path.rpartition(".")[0]
    if node.guess.kind != "unknown" or weight is None or not same_parent or following.guess.kind != "batch_norm":
        return
    features = following.tensors["running_mean"].shape
    kind = convolution_before(weight, features[0]) if features else None
    if kind:
        node.guess = Guess(kind)


def _is_input_first(node: _Node) -> bool:
    shapes = _shapes(node)
    weight = main_weight(shapes)
    return (
        node.guess.kind == "linear"
        and weight is not None
        and (linear_layout(weight, shapes.get("bias"), transposed_seen=False) == "in-out")
    )


# Layers


def _layer(node: _Node, weigher: Weigher, prefix: str, *, transposed: bool) -> Layer:
    path = join(prefix, node.path)
    kind = node.guess.kind
    if kind == "unknown" and node.children:
        kind = "container" if node.path else "model"
    parent = node.path.rpartition(".")[0]
    weights = [weight for name in node.tensors for weight in _weights(node, name, weigher, path, transposed=transposed)]
    return Layer(
        path=text(path),
        name=text(path.rpartition(".")[2] or ROOT),
        kind=kind,
        type=None,
        type_source="unknown",
        parent=text(join(prefix, parent))
        if node.path and (parent or prefix)
        else (prefix or None)
        if node.path
        else None,
        config={name: describe(value) for name, value in node.values.items()},
        weights=tuple(weights),
        notes=tuple(note for note in node.guess.notes if note != INSTANCE_NOTE),
    )


def _weights(node: _Node, name: str, weigher: Weigher, path: str, *, transposed: bool) -> list[Weight]:
    tensor = node.tensors[name]
    role = _role(node, name)
    group, trainable, source = rule_group(tensor, role)
    if name in node.packed:
        group, trainable, source = "frozen", False, "rule"
    layout = layout_of(node.guess.kind, role, len(tensor.shape) if tensor.shape is not None else None)
    if node.guess.kind == "linear" and role in ("kernel", "weight_v") and tensor.shape is not None:
        layout = linear_layout(tensor.shape, _shapes(node).get("bias"), transposed_seen=transposed)
        if layout is None and transposed and is_input_first_name(node.path.rpartition(".")[2]):
            layout = "in-out"
    label = Label(path, name, role, group, trainable, source, layout)
    return [weigher.weight(tensor, label), *weigher.parts(tensor, label)]


def _role(node: _Node, name: str) -> str:
    if name in node.packed:
        return packed_role(node.tensors[name])
    parametrized = parametrized_role(node.guess.kind, name, _stored(node)) or _buffer_role(node, name)
    if parametrized:
        return parametrized
    adapter = _ADAPTERS.get(node.path.rpartition(".")[2]) if name == "weight" else None
    if adapter:
        return adapter
    if node.guess.norm and name in ("weight", "bias"):
        return "scale" if name == "weight" else "offset"
    found = role_of(node.guess.kind, name, node.tensors)
    if found:
        return found
    if name == "weight":
        return "kernel" if is_convolution_shaped(node.tensors[name].shape) and "bias" in node.tensors else "weight"
    return "parameter"


_ADAPTERS = {"lora_A": "lora_a", "lora_B": "lora_b"}


def _buffer_role(node: _Node, name: str) -> str | None:
    """Singular vectors of spectral_norm, which the parametrisation keeps itself."""
    steps = node.path.split(".")
    inside = len(steps) >= 3 and steps[-3] == "parametrizations"
    return "spectral_vector" if inside and name in ("_u", "_v") else None


def join(prefix: str, path: str) -> str:
    """`prefix.path`, either of which may be empty; `.` for the root."""
    return ".".join(part for part in (prefix, path) if part) or ROOT
