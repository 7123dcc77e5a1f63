"""Whether an exported program multiplies matrices outside of its layers; knows operation names and layer kinds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.enrich.cost.work import words
from service.tree import Layer

_PRODUCTS = words(
    "linear addmm mm bmm baddbmm matmul mv dot einsum bilinear conv1d conv2d conv3d convolution conv_transpose1d ",
    "conv_transpose2d conv_transpose3d scaled_dot_product_attention lstm gru rnn_tanh rnn_relu lstm_cell gru_cell ",
    "rnn_tanh_cell rnn_relu_cell _native_multi_head_attention _transformer_encoder_layer_fwd",
)
_ONE_EACH = words(
    "linear bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d lstm gru simple_rnn ",
    "rnn_cell",
)


def outside_products(layers: Sequence[Layer], tags: dict[str, Any]) -> int | None:
    """Matrix products of the graph that no layer of a known kind makes; None if the file does not list operations.

    Attention is decomposed in several ways: programs that hold it are told only if they hold nothing else.
    """
    operations = tags.get("operations")
    if not isinstance(operations, dict) or any(layer.kind == "multi_head_attention" for layer in layers):
        return None
    made = sum(layer.uses or 0 for layer in layers if layer.kind in _ONE_EACH)
    listed = 0
    for name, count in operations.items():
        parts = str(name).split(".")
        if len(parts) > 1 and type(count) is int and _PRODUCTS.intersection(parts):
            listed += count
    return max(0, listed - made)
