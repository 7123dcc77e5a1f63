"""Two linear layers with nothing between them; knows the designs in which that is meant."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context, weight_of
from service.enrich.findings.reading import LINEAR, activation, is_identity
from service.enrich.findings.rule import Rule
from service.language import msg
from service.tree import Finding, Layer

RULE = Rule(
    id="missing_activation",
    severity="info",
    title=msg("No activation between two linear layers"),
    why=msg(
        "A linear function of a linear function is a linear function: together the two can do no more than the second "
        "alone could on the inputs of the first."
    ),
    reference="Goodfellow, Bengio and Courville 2016, Deep Learning, section 6.1",
    needs=("graph",),
)
_ACTIVATE = msg("Put an activation between them, or keep one of the two.")
_MAX_PASSED = 4
_ATTENTION = ("attention", "multi_head_attention", "grouped_query_attention")


def check(context: Context) -> Iterator[Finding]:
    """One finding per linear layer that feeds another directly."""
    for layer in context.own("linear"):
        following = _linear_behind(context, layer) if _is_plain(context, layer) else None
        if following is not None and not _is_narrow(layer, following):
            what = msg("Between {layer} and {following} there is no activation.", layer=layer.path,
                       following=following.path)  # fmt: skip
            yield RULE.found(what, _ACTIVATE, layer.path)


def _is_plain(context: Context, layer: Layer) -> bool:
    """Whether the layer computes xW + b and is no half of a low-rank pair and no projection of an attention."""
    parent = context.layers.get(layer.parent) if layer.parent is not None else None
    if parent is not None and parent.kind in _ATTENTION:
        return False
    roles = {weight.role for weight in layer.weights}
    return activation(layer, context.framework) == LINEAR and not roles & {"lora_a", "lora_b"}


def _linear_behind(context: Context, layer: Layer) -> Layer | None:
    """The linear layer that the output goes into, through dropout at most."""
    current = layer
    for _ in range(_MAX_PASSED):
        following = context.after(current)
        if following is None or len(following) != 1:
            return None
        current = following[0]
        if current.kind == "linear":
            same = current.path == layer.path or current.custom
            return None if same or not _is_a_layer_of_units(current) else current
        if current.kind != "dropout" and not is_identity(current):
            return None
    return None


def _is_a_layer_of_units(layer: Layer) -> bool:
    return not any(weight.role in ("lora_a", "lora_b") for weight in layer.weights)


def _is_narrow(first: Layer, second: Layer) -> bool:
    """Whether the first is narrower than its inputs and the second's units: a kernel written as a low-rank product."""
    inner, outer = _sides(first), _sides(second)
    if inner is None or outer is None:
        return True
    inputs, width = inner
    return width < min(inputs, outer[1])


def _sides(layer: Layer) -> tuple[int, int] | None:
    """(inputs, units) of a linear layer."""
    kernel = weight_of(layer, "kernel")
    if kernel is None or kernel.shape is None or len(kernel.shape) != 2:
        return None
    first, second = kernel.shape[::-1] if kernel.layout == "out-in" else kernel.shape
    return None if first is None or second is None else (first, second)
