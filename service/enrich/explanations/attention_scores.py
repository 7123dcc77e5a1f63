"""Attention without projections: at most a learned multiplier of the scores.

Knows Keras' Attention and AdditiveAttention.
"""

from __future__ import annotations

from service.enrich.explanations.recipe import Recipe, Sum, term
from service.enrich.explanations.references import reference
from service.enrich.explanations.shapes import sizes
from service.language import msg
from service.tree import Layer, Term

KINDS = ("attention",)


def explain(layer: Layer, framework: str) -> Recipe | None:
    """One product per learned multiplier; None if there is anything else."""
    products: list[tuple[Term, ...]] = []
    for weight in layer.weights:
        shape = sizes(weight)
        if weight.role != "attention_score_scale" or shape is None or len(shape) > 1:
            return None
        meaning = msg("learned multipliers of the scores: {name}", name=weight.name)
        products.append((term(weight.name, meaning, shape[0] if shape else 1),))
    return Recipe(
        sums=(Sum(products=tuple(products)),),
        text=msg("It compares queries with keys without projecting them; only multipliers of the scores are learned."),
        expert=msg(
            "use_scale adds one value in Attention and one per feature in AdditiveAttention; score_mode='concat' adds "
            "one. Without them the layer has no weights. PyTorch has no such layer."
        ),
        reference=reference(layer, framework),
    )
