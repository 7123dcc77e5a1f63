"""Parameters packed for a quantised operator: a fully connected kernel [units, inputs] with its bias.

Knows PyTorch's LinearPackedParams, which a quantised Linear keeps its kernel in.
"""

from __future__ import annotations

from service.enrich.explanations import linear
from service.enrich.explanations.recipe import Recipe
from service.tree import Layer

KINDS = ("quantization",)


def explain(layer: Layer, framework: str) -> Recipe | None:
    """That of a fully connected layer; None for any other packed parameters."""
    roles = sorted(weight.role for weight in layer.weights)
    if roles not in (["packed_kernel"], ["bias", "packed_kernel"]):
        return None
    return linear.explain(layer, framework)
