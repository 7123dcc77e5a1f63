"""Values that are no numbers, or infinite; knows which tensors hold infinities on purpose."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context, measured
from service.enrich.findings.rule import Rule
from service.language import msg
from service.tree import Finding

RULE = Rule(
    id="non_finite_values",
    severity="critical",
    title=msg("NaN or infinite values"),
    why=msg("One of them spoils every output that it touches, and no training recovers from it."),
    reference="Micikevicius et al. 2018, arXiv:1710.03740",
    needs=("values",),
)
_BACK = msg(
    "Go back to the last checkpoint without them; clip gradients, lower the learning rate, scale the loss in float16."
)
_ON_PURPOSE = ("mask", "constant", "buffer", "other", "vocabulary")


def check(context: Context) -> Iterator[Finding]:
    """One finding per parameter or statistic with such values."""
    for layer, weight, seen in measured(context.model):
        infinite = (seen.positive_infinity or 0) + (seen.negative_infinity or 0)
        if weight.role in _ON_PURPOSE or weight.group == "other" or not (seen.nan or infinite):
            continue
        what = msg(
            "Of the {count} values of {weight} of {layer}, {nan} are NaN and {infinite} are infinite.",
            count=seen.count, weight=weight.name, layer=layer.path, nan=seen.nan or 0, infinite=infinite,
        )  # fmt: skip
        yield RULE.found(what, _BACK, layer.path)
