"""Which kinds of layers share a colour, and what the colour is called; knows the vocabulary, no markup."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from service.language import Message, mark
from service.tree import Layer


class Category(NamedTuple):
    """A colour of the legend: identifier, English word, fill in the light and in the dark, and the kinds it covers."""

    id: str
    label: str
    light: str
    dark: str
    kinds: tuple[str, ...]

    @property
    def word(self) -> Message:
        """The word as a sentence."""
        return Message(self.label)


CATEGORIES: tuple[Category, ...] = (
    Category("input", mark("input"), "#e5e7eb", "#374151", ("input", "preprocessing", "masking", "normalization")),
    Category(
        "conv",
        mark("convolution"),
        "#bae6fd",
        "#0c4a6e",
        (
            "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
            "depthwise_conv1d", "depthwise_conv2d", "separable_conv1d", "separable_conv2d",
        ),
    ),
    Category("linear", mark("fully connected"), "#c7d2fe", "#312e81", ("linear", "bilinear", "einsum_dense")),
    Category(
        "attention",
        mark("attention"),
        "#e9d5ff",
        "#581c87",
        ("attention", "multi_head_attention", "grouped_query_attention", "transformer", "transformer_layer"),
    ),
    Category("embedding", mark("embedding"), "#bbf7d0", "#14532d", ("embedding",)),
    Category(
        "recurrent",
        mark("recurrent"),
        "#fed7aa",
        "#7c2d12",
        ("simple_rnn", "lstm", "gru", "conv_lstm", "rnn", "rnn_cell", "bidirectional", "time_distributed"),
    ),
    Category(
        "norm",
        mark("normalisation"),
        "#fef08a",
        "#713f12",
        ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "unit_norm", "spectral_norm"),
    ),
    Category(
        "activation", mark("activation, dropout"), "#fbcfe8", "#831843",
        ("activation", "prelu", "softmax", "dropout", "noise", "regularization"),
    ),
    Category(
        "shape", mark("pooling, shape"), "#ddd6c8", "#44403c",
        ("pool", "global_pool", "padding", "crop", "upsample", "reshape"),
    ),
    Category("merge", mark("merge"), "#fecaca", "#7f1d1d", ("merge",)),
    Category("several", mark("several layers"), "#f1f5f9", "#1e293b", ("container", "model", "wrapper")),
    Category("other", mark("other"), "#f3f4f6", "#27272a", ()),
)  # fmt: skip
_BY_ID = {one.id: one for one in CATEGORIES}
_BY_KIND = {kind: one for one in CATEGORIES for kind in one.kinds}


def category(kind: str) -> Category:
    """The category of a kind of layer."""
    return _BY_KIND.get(kind, _BY_ID["other"])


def category_of(block_kind: str, layers: Sequence[Layer]) -> str:
    """The category of a block: that of its first layer with weights, if the block is built around one."""
    if block_kind in ("layer", "group") and layers:
        head = next((layer for layer in layers if layer.weights), layers[0])
        return category(head.kind).id
    heads = {category(layer.kind).id for layer in layers if layer.weights}
    return heads.pop() if len(heads) == 1 else "several"


def legend(used: set[str]) -> list[Category]:
    """The categories that occur, in order."""
    return [one for one in CATEGORIES if one.id in used]
