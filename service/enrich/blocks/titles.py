"""What a block is, in words; knows kinds and the shape of parts, no model in particular."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from service.enrich.blocks.parts import Part, positions
from service.enrich.blocks.signatures import CHANNEL_NORMS
from service.language import Message, mark, msg, msgn, verbatim
from service.tree import Layer

WORDS: dict[str, str] = {
    "input": mark("input"),
    "linear": mark("Linear"),
    "bilinear": mark("Bilinear"),
    "conv1d": mark("Conv1D"),
    "conv2d": mark("Conv2D"),
    "conv3d": mark("Conv3D"),
    "conv_transpose1d": mark("transposed Conv1D"),
    "conv_transpose2d": mark("transposed Conv2D"),
    "conv_transpose3d": mark("transposed Conv3D"),
    "depthwise_conv1d": mark("depthwise Conv1D"),
    "depthwise_conv2d": mark("depthwise Conv2D"),
    "separable_conv1d": mark("separable Conv1D"),
    "separable_conv2d": mark("separable Conv2D"),
    "einsum_dense": mark("EinsumDense"),
    "embedding": mark("Embedding"),
    "batch_norm": mark("BatchNorm"),
    "layer_norm": mark("LayerNorm"),
    "group_norm": mark("GroupNorm"),
    "instance_norm": mark("InstanceNorm"),
    "rms_norm": mark("RMSNorm"),
    "unit_norm": mark("unit normalisation"),
    "spectral_norm": mark("spectral normalisation"),
    "normalization": mark("normalisation"),
    "simple_rnn": mark("RNN"),
    "lstm": mark("LSTM"),
    "gru": mark("GRU"),
    "conv_lstm": mark("ConvLSTM"),
    "rnn": mark("RNN"),
    "rnn_cell": mark("RNN cell"),
    "bidirectional": mark("bidirectional RNN"),
    "time_distributed": mark("TimeDistributed"),
    "attention": mark("attention"),
    "multi_head_attention": mark("multi-head attention"),
    "grouped_query_attention": mark("grouped-query attention"),
    "transformer": mark("transformer"),
    "transformer_layer": mark("transformer layer"),
    "activation": mark("activation"),
    "prelu": mark("PReLU"),
    "softmax": mark("softmax"),
    "dropout": mark("dropout"),
    "noise": mark("noise"),
    "pool": mark("pooling"),
    "global_pool": mark("global pooling"),
    "padding": mark("padding"),
    "crop": mark("cropping"),
    "upsample": mark("upsampling"),
    "reshape": mark("reshape"),
    "merge": mark("merge"),
    "preprocessing": mark("preprocessing"),
    "masking": mark("masking"),
    "regularization": mark("regularisation"),
    "lambda": mark("Lambda"),
    "operation": mark("operation"),
    "quantization": mark("quantisation"),
    "loss": mark("loss"),
    "container": mark("container"),
    "model": mark("model"),
    "wrapper": mark("wrapper"),
    "parameter": mark("parameters of its own"),
    "custom": mark("layer of an own class"),
    "unknown": mark("layer of unknown class"),
}
"""What a layer of each kind is called next to others."""

_ADDITIONS = frozenset({"Add", "add", "add_"})
_MOST_WORDS = 6
_UNTOLD = frozenset({"unknown", "custom", "container", "model"})
"""Kinds that tell less than the number of layers does."""


def title(part: Part, layers: Sequence[Layer]) -> Message:
    """What the part is."""
    if part.kind == "layer":
        return _class(layers[part.own[0]])
    if part.kind == "group":
        return _plus([_word(layers[at].kind) for at in part.own])
    if part.kind == "repeat":
        return msg("{what}, {times} times in a row", what=title(part.parts[0], layers), times=len(part.parts))
    if part.kind == "branches":
        return _joined(part, layers)
    if part.type:
        return msgn("{type} of {n} layer", "{type} of {n} layers", n=part.size, type=part.type)
    return _content(part, layers)


def _class(layer: Layer) -> Message:
    if layer.kind in ("container", "model"):
        return _word("parameter")
    return verbatim(layer.type) if layer.type else _word(layer.kind)


def _word(kind: str) -> Message:
    return msg(WORDS.get(kind, WORDS["unknown"]))


def _plus(words: Sequence[Message]) -> Message:
    """`Linear + BatchNorm + activation`; a formula of words, the same in every language."""
    places = " + ".join(f"{{s{index}}}" for index in range(len(words)))
    return Message(places, ((f"s{index}", word) for index, word in enumerate(words)))


def _joined(part: Part, layers: Sequence[Layer]) -> Message:
    """Branches that join: residual if their end is a sum."""
    what = _content(part, layers)
    last = part.parts[-1]
    residual = any(layers[at].kind == "merge" and layers[at].type in _ADDITIONS for at in positions(last))
    if residual:
        return msg("Residual block: {what}", what=what)
    return msg("Branches that join: {what}", what=what)


def _content(part: Part, layers: Sequence[Layer]) -> Message:
    """The kinds of the layers with weights, without what only goes along with them; a number, if they are many."""
    heads = [layers[at].kind for at in positions(part) if layers[at].weights]
    kinds = [kind for kind in heads if kind not in CHANNEL_NORMS] or heads
    words = [_times(kind, len(list(same))) for kind, same in groupby(kinds)]
    if not words or len(words) > _MOST_WORDS or not _UNTOLD.isdisjoint(kinds):
        return msgn("{n} layer", "{n} layers", n=part.size)
    return _plus(words)


def _times(kind: str, count: int) -> Message:
    """`3 × Conv2D`; a formula of words, too."""
    return _word(kind) if count == 1 else Message("{count} × {word}", (("count", count), ("word", _word(kind))))
