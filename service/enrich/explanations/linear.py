"""Fully connected layers: `in × out + out`. Knows Keras Dense and PyTorch Linear, with LoRA pairs."""

from __future__ import annotations

from service.enrich.explanations.recipe import Recipe, Sum, term
from service.enrich.explanations.shapes import by_role, is_plain
from service.tree import Layer, Term

KINDS = ("linear",)
_REFERENCES = {"keras": "https://keras.io/api/layers/core_layers/dense/", "torch": "torch.nn.Linear"}


def explain(layer: Layer, framework: str) -> Recipe | None:
    """`inputs × units (+ units)`; None for weights that do not fit a plain or LoRA layer."""
    held = by_role(layer)
    kernel = held.get("kernel")
    if kernel is None or kernel.shape is None or len(kernel.shape) != 2 or not is_plain(layer, _KNOWN):
        return None
    first, second = (size or 0 for size in kernel.shape)
    inputs, units = (second, first) if kernel.layout == "out-in" else (first, second)
    per_input, per_unit = term("inputs", "input features", inputs), term("units", "units (output features)", units)
    products: list[tuple[Term, ...]] = [(per_input, per_unit)]
    product = f"{inputs} × {units} = {inputs * units}"
    sentence = f"Each of the {units} units has one weight for each of the {inputs} inputs ({product})"
    if "bias" in held:
        products.append((per_unit,))
        sentence += f" and one bias ({units})"
    else:
        sentence += " and no bias"
    return Recipe(
        sums=(Sum(products=tuple(products)), *_lora(layer)), text=f"{sentence}.", reference=_REFERENCES.get(framework)
    )


_KNOWN = {"kernel", "bias", "lora_a", "lora_b"}


def _lora(layer: Layer) -> tuple[Sum, ...]:
    pair = [weight for weight in layer.weights if weight.role in ("lora_a", "lora_b")]
    return tuple(
        Sum(products=(tuple(term(f"{weight.name}[{axis}]", f"size of the low-rank pair's {weight.name}", size or 0)
                            for axis, size in enumerate(weight.shape or ())),))
        for weight in pair
    )  # fmt: skip
