"""The honest sum of a layer's weights, for layers without a rule of their own; claims no reason it does not know."""

from __future__ import annotations

from service.enrich.explanations.recipe import MAX_NAMES, Recipe, Sum, counted, term
from service.enrich.explanations.shapes import sizes
from service.frameworks import OWN_RULES
from service.language import Message, msg, msgn
from service.tree import Layer, Term, Weight, element_count


def sum_of_weights(layer: Layer, framework: str) -> Recipe:
    """One product of sizes per weight."""
    weights = counted(layer, framework)
    products = tuple(weight_product(weight) for weight in weights)
    return Recipe(
        sums=(Sum(products=products),) if products else (),
        text=_text(layer, weights),
        expert=_expert(layer, framework),
    )


def weight_product(weight: Weight) -> tuple[Term, ...]:
    """One factor per axis; the bare count where the shape does not give it."""
    shape = sizes(weight)
    if shape and weight.count == element_count(shape):
        return tuple(
            term(f"{weight.name}[{axis}]", msg("size of {name} along axis {axis}", name=weight.name, axis=axis), size)
            for axis, size in enumerate(shape)
        )
    return (term(weight.name, msg("values in {name}", name=weight.name), weight.count or 0),)


def _text(layer: Layer, weights: tuple[Weight, ...]) -> Message:
    if not weights:
        return msg("The layer has no parameters.")
    listed = ", ".join(f"{weight.name} {_shape(weight)}" for weight in weights[:MAX_NAMES])
    more = len(weights) - MAX_NAMES
    if more > 0:
        return msgn(
            "{type} has {listed} and {n} weight more; the count is the sum of their sizes.",
            "{type} has {listed} and {n} weights more; the count is the sum of their sizes.",
            n=more, type=_called(layer), listed=listed,
        )  # fmt: skip
    return msg("{type} has {listed}; the count is the sum of their sizes.", type=_called(layer), listed=listed)


def _called(layer: Layer) -> Message | str:
    """The class; layers of no known class say the same, whatever they are called, so that it is said once for all."""
    return layer.type or msg("This layer")


def _expert(layer: Layer, framework: str) -> Message:
    if (layer.custom or layer.kind == "custom") and framework not in OWN_RULES:
        return msg("There is no formula for {type}: the file has its weights, but not the reason for their sizes.",
                   type=_called(layer))  # fmt: skip
    if layer.custom or layer.kind == "custom":
        return msg("{type} is a class of neither framework: the file has its weights, but not the reason for their "
                   "sizes.", type=_called(layer))  # fmt: skip
    if layer.kind == "parameter":
        return msg("These weights belong to no layer of a known class; the model holds them itself.")
    if layer.type is None:
        return msg("The file does not name the class of this layer, so there is no reason to give for the sizes.")
    return msg("There is no formula for these weights of {type}; the sizes are those in the file.", type=layer.type)


def _shape(weight: Weight) -> str:
    return "[?]" if weight.shape is None else "[" + ", ".join(str(size) for size in weight.shape) + "]"
