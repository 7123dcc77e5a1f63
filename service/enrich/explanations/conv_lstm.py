"""Recurrent layers whose gates are convolutions: 4 × (window × inputs × filters + window × filters² + filters).

Knows Keras' ConvLSTM1D to 3D; PyTorch has none.
"""

from __future__ import annotations

from service.enrich.explanations.convolution import read_kernel
from service.enrich.explanations.recipe import Recipe, Sum, evaluate, term
from service.enrich.explanations.references import reference
from service.enrich.explanations.remarks import no_effect, without_or_with_bias
from service.enrich.explanations.shapes import by_role
from service.language import msg, sentences
from service.tree import Layer, Term

KINDS = ("conv_lstm",)
_GATES = 4


def explain(layer: Layer, framework: str) -> Recipe | None:
    """Two kernels and a bias for each of 4 gates; None where the kernels are not convolutions of 4 gates."""
    held = by_role(layer)
    if "kernel" not in held or "recurrent_kernel" not in held:
        return None
    kernel, recurrent = read_kernel(held["kernel"]), read_kernel(held["recurrent_kernel"])
    if kernel is None or recurrent is None or recurrent.filters != _GATES * recurrent.channels:
        return None
    filters = recurrent.channels
    per_filter = term("filters", msg("filters, one per output channel"), filters)
    seen = term("input channels", msg("input channels that one filter sees (per group)"), kernel.channels)
    carried = term("state channels", msg("channels of the state carried to the next step"), filters)
    bias = "bias" in held
    products: list[tuple[Term, ...]] = [(*kernel.product[:-2], seen, per_filter)]
    products.append((*recurrent.product[:-2], carried, per_filter))
    if bias:
        products.append((per_filter,))
    gates = term("gates", msg("gates: input, forget, cell and output"), _GATES)
    sums = (Sum(outer=(gates,), products=tuple(products)),)
    return Recipe(
        sums=sums,
        text=msg(
            "It is an LSTM whose {gates} gates are convolutions: each has a kernel on the {channels} channels of the "
            "input and one on the {filters} channels of its own state, for each of {filters} filters.",
            gates=_GATES, channels=kernel.channels, filters=filters,
        ),
        expert=sentences(
            without_or_with_bias(framework, bias, evaluate(sums), _GATES * filters),
            no_effect(framework, keras=("strides", "padding", "dilation_rate", "return_sequences", "stateful")),
            msg("PyTorch has no such layer."),
        ),
        reference=reference(layer, framework),
        claims=(("filters", filters), ("kernel_size", kernel.window), ("use_bias", bias)),
    )  # fmt: skip
