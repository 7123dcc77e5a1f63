"""Small questions that rules ask of a layer's weights; knows roles and shapes, no kind."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from service.tree import Layer, Weight


def by_role(layer: Layer) -> dict[str, Weight]:
    """The first weight of each role."""
    found: dict[str, Weight] = {}
    for weight in layer.weights:
        found.setdefault(weight.role, weight)
    return found


def is_plain(layer: Layer, roles: AbstractSet[str]) -> bool:
    """Whether every weight's role is one of `roles`, each at most once."""
    seen = [weight.role for weight in layer.weights]
    return len(seen) == len(set(seen)) and set(seen) <= roles


def sizes(weight: Weight | None) -> tuple[int, ...] | None:
    """The weight's shape with every size known, else None."""
    if weight is None or weight.shape is None or None in weight.shape:
        return None
    return tuple(size for size in weight.shape if size is not None)
