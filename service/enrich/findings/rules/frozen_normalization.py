"""A BatchNormalization that is frozen while other layers learn; knows what freezing means in each framework."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context
from service.enrich.findings.rule import Rule
from service.language import msg, msgn
from service.tree import Finding, Layer

RULE = Rule(
    id="frozen_normalization",
    severity="low",
    title=msg("Frozen BatchNormalization in a model that learns"),
    why=msg(
        "A frozen BatchNormalization in Keras runs with its moving statistics even while training. In PyTorch "
        "requires_grad=False freezes only scale and shift: the running statistics still follow every batch until the "
        "module is put in eval mode. Either way the layer may not do what freezing was meant for."
    ),
    reference="https://keras.io/guides/transfer_learning/",
)
_KERAS = msg(
    "Fine for fine-tuning with small batches. If the layers before it learn anew, let it learn too, or its moving "
    "statistics no longer fit."
)
_TORCH = msg("If its statistics are to stay as they are, call eval() on this module after each train() of the model.")


def check(context: Context) -> Iterator[Finding]:
    """One finding for all frozen BatchNormalization layers, at the first, if anything else learns."""
    frozen = [layer for layer in context.own("batch_norm") if _is_frozen(context, layer)]
    if frozen and any(weight.group == "trainable" for layer in context.model.layers for weight in layer.weights):
        yield _found(context, frozen)


def _is_frozen(context: Context, layer: Layer) -> bool:
    learned = [weight for weight in layer.weights if weight.role in ("scale", "offset")]
    if learned:
        return all(weight.group == "frozen" for weight in learned)
    return context.framework == "keras" and layer.trainable is False


def _found(context: Context, frozen: list[Layer]) -> Finding:
    first = frozen[0].path
    if context.framework == "keras":
        what = msgn(
            "{layer} is frozen while other layers learn: it uses its moving statistics in training too.",
            "{n} BatchNormalization layers, {layer} first, are frozen while other layers learn: they use their moving "
            "statistics in training too.",
            n=len(frozen), layer=first,
        )  # fmt: skip
        return RULE.found(what, _KERAS, first, "info")
    what = msgn(
        "Scale and shift of {layer} are frozen while other layers learn; its running statistics are not.",
        "Scale and shift of {n} BatchNormalization layers, {layer} first, are frozen while other layers learn; their "
        "running statistics are not.",
        n=len(frozen), layer=first,
    )  # fmt: skip
    stays = all(layer.config.get("training") is False for layer in frozen)
    return RULE.found(what, _TORCH, first, "info" if stays else "low")
