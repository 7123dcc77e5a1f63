"""Rectifiers with a learned slope: one value per channel, or per position where axes are not shared."""

from __future__ import annotations

import math

from service.enrich.explanations.recipe import Claim, Recipe, Sum, term
from service.enrich.explanations.references import reference
from service.enrich.explanations.shapes import by_role, figures, sizes
from service.language import msg, sentences
from service.tree import Layer

KINDS = ("prelu",)


def explain(layer: Layer, framework: str) -> Recipe | None:
    """The product of the slope's axes; None where there is no slope."""
    shape = sizes(by_role(layer).get("slope"))
    if shape is None:
        return None
    factors = tuple(
        term(f"slope[{axis}]", msg("size of the slopes along axis {axis}", axis=axis), size)
        for axis, size in enumerate(shape)
    )
    claims: tuple[Claim, ...] = (("num_parameters", math.prod(shape)),) if framework == "torch" else ()
    return Recipe(
        sums=(Sum(products=(factors,)),),
        text=msg("It learns how steep it is below zero, with {slopes} slopes.", slopes=figures(shape) if shape else 1),
        expert=sentences(
            msg("Keras keeps one slope per position and channel of its input; each axis in shared_axes becomes 1."),
            msg("PyTorch keeps num_parameters slopes: 1 by default, or one per channel."),
        ),
        reference=reference(layer, framework),
        claims=claims,
    )
