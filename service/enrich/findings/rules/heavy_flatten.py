"""A linear layer behind a flattening that holds most of the model's parameters; knows sizes, no values."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context, weight_of
from service.enrich.findings.reading import ALL_CONVOLUTIONS, is_identity
from service.enrich.findings.rule import Rule
from service.language import msg
from service.plain import whole
from service.tree import Finding, Layer

RULE = Rule(
    id="heavy_flatten",
    severity="low",
    title=msg("Parameter-heavy linear layer behind a flattening"),
    why=msg(
        "A kernel on flattened feature maps has its own weight for each channel at each position, so it grows with the "
        "size of the input, overfits easily, and ties the model to one input size."
    ),
    reference="Lin, Chen and Yan 2013, arXiv:1312.4400, section 3.2 (global average pooling)",
    needs=("graph",),
)
_POOL = msg(
    "Pool over all positions first (GlobalAveragePooling2D; AdaptiveAvgPool2d(1) in PyTorch), or shrink the feature "
    "maps further before flattening."
)
MIN_SHARE = 0.5
"""Share of the model's parameters from which it is worth a word."""
MIN_PARAMETERS = 100_000
"""Below this nothing is saved."""
_PASSED = ("dropout", "activation", "prelu", "batch_norm", "pool", "padding", "merge")
_MAX_PASSED = 16


def check(context: Context) -> Iterator[Finding]:
    """One finding per such layer, with its parameters, those of the model, and the share."""
    if not context.parameters:
        return
    for layer in context.own("linear"):
        count = sum(weight.count or 0 for weight in layer.weights if weight.group in ("trainable", "frozen", "unknown"))
        if count < max(MIN_PARAMETERS, MIN_SHARE * context.parameters):
            continue
        positions = _positions(context, layer)
        if positions is not None and positions > 1:
            what = msg(
                "{layer} holds {count} of the model's {total} parameters ({share}), because it sees {positions} "
                "positions of the feature maps one by one.",
                layer=layer.path, count=count, total=context.parameters, positions=positions,
                share=f"{count / context.parameters:.2%}",
            )  # fmt: skip
            yield RULE.found(what, _POOL, layer.path)


def _positions(context: Context, layer: Layer) -> int | None:
    """How many positions of a convolution's feature maps the layer sees flattened; None if it sees none."""
    inputs, channels = _inputs(layer), _channels(context, layer)
    if inputs is None or not channels or inputs % channels:
        return None
    return inputs // channels


def _inputs(layer: Layer) -> int | None:
    kernel = weight_of(layer, "kernel")
    if kernel is None or kernel.shape is None or len(kernel.shape) != 2:
        return None
    return kernel.shape[1 if kernel.layout == "out-in" else 0]


def _channels(context: Context, layer: Layer) -> int | None:
    """Channels of the convolution behind the flattening before the layer."""
    current, flattened = layer, False
    for _ in range(_MAX_PASSED):
        feeding = context.before(current)
        if feeding is None or len(feeding) != 1:
            return None
        current = feeding[0]
        if current.kind in ALL_CONVOLUTIONS:
            return _filters(current) if flattened else None
        flattened = flattened or current.type in ("Flatten", "Reshape")
        if current.kind not in _PASSED and not is_identity(current) and current.type not in ("Flatten", "Reshape"):
            return None
    return None


def _filters(layer: Layer) -> int | None:
    """Output channels: as configured, or as the bias counts them."""
    for name in ("filters", "out_channels"):
        value = whole(layer.config.get(name))
        if value is not None and value > 0:
            return value
    bias = weight_of(layer, "bias")
    return None if bias is None else bias.count
