"""Kernels of one value only; knows nothing of where the value comes from."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context
from service.enrich.findings.rule import Rule
from service.enrich.findings.values import kernels, shown
from service.language import msg
from service.tree import Finding

RULE = Rule(
    id="constant_weights",
    severity="medium",
    title=msg("Kernel of one value only"),
    why=msg(
        "Units with equal weights compute the same, get the same gradient, and stay equal however long they train."
    ),
    reference="Goodfellow, Bengio and Courville 2016, Deep Learning, section 8.4",
    needs=("values",),
)
_START = msg("Start from a random initializer, and check how the weights were stored; fixed filters may be so.")


def check(context: Context) -> Iterator[Finding]:
    """One finding per kernel; zeros throughout are another rule's."""
    for layer, weight, seen in kernels(context.model):
        if seen.constant and seen.zeros == 0:
            what = msg("All {count} values of {weight} of {layer} are {value}.", count=seen.count, weight=weight.name,
                       layer=layer.path, value=shown(seen.min))  # fmt: skip
            yield RULE.found(what, _START, layer.path)
