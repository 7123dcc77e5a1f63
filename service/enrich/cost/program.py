"""What an exported program does outside of its layers: matrix products, and what its operations leave in memory.

Knows operation names, layer kinds and the tags of a program (service/catalog/torch_activations.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.enrich.cost.work import MAX_NUMBER, words
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
_FUSED = words(
    "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell scaled_dot_product_attention ",
    "_native_multi_head_attention _transformer_encoder_layer_fwd",
)
"""Operations that hold more while they run than what they return."""
_MAX_CORNERS = 64


@dataclass(frozen=True, slots=True)
class Operations:
    """Memory of all operations of a program; bytes and elements are None where sizes are open."""

    kept: int | None = None
    kept_elements: int = 0
    live: int | None = None
    fused: bool = False


def operations_of(tags: dict[str, Any], batch: int) -> Operations | None:
    """What the operations of a program leave in memory; None if its layers leave all of it, or nothing is recorded."""
    held = tags.get("activations")
    if not isinstance(held, dict):
        several = any(isinstance(tag, dict) and "activations" in tag for tag in tags.values())
        return Operations() if several else None
    kept, elements = (_amount(held.get(name), batch) for name in ("kept_bytes", "kept_elements"))
    moments = held.get("live_bytes")
    living = [_amount(one, batch) for one in moments[:_MAX_CORNERS]] if isinstance(moments, list) else []
    known = [one for one in living if one is not None]
    if kept is None or elements is None or not known or len(known) < len(living):
        return Operations()
    return Operations(kept, elements, max(known), _fused(tags))


def _amount(pair: Any, batch: int) -> int | None:
    """`[always, per example]` for a batch."""
    if not isinstance(pair, list) or len(pair) != 2 or any(type(one) is not int or one < 0 for one in pair):
        return None
    found = int(pair[0]) + int(pair[1]) * batch
    return found if found <= MAX_NUMBER else None


def _fused(tags: dict[str, Any]) -> bool:
    operations = tags.get("operations")
    return isinstance(operations, dict) and any(_FUSED.intersection(str(name).split(".")) for name in operations)


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
