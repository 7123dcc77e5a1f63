"""A bias that the normalisation after it subtracts again; knows which layers leave a constant per channel constant."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context, weight_of
from service.enrich.findings.reading import (
    ALL_CONVOLUTIONS,
    LINEAR,
    activation,
    channel_axis,
    channels_first,
    is_identity,
    rank,
    wholes,
)
from service.enrich.findings.rule import Rule
from service.language import Message, msg, msgn, sentences
from service.plain import whole
from service.tree import Finding, Layer

RULE = Rule(
    id="bias_before_normalization",
    severity="low",
    title=msg("Bias made redundant by the normalisation after it"),
    why=msg(
        "Whatever the bias adds to a channel, the normalisation subtracts again with the channel's mean. The bias "
        "changes nothing, its gradient is zero, and it costs parameters and optimizer state."
    ),
    reference="Ioffe and Szegedy 2015, arXiv:1502.03167, section 3.2",
    needs=("graph",),
)
_DROP = msg("Leave the bias out: use_bias=False in Keras, bias=False in PyTorch. Nothing is lost.")
_MAX_PASSED = 8
"""Most layers between the bias and the normalisation that are looked through."""


def check(context: Context) -> Iterator[Finding]:
    """One finding per bias; each says how many there are in all."""
    found = [
        (layer, count, norm)
        for layer in context.own("linear", *ALL_CONVOLUTIONS)
        for count, norm in _redundant(context, layer)
    ]
    total = sum(count for _, count, _ in found)
    for layer, count, norm in found:
        what = msgn(
            "The bias of {layer} has no effect: {norm} subtracts it again.",
            "The {n} biases of {layer} have no effect: {norm} subtracts them again.",
            n=count,
            layer=layer.path,
            norm=norm.path,
        )
        yield RULE.found(sentences(what, _sum(total, len(found))), _DROP, layer.path)


def _sum(total: int, layers: int) -> Message | None:
    if layers == 1:
        return None
    return msg("In all, {total} biases of {layers} layers of this model are redundant.", total=total, layers=layers)


def _redundant(context: Context, layer: Layer) -> Iterator[tuple[int, Layer]]:
    bias = weight_of(layer, "bias")
    if layer.custom or bias is None or not bias.count:
        return
    if activation(layer, context.framework) != LINEAR or bias.shape is None or len(bias.shape) != 1:
        return
    norm = _cancelled_by(context, layer, bias.count)
    if norm is not None:
        yield bias.count, norm


def _cancelled_by(context: Context, layer: Layer, channels: int) -> Layer | None:
    """The first normalisation that takes the bias away, if every way from the layer leads into one."""
    pending: list[tuple[Layer, bool, int]] = [(layer, False, 0)]
    norm: Layer | None = None
    while pending:
        current, flat, passed = pending.pop()
        following = context.after(current)
        if not following or len(following) > _MAX_PASSED or passed > _MAX_PASSED:
            return None
        for other in following:
            if _cancels(context, layer, other, channels, flat=flat):
                norm = norm or other
            elif _keeps_constants(context, layer, other):
                pending.append((other, flat or _flattens(other) or _squeezes(context, other), passed + 1))
            else:
                return None
    return norm


# What keeps a constant per channel constant


def _keeps_constants(context: Context, layer: Layer, other: Layer) -> bool:
    if other.custom or layer.kind == "linear":
        return is_identity(other)
    return is_identity(other) or _flattens(other) or _pools_evenly(context, layer, other)


def _flattens(layer: Layer) -> bool:
    """Whether all axes but the batch axis become one: each feature then belongs to one channel."""
    config = layer.config
    return layer.type == "Flatten" and config.get("start_dim", 1) == 1 and config.get("end_dim", -1) == -1


def _squeezes(context: Context, layer: Layer) -> bool:
    """Whether nothing but the channels is left behind the batch axis."""
    return layer.kind == "global_pool" and context.framework == "keras" and layer.config.get("keepdims") is not True


def _pools_evenly(context: Context, layer: Layer, pool: Layer) -> bool:
    """Whether a pooling gives a constant back: not if it averages over the zeros of its padding."""
    if pool.kind not in ("pool", "global_pool") or (pool.type or "").startswith("LPPool"):
        return False
    if context.framework == "keras":
        return pool.config.get("data_format") == layer.config.get("data_format")
    padding = wholes(pool.config.get("padding", 0))
    if not (pool.type or "").startswith("AvgPool"):
        return True
    unpadded = padding is not None and not any(padding)
    return pool.config.get("divisor_override") is None and (unpadded or pool.config.get("count_include_pad") is False)


# What takes a constant per channel away


def _cancels(context: Context, layer: Layer, norm: Layer, channels: int, *, flat: bool) -> bool:
    if norm.custom or norm.config.get("mode") not in (None, 0):  # Keras 1: mode 1 normalises each example
        return False
    if norm.kind == "batch_norm":
        return not _frozen(context, norm) and _same_axis(context, layer, norm, channels, flat=flat)
    if flat or layer.kind == "linear":
        return False
    if norm.kind == "instance_norm":
        return context.framework == "torch" and norm.config.get("num_features") in (None, channels)
    return norm.kind == "group_norm" and _one_channel_a_group(context, layer, norm, channels)


def _frozen(context: Context, norm: Layer) -> bool:
    """Whether Keras runs it with its moving statistics while training, so that the mean no longer follows the bias."""
    if context.framework != "keras":
        return False
    return norm.trainable is False or any(weight.group == "frozen" for weight in norm.weights)


def _one_channel_a_group(context: Context, layer: Layer, norm: Layer, channels: int) -> bool:
    name = "groups" if context.framework == "keras" else "num_groups"
    axis = whole(norm.config.get("axis", -1))
    same = context.framework == "torch" or axis == (1 if channels_first(layer, "keras") else -1)
    return same and whole(norm.config.get(name)) in (channels, -1)


def _same_axis(context: Context, layer: Layer, norm: Layer, channels: int, *, flat: bool) -> bool:
    """Whether each normalised feature holds values of one channel of the layer only."""
    features, axis = _features(norm), _norm_axis(context, norm)
    if flat:
        return axis in (1, -1) and (features is None or features % channels == 0)
    if axis is None or features not in (None, channels):
        return False
    own, axes = channel_axis(layer, context.framework), rank(layer)
    if own is None or axes is None:  # a Linear that does not say how many axes it sees
        return axis == -1 or norm.type == "BatchNorm1d"
    return axis in (own, own - axes)


def _norm_axis(context: Context, norm: Layer) -> int | None:
    if context.framework == "torch":
        return 1
    axes = wholes(norm.config.get("axis"))
    return axes[0] if axes is not None and len(axes) == 1 else None


def _features(norm: Layer) -> int | None:
    counts = {weight.count for weight in norm.weights if weight.role != "num_batches_tracked"}
    return counts.pop() if len(counts) == 1 else None
