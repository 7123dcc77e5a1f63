"""A momentum of a BatchNormalization that reads like the other framework's; knows both conventions."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context
from service.enrich.findings.reading import number
from service.enrich.findings.rule import Rule
from service.language import Message, msg, sentences
from service.tree import Finding, Layer

RULE = Rule(
    id="unusual_momentum",
    severity="medium",
    title=msg("BatchNormalization momentum in the other framework's convention"),
    why=msg(
        "In Keras momentum is the share of the old moving statistics that stays at each batch, in PyTorch the share of "
        "the new batch: one is 1 minus the other. With the wrong one the moving statistics are those of the last few "
        "batches, and the model is worse in use than in training."
    ),
    reference="https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html",
    needs=("framework", "config"),
)
_MIDDLE = 0.5


def check(context: Context) -> Iterator[Finding]:
    """One finding per normalisation whose momentum is on the other framework's side, or stops the tracking."""
    for layer in context.own("batch_norm"):
        momentum = number(layer.config.get("momentum"))
        if momentum is not None:
            yield from _found(context, layer, momentum)


def _found(context: Context, layer: Layer, momentum: float) -> Iterator[Finding]:
    kept = momentum if context.framework == "keras" else 1 - momentum
    meant = f"{1 - momentum:.6g}"
    if kept == 1:
        what = msg("With momentum={momentum} the moving statistics of {layer} never change.", layer=layer.path,
                   momentum=f"{momentum:.6g}")  # fmt: skip
        yield RULE.found(what, _usual(context, meant), layer.path)
    elif not 0 <= momentum <= 1:
        what = msg("momentum={momentum} of {layer} is not between 0 and 1.", layer=layer.path,
                   momentum=f"{momentum:.6g}")  # fmt: skip
        yield RULE.found(what, _usual(context, None), layer.path)
    elif kept < _MIDDLE:
        yield RULE.found(_says(context, layer, f"{momentum:.6g}", meant), _usual(context, meant), layer.path)


def _says(context: Context, layer: Layer, momentum: str, meant: str) -> Message:
    if context.framework == "keras":
        return msg(
            "momentum={momentum} of {layer} keeps {momentum} of the moving statistics at each batch. In PyTorch's "
            "convention the same is {meant}; {momentum} looks like a value of PyTorch's, which is {meant} in Keras.",
            momentum=momentum, layer=layer.path, meant=meant,
        )  # fmt: skip
    return msg(
        "momentum={momentum} of {layer} keeps only {meant} of the running statistics at each batch. In Keras' "
        "convention the same is {meant}; {momentum} looks like a value of Keras', which is {meant} in PyTorch.",
        momentum=momentum, layer=layer.path, meant=meant,
    )  # fmt: skip


def _usual(context: Context, meant: str | None) -> Message:
    if context.framework == "keras":
        usual = msg("Usual in Keras are 0.9 to 0.999; left out, it is 0.99.")
        advice = msg("If the value came from PyTorch, write momentum={meant}.", meant=meant)
    else:
        usual = msg("Usual in PyTorch are 0.001 to 0.1; left out, it is 0.1.")
        advice = msg("If the value came from Keras, write momentum={meant}.", meant=meant)
    return sentences(usual, advice if meant is not None else None)
