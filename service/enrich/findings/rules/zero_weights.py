"""Kernels, and output channels of kernels, that are zero throughout; knows which weights start at zero on purpose."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context
from service.enrich.findings.rule import Rule
from service.enrich.findings.values import kernels, starts_at_zero
from service.language import msg
from service.tree import Finding

RULE = Rule(
    id="zero_weights",
    severity="medium",
    title=msg("Kernel, or channels of one, of nothing but zeros"),
    why=msg(
        "What is multiplied by zero is lost: the output is the bias whatever the input, and no gradient goes back."
    ),
    reference="Goodfellow, Bengio and Courville 2016, Deep Learning, section 8.4",
    needs=("values",),
)
_CHECK = msg(
    "Check how the weights were stored or copied. Right only where a layer starts at zero on purpose, as the last one "
    "of a residual branch may."
)
_PRUNE = msg("These channels can be pruned if they are meant to be dead.")


def check(context: Context) -> Iterator[Finding]:
    """One finding per kernel."""
    for layer, weight, seen in kernels(context.model):
        if seen.zeros == seen.count and starts_at_zero(layer):
            continue
        if seen.zeros == seen.count:
            what = msg("All {count} values of {weight} of {layer} are 0.", count=seen.count, weight=weight.name,
                       layer=layer.path)  # fmt: skip
            yield RULE.found(what, _CHECK, layer.path)
        elif seen.channels is not None and seen.channels.zero and weight.role != "embedding":
            what = msg("{zero} of {count} output channels of {weight} of {layer} are 0 throughout.",
                       zero=seen.channels.zero, count=seen.channels.count, weight=weight.name,
                       layer=layer.path)  # fmt: skip
            yield RULE.found(what, _PRUNE, layer.path, "info")
