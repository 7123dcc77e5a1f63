"""Which weights the rules about values look at, and how they are named; knows no rule."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import measured
from service.measured import WeightStatistics
from service.tree import Layer, Model, Weight

_KERNELS = frozenset({
    "kernel", "depthwise_kernel", "pointwise_kernel", "recurrent_kernel", "projection_kernel", "query_kernel",
    "key_kernel", "value_kernel", "output_kernel", "qkv_kernel", "embedding", "lora_a",
})  # fmt: skip
"""Roles of weights that start at random. The B of a LoRA pair starts at zero (Hu et al. 2021, arXiv:2106.09685)."""


def is_float(weight: Weight) -> bool:
    """Whether its values are numbers as the model uses them, and no codes of a quantisation."""
    return (weight.dtype or "").startswith(("float", "bfloat"))


def kernels(model: Model) -> Iterator[tuple[Layer, Weight, WeightStatistics]]:
    """The measured weights that a layer multiplies with: more than one value, of a floating type."""
    for layer, weight, seen in measured(model):
        rank = len(weight.shape or ())
        known = weight.role in _KERNELS or (weight.role == "weight" and rank > 1)
        if known and is_float(weight) and seen.count is not None and seen.count > 1:
            yield layer, weight, seen


def starts_at_zero(layer: Layer) -> bool:
    """Whether it is the B of a LoRA pair that is a module of its own, as PEFT names it."""
    return any(step.startswith("lora_b") for step in layer.path.lower().replace("/", ".").split("."))


def seen_in(layer: Layer, role: str) -> WeightStatistics | None:
    """What was seen in the layer's one weight of this role; None if it was not read, or is tied to another's."""
    found = [weight for weight in layer.weights if weight.role == role]
    seen = found[0].statistics if len(found) == 1 else None
    return seen if seen is not None and seen.status == "complete" and seen.count else None


def shown(value: float | None) -> str:
    """A measured number for a sentence."""
    return "?" if value is None else f"{value:.6g}"
