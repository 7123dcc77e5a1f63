"""Dropout whose output a BatchNormalization sees; knows which layers in between leave the effect as it is."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context
from service.enrich.findings.reading import is_identity, rate
from service.enrich.findings.rule import Rule
from service.language import msg
from service.tree import Finding, Layer

RULE = Rule(
    id="dropout_before_batch_norm",
    severity="low",
    title=msg("Dropout right before BatchNormalization"),
    why=msg(
        "Dropout changes the variance of what it passes on while training and not afterwards. BatchNormalization "
        "tracks the variance of training, which is then wrong when the model is used: the variance shift."
    ),
    reference="Li, Chen, Hu and Yang 2018, arXiv:1801.05134",
    needs=("graph",),
)
_SWAP = msg("Put the Dropout behind the BatchNormalization and its activation, best once before the last layer.")
_PASSED = ("activation", "prelu", "pool", "global_pool", "reshape")
_MAX_PASSED = 8
_PRESERVING = ("AlphaDropout", "FeatureAlphaDropout")
"""These keep mean and variance by construction (Klambauer et al. 2017, arXiv:1706.02515)."""


def check(context: Context) -> Iterator[Finding]:
    """One finding per BatchNormalization with a Dropout before it."""
    for layer in context.own("batch_norm"):
        dropout = _dropout_before(context, layer)
        share = None if dropout is None else rate(dropout)
        if dropout is not None and share is not None and 0 < share < 1:
            what = msg("{dropout} drops {share} of the values that {layer} normalises.", dropout=dropout.path,
                       share=f"{share:.3g}", layer=layer.path)  # fmt: skip
            yield RULE.found(what, _SWAP, layer.path)


def _dropout_before(context: Context, layer: Layer) -> Layer | None:
    """The Dropout that feeds the layer, with nothing but activations, pooling and reshaping in between."""
    current = layer
    for _ in range(_MAX_PASSED):
        feeding = context.before(current)
        if feeding is None or len(feeding) != 1:
            return None
        current = feeding[0]
        if current.kind == "dropout":
            return None if current.type in _PRESERVING else current
        if current.custom or (current.kind not in _PASSED and not is_identity(current)):
            return None
    return None
