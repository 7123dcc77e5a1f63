"""A BatchNormalization whose output goes straight into a softmax; knows both ways in which a softmax is written."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context
from service.enrich.findings.reading import is_identity, is_softmax
from service.enrich.findings.rule import Rule
from service.language import msg
from service.tree import Finding, Layer

RULE = Rule(
    id="batch_norm_before_softmax",
    severity="medium",
    title=msg("BatchNormalization right before softmax"),
    why=msg(
        "The normalisation gives each class the same mean and spread over the batch, and the scale and shift it learns "
        "are shared by all examples: how sure the model is of one example then depends on the others of its batch in "
        "training, and on moving statistics afterwards. Softmax is meant to see free logits."
    ),
    reference="Ioffe and Szegedy 2015, arXiv:1502.03167: normalisation goes before the nonlinearity of hidden layers",
    needs=("graph",),
)
_MOVE = msg("Remove this BatchNormalization and let the last linear layer, with its bias, feed the softmax.")
_PASSED = ("dropout",)


def check(context: Context) -> Iterator[Finding]:
    """One finding per normalisation with a softmax behind it."""
    for layer in context.own("batch_norm"):
        softmax = _softmax_behind(context, layer)
        if softmax is not None:
            what = msg("{layer} normalises what goes straight into the softmax {softmax}.", layer=layer.path,
                       softmax=softmax.path)  # fmt: skip
            yield RULE.found(what, _MOVE, layer.path)


def _softmax_behind(context: Context, layer: Layer) -> Layer | None:
    for other in context.after(layer) or ():
        if is_softmax(other):
            return other
        if other.kind in _PASSED or is_identity(other):
            further = next((far for far in context.after(other) or () if is_softmax(far)), None)
            if further is not None:
                return further
    return None
