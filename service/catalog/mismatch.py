"""The finding that a layer's weights are not those that its class and configuration give it.

Knows a layer and a sentence on it; must not know how the mismatch was seen, nor files.
"""

from __future__ import annotations

from service.language import Message, msg, msgn
from service.tree import Finding, Layer

RULE = "formula_mismatch"


def mismatch_of(layer: Layer, what: Message) -> Finding:
    """The finding, with `what` as what was seen."""
    return Finding(
        rule=RULE,
        severity="low",
        path=layer.path,
        what=what,
        why=msg("The layer is not what its class and configuration say, so its count can only be summed up."),
        action=msg("Look for weights that were added, removed or resized after the layer was made."),
    )


def other_weights(layer: Layer) -> Finding:
    """The finding that the weights held are others than the configuration asks for."""
    total = sum(weight.count or 0 for weight in layer.weights)
    return mismatch_of(
        layer,
        msgn("The file holds {n} weight ({total} values) that a {type} with the recorded configuration does not have.",
             "The file holds {n} weights ({total} values), which are not those of a {type} with the recorded "
             "configuration.", n=len(layer.weights), total=total, type=layer.type or layer.kind),
    )  # fmt: skip
