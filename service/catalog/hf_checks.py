"""Holds the sizes in a model's configuration against its arrays; knows how the common families spell both.

A finding only where both are beyond doubt: a padded vocabulary, fused projections, packed weights, models of several
towers and settings that change from layer to layer are passed over in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from service.catalog.hf_documents import Document, dtype_of
from service.catalog.integrity import declared_differs
from service.catalog.named import Stored
from service.language import Message, msg
from service.plain import text, whole
from service.tree import Finding

_FLOATS = frozenset({"float32", "float16", "bfloat16", "float64"})
_TABLES = frozenset(
    {"embed_tokens", "wte", "word_embeddings", "word_embedding", "tok_embeddings", "embed_in", "embeddings", "shared"}
)
_OUTPUTS = frozenset(
    {"lm_head", "embed_out", "output", "output_layer", "generator_lm_head", "cls", "predictions", "head", "heads"}
)
_LISTS = re.compile(r"((?:.*?\.)?(?:layers|layer|h|blocks|block))\.(\d+)\.(?!\d+\.)")
_GATES = (("mlp", "gate_proj"), ("mlp", "up_proj"), ("intermediate", "dense"))
_DOWNS = (("mlp", "down_proj"),)
_QUERIES = (("self_attn", "q_proj"),)
_KEYS = (("self_attn", "k_proj"),)

_HIDDEN = ("hidden_size", "n_embd", "d_model")
_TABLE_WIDTH = ("embedding_size", "word_embed_proj_dim", "d_embed", "emb_dim", "factor_size", *_HIDDEN)
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_INNER = ("intermediate_size",)
_ODD_HEADS = frozenset(
    {"kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "attention_hidden_size", "global_head_dim",
     "attention_head_dim", "attention_head_size", "qk_head_dim", "v_head_dim", "block_configs"}
)  # fmt: skip
_ODD_INNER = frozenset({"use_double_wide_mlp", "block_configs", "ffn_dim_multiplier", "prune_heads"})
_PAD = 8
"""Vocabularies are padded to a multiple of this or of a multiple of it."""


_Matrices = dict[tuple[str, str], list[tuple[str, tuple[int, int]]]]
"""Names and shapes by the two steps before `weight`."""


def check(config: Document, arrays: Sequence[Stored]) -> list[Finding]:
    """Findings of rule declared_mismatch where the configuration and the arrays differ."""
    towers = (value for key, value in config.items() if key.endswith("_config") and isinstance(value, dict))
    if any(_first(value, _HIDDEN) for value in towers):
        return []  # each has sizes of its own
    matrices = _matrices(arrays)
    found: Iterable[Finding] = chain(
        _table(config, matrices),
        _layers(config, arrays),
        _inner(config, matrices),
        _heads(config, matrices),
        _tying(config, arrays),
        _dtype(config, arrays),
    )
    return list(found)


def _first(config: Mapping[str, Any], keys: Iterable[str]) -> tuple[str, int] | None:
    """The first of `keys` that has a positive whole number, and the number."""
    for key in keys:
        value = whole(config.get(key))
        if value is not None and value > 0:
            return key, value
    return None


def _differs(key: str, declared: int, name: str, counted: int) -> Finding:
    what = msg("{key} of the configuration, by the shape of {name}", key=key, name=text(name, 200))
    return declared_differs(what, declared, counted)


def _matrices(arrays: Sequence[Stored]) -> _Matrices:
    """Unpacked matrices called `weight`."""
    found: _Matrices = {}
    for one in arrays:
        if one.shape is not None and len(one.shape) == 2 and one.dtype in _FLOATS:
            steps = one.name.rsplit(".", 3)
            if steps[-1] == "weight" and len(steps) > 1:
                key = (steps[-3] if len(steps) > 2 else "", steps[-2])
                found.setdefault(key, []).append((one.name, (one.shape[0], one.shape[1])))
    return found


def _agreed(matrices: _Matrices, keys: Iterable[tuple[str, str]], axis: int) -> tuple[str, int] | None:
    """The size along an axis in which all matrices of these names agree, and the first of them."""
    found = [one for key in keys for one in matrices.get(key, ())]
    sizes = {shape[axis] for _, shape in found}
    return (found[0][0], sizes.pop()) if len(sizes) == 1 else None


# The checks


def _table(config: Document, matrices: _Matrices) -> Iterable[Finding]:
    tables = [one for (_, step), held in matrices.items() if step in _TABLES for one in held]
    if len(tables) != 1:
        return
    name, (rows, columns) = tables[0]
    width = _first(config, _TABLE_WIDTH)
    if width is not None and width[1] != columns:
        yield _differs(*width, name, columns)
    words = _first(config, ("vocab_size",))
    if words is not None and (rows < words[1] or (rows > words[1] and rows % _PAD)):
        yield _differs(*words, name, rows)


def _layers(config: Document, arrays: Sequence[Stored]) -> Iterable[Finding]:
    last: dict[str, int] = {}
    for one in arrays:
        found = _LISTS.match(one.name)
        if found is not None:
            last[found[1]] = max(last.get(found[1], -1), int(found[2][:9]))
    declared = _first(config, _LAYERS)
    if len(last) != 1 or declared is None or config.get("is_encoder_decoder") is True:
        return
    stack, number = last.popitem()
    more = whole(config.get("num_nextn_predict_layers")) or 0
    if number + 1 not in (declared[1], declared[1] + more):
        what = msg("{key} of the configuration, by the layers in {name}", key=declared[0], name=text(stack, 200))
        yield declared_differs(what, declared[1], number + 1)


def _inner(config: Document, matrices: _Matrices) -> Iterable[Finding]:
    declared = _first(config, _INNER)
    if declared is None or not _ODD_INNER.isdisjoint(config):
        return
    for keys, axis in ((_GATES, 0), (_DOWNS, 1)):
        found = _agreed(matrices, keys, axis)
        if found is not None and found[1] != declared[1]:
            yield _differs(*declared, *found)
            return


def _heads(config: Document, matrices: _Matrices) -> Iterable[Finding]:
    heads, hidden = _first(config, ("num_attention_heads",)), _first(config, _HIDDEN)
    if heads is None or hidden is None or not _ODD_HEADS.isdisjoint(config):
        return
    size = _first(config, ("head_dim",))
    width = size[1] if size else hidden[1] // heads[1]
    queries = _agreed(matrices, _QUERIES, 0)
    gated = (heads[1] * width, 2 * heads[1] * width)  # some models keep a gate beside each query
    if queries is not None and queries[1] not in gated:
        yield _differs("num_attention_heads x head_dim", gated[0], *queries)
    shared, keys = _first(config, ("num_key_value_heads",)), _agreed(matrices, _KEYS, 0)
    if shared is not None and keys is not None and keys[1] != shared[1] * width:
        yield _differs("num_key_value_heads x head_dim", shared[1] * width, *keys)


def _tying(config: Document, arrays: Sequence[Stored]) -> Iterable[Finding]:
    tied = config.get("tie_word_embeddings")
    tables = [one for one in arrays if one.name.endswith(".weight") and one.name.split(".")[-2] in _TABLES]
    if tied is False and _is_causal(config) and tables and not _has_output(arrays):
        yield _said(
            msg("The configuration says that the output layer has weights of its own, but there are none."),
            msg("A loader fills the output layer with random values, or ties it in spite of the configuration."),
        )
    head = next((one for one in arrays if one.name == "lm_head.weight"), None)
    if tied is True and head is not None and len(tables) == 1 and _is_another(head, tables[0]):
        yield _said(
            msg("The configuration ties the output layer to the embedding, but the file holds both."),
            msg("A loader that follows the configuration leaves lm_head.weight unused."),
        )


def _has_output(arrays: Sequence[Stored]) -> bool:
    return any(not _OUTPUTS.isdisjoint(one.name.split(".")) for one in arrays)


def _is_another(head: Stored, table: Stored) -> bool:
    """Whether the output layer has as many bytes of its own as the embedding."""
    alike = head.shape is not None and head.shape == table.shape
    return alike and (head.identity is None or head.identity != table.identity)


def _is_causal(config: Document) -> bool:
    named = config.get("architectures")
    return isinstance(named, list) and any(isinstance(one, str) and one.endswith("ForCausalLM") for one in named)


def _said(what: Message, why: Message) -> Finding:
    return Finding(rule="declared_mismatch", severity="low", what=what, why=why)


def _dtype(config: Document, arrays: Sequence[Stored]) -> Iterable[Finding]:
    declared = dtype_of(config)
    found = sorted({one.dtype for one in arrays if one.dtype in _FLOATS})
    packed = any(one.dtype not in _FLOATS and one.dtype is not None and one.dtype.startswith("float") for one in arrays)
    if declared in _FLOATS and found and declared not in found and not packed:
        yield _said(
            msg("The configuration says {declared}; the weights are {found}.", declared=declared, found=tuple(found)),
            msg("A loader may convert the weights while it loads them: the model is larger or smaller than its file."),
        )
