"""Weights that torch.nn.utils.parametrize computes: `conv.parametrizations.weight.original0` is the conv's own.

A layer with a parametrised tensor keeps what it is computed from in a ParametrizationList inside it. Here these
tensors are given back to the layer, under their relative names. Knows names and shapes, no file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from service.catalog.torch_layers import role_of

Sizes = tuple[int, ...]
_OWNED = re.compile(r"(?:(?P<path>.+)\.)?(?P<name>parametrizations\.\w+\.original\d*)")
_NAME = re.compile(r"parametrizations\.(?P<stem>\w+)\.original(?P<number>\d*)")


def split_name(full: str) -> tuple[str, str]:
    """(module path, local name) of a weight; `a.parametrizations.weight.original0` belongs to `a`."""
    found = _OWNED.fullmatch(full)
    if found is not None:
        return found["path"] or "", found["name"]
    path, _, name = full.rpartition(".")
    return path, name


def computed(shapes: Mapping[str, Sizes | None]) -> dict[str, Sizes | None]:
    """Shapes by plain names: of a parametrised tensor the one that the computed tensor has, where that is certain."""
    found: dict[str, Sizes | None] = {}
    for name, shape in shapes.items():
        match = _NAME.fullmatch(name)
        if match is None:
            found[name] = shape
        elif not match["number"] or (match["number"] == "1" and _is_weight_norm(match["stem"], shapes)):
            found[match["stem"]] = shape
    return found


def parametrized_role(kind: str, name: str, shapes: Mapping[str, Sizes | None]) -> str | None:
    """The role of a weight with a name of this kind; None for any other name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    stem, number = match["stem"], match["number"]
    if not number:
        return role_of(kind, stem, ()) or ("kernel" if stem == "weight" else "parameter")
    if number in ("0", "1") and _is_weight_norm(stem, shapes):
        return "weight_g" if number == "0" else "weight_v"
    return "parameter"


def _is_weight_norm(stem: str, shapes: Mapping[str, Sizes | None]) -> bool:
    """Whether two tensors are lengths and directions: one length per slice along one axis, or a single one."""
    lengths, direction = (shapes.get(f"parametrizations.{stem}.original{number}") for number in (0, 1))
    if lengths is None or direction is None or f"parametrizations.{stem}.original2" in shapes:
        return False
    if not lengths:
        return True
    kept = sum(size == other for size, other in zip(lengths, direction, strict=False) if size != 1)
    return len(lengths) == len(direction) and sum(size != 1 for size in lengths) == kept <= 1
