"""Moving variances that no data can have, or that say a channel never changed; knows only their signs."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context, measured
from service.enrich.findings.rule import Rule
from service.enrich.findings.values import shown
from service.language import msg
from service.tree import Finding

RULE = Rule(
    id="bad_variance",
    severity="high",
    title=msg("Negative or zero moving variance"),
    why=msg(
        "A variance is a mean of squares and cannot be negative: the file is damaged, or mean and variance were mixed "
        "up, and the root of the variance is not a number. A variance of 0 belongs to a channel that was constant in "
        "training: anything new in it is scaled by one over the root of epsilon."
    ),
    reference="Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 2",
    needs=("values",),
)
_COMPARE = msg("Compare with the original; look for mean and variance in each other's places.")
_PRUNE = msg("The channel is dead, most often behind a ReLU: prune it, or train again.")


def check(context: Context) -> Iterator[Finding]:
    """One finding per moving variance and kind of trouble."""
    for layer, weight, seen in measured(context.model):
        if weight.role != "moving_variance":
            continue
        if seen.negative:
            what = msg("{negative} of {count} moving variances of {layer} are negative, down to {least}.",
                       negative=seen.negative, count=seen.count, layer=layer.path, least=shown(seen.min))  # fmt: skip
            yield RULE.found(what, _COMPARE, layer.path)
        if seen.zeros:
            what = msg("{zeros} of {count} moving variances of {layer} are 0.", zeros=seen.zeros, count=seen.count,
                       layer=layer.path)  # fmt: skip
            yield RULE.found(what, _PRUNE, layer.path, "low")
