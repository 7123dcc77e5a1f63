"""A `state_dict` as named arrays: its tensors, packed objects, plain values and `_metadata`; knows no file.

What its names and shapes mean is concluded in `named_layers`, as for the arrays of every other format.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from service.catalog.named_arrays import Stored
from service.catalog.named_layers import ROOT, join, layers_of_tree
from service.catalog.named_tree import tree_of
from service.catalog.packing_schemes import Scheme
from service.catalog.torch_packed import is_opaque, packed_role, tensors_in
from service.catalog.torch_parametrized import split_name
from service.catalog.torch_tensors import is_tensor, tensor_of
from service.catalog.torch_values import attributes_of, key_text, mapping_of
from service.catalog.torch_weights import Weigher
from service.language import Message
from service.tree import Layer

__all__ = ["ROOT", "join", "layers_of", "metadata_of"]


@dataclass(slots=True)
class _Contents:
    """What a state_dict holds: arrays in its order, and by path what is no array."""

    arrays: list[Stored] = field(default_factory=list)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)


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
    found = _Contents()
    for key, value in (mapping_of(state) or {}).items():
        _place(found, key_text(key), value, weigher, prefix)
    nodes = tree_of(found.arrays, weigher.limits, metadata_of(state), found.values)
    return layers_of_tree(nodes, weigher.ledger, Scheme(), prefix=prefix)


def _place(found: _Contents, key: str, value: Any, weigher: Weigher, prefix: str) -> None:
    """Take one entry of the state_dict for what it is."""
    tensor = tensor_of(value) if is_tensor(value) else None
    packed = tensors_in(key, value) if tensor is None and (isinstance(value, tuple) or is_opaque(value)) else []
    if tensor is not None:
        found.arrays.extend(weigher.stored(tensor, key, prefix))
    for name, inner in packed:
        found.arrays.extend(weigher.stored(inner, name, prefix, role=packed_role(inner), group="frozen"))
    if tensor is None and not packed:
        path, name = split_name(key)
        found.values.setdefault(path, {})[name] = value
