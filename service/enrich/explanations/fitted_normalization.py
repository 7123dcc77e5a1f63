"""Feature-wise normalisation fitted beforehand: a mean and a variance per feature, and a counter.

Knows Keras' Normalization; nothing of it is learned by gradient.
"""

from __future__ import annotations

from service.enrich.explanations.recipe import Recipe, Sum, term
from service.enrich.explanations.references import reference
from service.enrich.explanations.shapes import by_role, figures, sizes
from service.language import msg, sentences
from service.tree import Layer

KINDS = ("normalization",)


def explain(layer: Layer, framework: str) -> Recipe | None:
    """`2 × features + 1`; None where mean and variance are not both there."""
    held = by_role(layer)
    shape = sizes(held.get("mean"))
    if shape is None or "variance" not in held:
        return None
    features = tuple(term("features", msg("features, each with a mean and a variance"), size) for size in shape)
    vectors = (term("vectors", msg("vectors of one value per feature: {names}", names=("mean", "variance")), 2),)
    sums = [Sum(outer=vectors, products=(features,))]
    if "count" in held:
        sums.append(Sum(products=((term("count", msg("how many values adapt() has seen"), 1),),)))
    return Recipe(
        sums=tuple(sums),
        text=msg(
            "For each of {features} features it keeps the mean and the variance of the data that adapt() has seen.",
            features=figures(shape) if shape else 1,
        ),
        expert=sentences(
            msg("With mean and variance given as arguments the layer has no weights; else adapt() fits them and "
                "gradient descent never changes them."),
            msg("PyTorch has no such layer; torchvision's Normalize keeps its numbers outside the model."),
        ),
        reference=reference(layer, framework),
    )  # fmt: skip
