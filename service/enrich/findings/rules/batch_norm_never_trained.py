"""Moving statistics as they are when a BatchNormalization is made; knows the two initial values."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context
from service.enrich.findings.rule import Rule
from service.enrich.findings.values import seen_in
from service.language import msg
from service.measured import WeightStatistics
from service.tree import Finding

RULE = Rule(
    id="batch_norm_never_trained",
    severity="medium",
    title=msg("BatchNormalization statistics that were never updated"),
    why=msg(
        "A moving mean of 0 and a moving variance of 1 are where every BatchNormalization starts. In use such a layer "
        "does not normalise: the model was never trained, was trained in inference mode, or lost its statistics."
    ),
    reference="https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html",
    needs=("values",),
)
_TRAIN = msg("Train with the layer in training mode, or check that the statistics were saved and copied.")


def check(context: Context) -> Iterator[Finding]:
    """One finding per BatchNormalization whose statistics are all at their start."""
    for layer in context.own("batch_norm"):
        mean, variance = seen_in(layer, "moving_mean"), seen_in(layer, "moving_variance")
        if mean is not None and variance is not None and _is_all(mean, 0) and _is_all(variance, 1):
            what = msg("All {count} moving means of {layer} are 0 and all its moving variances are 1.",
                       count=mean.count, layer=layer.path)  # fmt: skip
            yield RULE.found(what, _TRAIN, layer.path)


def _is_all(seen: WeightStatistics, value: float) -> bool:
    return seen.finite == seen.count and seen.min == seen.max == value
