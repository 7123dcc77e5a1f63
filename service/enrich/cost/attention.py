"""Attention: the projections at every position, and two products over every pair of positions.

Vaswani et al. 2017 (arXiv:1706.03762); grouped queries: Ainslie et al. 2023 (arXiv:2305.13245). A causal mask saves
nothing here: every pair is computed and then masked.
"""

from __future__ import annotations

from math import prod

from service.enrich.cost.work import (
    SIZES_MISSING,
    SOFTMAX,
    WEIGHTS_MISSING,
    Call,
    Sizes,
    Work,
    bias_elements,
    elements,
    first_shape,
    unknown,
    whole,
)
from service.language import Message, msg

ATTENTION = msg(
    "The projections at every position, then queries × keys and scores × values for every pair of positions and head. "
    "FLOPs: two for each, the biases of the projections, and six per score: scaling and softmax."
)
PLAIN = msg(
    "Queries × keys and scores × values for every pair of positions. FLOPs: two for each, and five per score: softmax."
)
ADDITIVE = msg(
    "Scores × values for every pair of positions, and the weighting of the scores where it is learned. FLOPs: two for "
    "each, and per pair and feature an addition, a tanh and a sum."
)
BATCH_FIRST = msg("Whether its input has the batch or the steps in front is not recorded: the batch is taken for it.")
_BIASES = ("query_bias", "key_bias", "value_bias", "output_bias", "qkv_bias")
_SCORE = SOFTMAX + 1


def keras_attention(call: Call) -> Work:
    """MultiHeadAttention and GroupQueryAttention: kernels `[features, heads, size]`, any axes attended."""
    query = first_shape(call, ("query_kernel",))
    value = first_shape(call, ("value_kernel",))
    parts = [elements(call, (f"{name}_kernel",)) for name in ("query", "key", "value", "output")]
    if query is None or value is None or len(query) != 3 or len(value) != 3 or None in parts:
        return unknown(WEIGHTS_MISSING)
    if not call.ins or len(call.ins[0]) < 3:
        return unknown(SIZES_MISSING)
    q, v, k = _three(call.ins)
    at = [prod(q[:-1]), prod(k[:-1]), prod(v[:-1]), prod(q[:-1])]
    projected = sum(positions * (part or 0) for positions, part in zip(at, parts, strict=True))
    attended = _attended(call, len(q))
    if attended is None or len(v) != len(q):
        return unknown(SIZES_MISSING)
    seen = prod(v[axis] for axis in attended)
    scores = prod(q[:-1]) * seen * query[1]
    biased = _biases(call, dict(zip(("query", "key", "value", "output"), at, strict=True)))
    return Work(projected + scores * (query[2] + value[2]), biased + _SCORE * scores, ATTENTION)


def _three(ins: tuple[Sizes, ...]) -> tuple[Sizes, Sizes, Sizes]:
    """Query, value and key; masks have fewer axes or no features, and are left out."""
    full = [shape for shape in ins if len(shape) == len(ins[0])][:3]
    query = full[0]
    value = full[1] if len(full) > 1 else query
    return query, value, full[2] if len(full) > 2 else value


def _attended(call: Call, rank: int) -> list[int] | None:
    axes = call.config.get("attention_axes")
    if axes is None:
        return list(range(1, rank - 1))
    items = list(axes) if isinstance(axes, (list, tuple)) else [axes]
    if not all(type(axis) is int and -rank <= axis < rank for axis in items):
        return None
    return sorted({axis % rank for axis in items})


def _biases(call: Call, positions: dict[str, int]) -> int:
    return sum(at * bias_elements(call, (f"{name}_bias",)) for name, at in positions.items())


def torch_attention(call: Call) -> Work:
    """nn.MultiheadAttention; its output projection is a layer of its own in the list."""
    if not call.ins or len(call.ins[0]) < 2:
        return unknown(SIZES_MISSING)
    query, key, value = _torch_three(call.ins)
    embed = query[-1]
    heads = whole(call.config.get("num_heads")) or 1
    projected = _torch_projections(call, query, key, value)
    length, source, examples, notes = _lengths(call, query, key)
    source += any(weight.role == "key_bias" for weight in call.weights)
    source += call.config.get("add_zero_attn") is True
    pairs = examples * length * source
    biased = prod(query[:-1]) * bias_elements(call, ("qkv_bias",))
    return Work(projected + 2 * pairs * embed, biased + _SCORE * pairs * heads, ATTENTION, notes, partial=bool(notes))


def _torch_three(ins: tuple[Sizes, ...]) -> tuple[Sizes, Sizes, Sizes]:
    full = [shape for shape in ins if len(shape) == len(ins[0])][:3]
    key = full[1] if len(full) > 1 else full[0]
    return full[0], key, full[2] if len(full) > 2 else key


def _torch_projections(call: Call, query: Sizes, key: Sizes, value: Sizes) -> int:
    """Query, key and value: in one tensor of three equal parts, or apart; none where children project."""
    joint = elements(call, ("qkv_kernel",))
    if joint is not None:
        return sum(prod(shape[:-1]) * (joint // 3) for shape in (query, key, value))
    named = (("query", query), ("key", key), ("value", value))
    return sum(prod(shape[:-1]) * (elements(call, (f"{name}_kernel",)) or 0) for name, shape in named)


def _lengths(call: Call, query: Sizes, key: Sizes) -> tuple[int, int, int, tuple[Message, ...]]:
    """Query length, key length, examples; with what had to be assumed of their order."""
    if len(query) == 2:
        return query[0], key[0], 1, ()
    first = call.config.get("batch_first")
    if first is False:
        return query[0], key[0], query[1], ()
    notes = () if first is True or query[0] == query[1] else (BATCH_FIRST,)
    return query[1], key[1], query[0], notes


def multi_head(call: Call) -> Work:
    """Attention with several heads, of either framework."""
    return torch_attention(call) if call.torch else keras_attention(call)


def plain(call: Call) -> Work:
    """Keras' Attention (dot) and AdditiveAttention: one head, no projections; inputs are query, value, key."""
    if not call.ins or len(call.ins) < 2 or any(len(shape) < 3 for shape in call.ins[:3]):
        return unknown(SIZES_MISSING)
    query, value = call.ins[:2]
    pairs = prod(query[:-1]) * value[-2]
    features, weighted = pairs * query[-1], pairs * value[-1]
    if call.type != "AdditiveAttention":
        return Work(features + weighted, SOFTMAX * pairs, PLAIN)
    learned = features if any(weight.count for weight in call.weights) else 0
    return Work(learned + weighted, (2 if learned else 3) * features + SOFTMAX * pairs, ADDITIVE)


KINDS = {"multi_head_attention": multi_head, "grouped_query_attention": multi_head, "attention": plain}
