"""Fully connected layers: `inputs × units + units`. Knows Keras Dense, PyTorch Linear, and the kernels of experts."""

from __future__ import annotations

from service.enrich.explanations.recipe import Claim, Recipe, Sum, evaluate, term
from service.enrich.explanations.references import reference
from service.enrich.explanations.remarks import no_effect, same_elsewhere, without_or_with_bias
from service.enrich.explanations.shapes import Sizes, bias_of, kernel_of, sizes
from service.frameworks import OWN_RULES
from service.language import Message, msg, msgn, sentences
from service.tree import Layer

KINDS = ("linear",)
_NOT_PLAIN = frozenset({"MaxoutDense", "Highway"})
"""Classes of Keras 1 with several kernels."""


def explain(layer: Layer, framework: str) -> Recipe | None:
    """`inputs × units (+ units)`; None where the layer holds no single matrix."""
    kernel = kernel_of(layer)
    shape = sizes(kernel)
    if kernel is None or shape is None or layer.type in _NOT_PLAIN:
        return None
    if len(shape) == 3:
        return _stacked(layer, framework, shape)
    if len(shape) != 2:
        return None
    inputs, units = shape[::-1] if kernel.layout == "out-in" or kernel.role == "packed_kernel" else shape
    bias = bias_of(layer) is not None
    per_unit = term("units", msg("units (output features)"), units)
    products = [(term("inputs", msg("input features"), inputs), per_unit)]
    sums = (Sum(products=(*products, (per_unit,)) if bias else (*products,)),)
    return Recipe(
        sums=sums,
        text=_text(inputs, units, bias=bias),
        expert=_expert(framework, evaluate(sums), units, kernel.layout, bias=bias),
        reference=reference(layer, framework),
        claims=_claims(framework, inputs, units, bias=bias),
    )


def _stacked(layer: Layer, framework: str, shape: Sizes) -> Recipe:
    """`experts × (units × inputs (+ units))`: the kernels of all experts in one array."""
    experts, units, inputs = shape
    per_unit = term("units", msg("units (output features)"), units)
    bias = bias_of(layer) is not None
    products = [(per_unit, term("inputs", msg("input features"), inputs)), *([(per_unit,)] if bias else [])]
    each = term("experts", msg("fully connected layers of the same sizes, one per expert"), experts)
    return Recipe(
        sums=(Sum(outer=(each,), products=tuple(products)),),
        text=sentences(
            msgn("The array holds the kernel of {n} expert.", "The array holds the kernels of {n} experts.", n=experts),
            _text(inputs, units, bias=bias),
        ),
        expert=msg("Every expert counts, though a token is sent through a few of them only."),
        reference=reference(layer, framework),
    )


def _text(inputs: int, units: int, *, bias: bool) -> Message:
    product = f"{inputs} × {units} = {inputs * units}"
    if bias:
        return msgn(
            "Its one unit has one weight for each of the {inputs} inputs ({product}) and one bias.",
            "Each of the {n} units has one weight for each of the {inputs} inputs ({product}) and one bias ({n}).",
            n=units, inputs=inputs, product=product,
        )  # fmt: skip
    return msgn(
        "Its one unit has one weight for each of the {inputs} inputs ({product}) and no bias.",
        "Each of the {n} units has one weight for each of the {inputs} inputs ({product}) and no bias.",
        n=units, inputs=inputs, product=product,
    )  # fmt: skip


def _expert(framework: str, total: int, units: int, layout: str | None, *, bias: bool) -> Message:
    return sentences(
        without_or_with_bias(framework, bias, total, units),
        same_elsewhere(framework, keras="keras.layers.Dense", torch="torch.nn.Linear"),
        _stored(framework, layout),
        msg("The layer works on the last axis only: batch size and number of positions do not change the count.")
        if framework in OWN_RULES
        else msg("Batch size and number of positions do not change the count."),
        no_effect(framework, keras=("activation",)),
    )


def _stored(framework: str, layout: str | None) -> Message | None:
    """Which axis of the kernel comes first."""
    if framework == "keras":
        return msg("Keras stores the kernel as [inputs, units], PyTorch its transpose.")
    if framework == "torch":
        return msg("PyTorch stores the weight as [units, inputs], Keras its transpose.")
    if layout == "in-out":
        return msg("The file stores the kernel as [inputs, units], as Keras does; PyTorch stores its transpose.")
    if layout == "out-in":
        return msg("The file stores the kernel as [units, inputs], as PyTorch does; Keras stores its transpose.")
    return None


def _claims(framework: str, inputs: int, units: int, *, bias: bool) -> tuple[Claim, ...]:
    if framework == "torch":
        return (("in_features", inputs), ("out_features", units))
    return (("units", units), ("use_bias", bias)) if framework == "keras" else ()
