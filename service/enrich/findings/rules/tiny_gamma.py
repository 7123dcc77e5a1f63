"""Channels that a BatchNormalization scales to next to nothing; knows magnitudes by their powers of two."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from service.enrich.findings.context import Context
from service.enrich.findings.rule import Rule
from service.enrich.findings.values import seen_in
from service.language import Message, msg, sentences
from service.measured import WeightStatistics
from service.tree import Finding

RULE = Rule(
    id="tiny_gamma",
    severity="info",
    title=msg("Channels that a normalisation all but switches off"),
    why=msg("A channel scaled by next to nothing carries only its constant shift, and is computed all the same."),
    reference="Liu et al. 2017, arXiv:1708.06519",
    needs=("values",),
)
_PRUNE = msg(
    "Such channels can be pruned, with their filters before and their inputs behind; the shift moves into the next "
    "bias. Gammas of 0 throughout are also a way to start training residual blocks."
)
_EXPONENT = -10
"""Power of two below which a gamma is tiny: 2^-10 is 0.00098."""
_MAX_NAMED = 10


def check(context: Context) -> Iterator[Finding]:
    """One finding per BatchNormalization with such channels."""
    for layer in context.own("batch_norm"):
        seen = seen_in(layer, "scale")
        tiny = 0 if seen is None else _tiny(seen)
        if seen is not None and tiny:
            what = msg(
                "{tiny} of {count} channels of {layer} have a gamma below {limit} in size; {zeros} of them have 0.",
                tiny=tiny, count=seen.count, layer=layer.path, limit=f"{2.0**_EXPONENT:.2g}", zeros=seen.zeros or 0,
            )  # fmt: skip
            yield RULE.found(sentences(what, _first_of(seen)), _PRUNE, layer.path)


def _tiny(seen: WeightStatistics) -> int:
    """How many values are below 2^-10 in size."""
    found = (seen.zeros or 0) + (seen.denormal or 0)
    if seen.exponents is None:
        return found
    return found + sum(seen.exponents.counts[: max(0, _EXPONENT - seen.exponents.first)])


def _first_of(seen: WeightStatistics) -> Message | None:
    """Which channels they are, counted from 0; None where the single values were not kept."""
    tiny = (index for index, value in enumerate(seen.values or ()) if value is not None and abs(value) < 2.0**_EXPONENT)
    named = tuple(islice(tiny, _MAX_NAMED))
    return msg("The first of them, counted from 0: {channels}.", channels=named) if named else None
