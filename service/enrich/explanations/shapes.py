"""Small questions that rules ask of a layer's weights; knows roles and shapes, no kind."""

from __future__ import annotations

from service.tree import Layer, Shape, Weight

Sizes = tuple[int, ...]


def by_role(layer: Layer) -> dict[str, Weight]:
    """The first weight of each role."""
    found: dict[str, Weight] = {}
    for weight in layer.weights:
        found.setdefault(weight.role, weight)
    return found


PROJECTIONS = ("query", "key", "value", "output", "qkv")
"""Parts of an attention, each of which may be a layer of its own: its roles are `query_kernel` and `query_bias`."""


def kernel_of(layer: Layer) -> Weight | None:
    """The layer's kernel; of a weight-normalised one its direction, which has the same shape."""
    held = by_role(layer)
    found = held.get("kernel") or held.get("weight_v") or held.get("packed_kernel")
    return found or _of_projection(held, "kernel")


def bias_of(layer: Layer) -> Weight | None:
    """The layer's bias."""
    held = by_role(layer)
    return held.get("bias") or _of_projection(held, "bias")


def _of_projection(held: dict[str, Weight], what: str) -> Weight | None:
    return next((held[role] for part in PROJECTIONS if (role := f"{part}_{what}") in held), None)


def sizes(weight: Weight | None) -> Sizes | None:
    """The weight's shape with every size known, else None."""
    return None if weight is None else known(weight.shape)


def known(shape: Shape | None) -> Sizes | None:
    """A shape with every size known, else None."""
    if shape is None or None in shape:
        return None
    return tuple(size for size in shape if size is not None)


def figures(shape: Sizes) -> str | int:
    """`6 × 8`; of a single axis the number itself, so that it is written as numbers are."""
    return shape[0] if len(shape) == 1 else " × ".join(map(str, shape))
