"""Bilinear layers: one matrix per output. Knows PyTorch Bilinear."""

from __future__ import annotations

from service.enrich.explanations.recipe import Recipe, Sum, evaluate, term
from service.enrich.explanations.references import reference
from service.enrich.explanations.remarks import without_or_with_bias
from service.enrich.explanations.shapes import by_role, kernel_of, sizes
from service.language import msg, sentences
from service.tree import Layer

KINDS = ("bilinear",)


def explain(layer: Layer, framework: str) -> Recipe | None:
    """`outputs × first × second (+ outputs)`; None where there is no kernel of three axes."""
    shape = sizes(kernel_of(layer))
    if shape is None or len(shape) != 3:
        return None
    units, first, second = shape
    bias = "bias" in by_role(layer)
    per_unit = term("outputs", msg("output features"), units)
    left = term("inputs 1", msg("features of the first input"), first)
    right = term("inputs 2", msg("features of the second input"), second)
    sums = (Sum(products=((per_unit, left, right), (per_unit,)) if bias else ((per_unit, left, right),)),)
    return Recipe(
        sums=sums,
        text=msg(
            "Each of the {units} outputs weighs every pair of one of the {first} features of the first input "
            "with one of the {second} of the second.",
            units=units, first=first, second=second,
        ),
        expert=sentences(
            without_or_with_bias(framework, bias, evaluate(sums), units),
            msg("The count grows with the product of both inputs. Keras has no such layer."),
        ),
        reference=reference(layer, framework),
        claims=(("in1_features", first), ("in2_features", second), ("out_features", units)),
    )  # fmt: skip
