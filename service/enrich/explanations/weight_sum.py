"""The honest sum of a layer's weights, for layers without a rule of their own; claims no reason it does not know."""

from __future__ import annotations

from service.enrich.explanations.recipe import Recipe, Sum, counted, term
from service.tree import Layer, Term, Weight, element_count


def sum_of_weights(layer: Layer, framework: str) -> Recipe:
    """One product of sizes per weight."""
    weights = counted(layer, framework)
    listed = ", ".join(f"{weight.name} {_shape(weight)}" for weight in weights) or "no parameters"
    what = f"{layer.type} has" if layer.type else "The layer has"
    return Recipe(
        sums=(Sum(products=tuple(_product(weight) for weight in weights)),) if weights else (),
        text=f"{what} {listed}; the count is the sum of their sizes.",
    )


def _shape(weight: Weight) -> str:
    return "of unknown shape" if weight.shape is None else "[" + ", ".join(str(size) for size in weight.shape) + "]"


def _product(weight: Weight) -> tuple[Term, ...]:
    if weight.shape and weight.count == element_count(weight.shape):
        return tuple(
            term(f"{weight.name}[{axis}]", f"size of {weight.name} along axis {axis}", size or 0)
            for axis, size in enumerate(weight.shape)
        )
    return (term(weight.name, f"values in {weight.name}", weight.count or 0),)
