"""Values so large that something went wrong; knows two limits."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context, measured
from service.enrich.findings.rule import Rule
from service.enrich.findings.values import is_float, shown
from service.language import msg
from service.tree import Finding, Weight

RULE = Rule(
    id="huge_values",
    severity="medium",
    title=msg("Very large values"),
    why=msg(
        "Weights of this size overflow float16 (65,504) in the next product, drown what is added to them, and are a "
        "sign of training that diverged."
    ),
    reference="Micikevicius et al. 2018, arXiv:1710.03740",
    needs=("values",),
)
_EARLIER = msg("Look at the loss when the model was saved; take an earlier checkpoint; bring the inputs to unit scale.")
PARAMETER_LIMIT = 1e4
STATISTIC_LIMIT = 1e12
"""Moving statistics of raw inputs are large, and their squares larger."""


def check(context: Context) -> Iterator[Finding]:
    """One finding per parameter or moving statistic beyond its limit."""
    for layer, weight, seen in measured(context.model):
        limit = _limit(weight)
        if limit is not None and seen.linf is not None and seen.linf > limit:
            what = msg("The largest value of {weight} of {layer} is {largest} in size.", weight=weight.name,
                       layer=layer.path, largest=shown(seen.linf))  # fmt: skip
            yield RULE.found(what, _EARLIER, layer.path)


def _limit(weight: Weight) -> float | None:
    if not is_float(weight):
        return None
    if weight.group in ("trainable", "frozen", "unknown"):
        return PARAMETER_LIMIT
    return STATISTIC_LIMIT if weight.role in ("moving_mean", "moving_variance") else None
