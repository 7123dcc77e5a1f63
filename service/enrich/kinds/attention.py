"""Attention and transformer blocks, as the catalogue has them."""

from __future__ import annotations

from service.enrich.kinds.entry import Entry, Held, example, formulas, option, symbol, weight, without_effect
from service.kindinfo import KindTerm, KindWeight
from service.language import msg, verbatim

_PROJECTIONS = ("query", "key", "value")


def entries() -> dict[str, Entry]:
    """The kinds of this family."""
    return {
        "multi_head_attention": _multi_head(),
        "grouped_query_attention": _grouped(),
        "attention": _single(),
        "transformer": _transformer(),
        "transformer_layer": _transformer(),
    }


def _terms(*more: KindTerm) -> tuple[KindTerm, ...]:
    return (
        symbol("features", msg("features of the input")),
        symbol("heads", msg("number of heads")),
        symbol("size", msg("size of a head")),
        *more,
    )


def _keras_weights(heads: dict[str, str]) -> tuple[KindWeight, ...]:
    when = verbatim("use_bias=True")
    found: list[KindWeight] = []
    for name in _PROJECTIONS:
        found.append(weight("keras", f"{name}/kernel", f"{name}_kernel", f"[features, {heads[name]}, size]"))
        found.append(weight("keras", f"{name}/bias", f"{name}_bias", f"[{heads[name]}, size]", when))
    found.append(weight("keras", "attention_output/kernel", "output_kernel", f"[{heads['query']}, size, features]"))
    found.append(weight("keras", "attention_output/bias", "output_bias", "[features]", when))
    return tuple(found)


def _keras_held(features: int, heads: dict[str, int], size: int) -> tuple[Held, ...]:
    found: list[Held] = []
    for name in _PROJECTIONS:
        found.append((f"{name}/kernel", f"{name}_kernel", (features, heads[name], size), None))
        found.append((f"{name}/bias", f"{name}_bias", (heads[name], size), None))
    found.append(("attention_output/kernel", "output_kernel", (heads["query"], size, features), None))
    found.append(("attention_output/bias", "output_bias", (features,), None))
    return tuple(found)


def _multi_head() -> Entry:
    bias = verbatim("bias=True")
    return Entry(
        weights=(
            *_keras_weights(dict.fromkeys(_PROJECTIONS, "heads")),
            weight("torch", "in_proj_weight", "qkv_kernel", "[3 × embed, embed]"),
            weight("torch", "in_proj_bias", "qkv_bias", "[3 × embed]", bias),
            weight("torch", "q_proj_weight", "query_kernel", "[embed, embed]", verbatim("kdim, vdim")),
            weight("torch", "k_proj_weight", "key_kernel", "[embed, kdim]", verbatim("kdim, vdim")),
            weight("torch", "v_proj_weight", "value_kernel", "[embed, vdim]", verbatim("kdim, vdim")),
            weight("torch", "bias_k", "key_bias", "[1, 1, embed]", verbatim("add_bias_kv=True")),
            weight("torch", "bias_v", "value_bias", "[1, 1, embed]", verbatim("add_bias_kv=True")),
            weight("torch", "out_proj.weight", "output_kernel", "[embed, embed]"),
            weight("torch", "out_proj.bias", "output_bias", "[embed]", bias),
        ),
        formulas=formulas(
            "3 × (features × heads × size + heads × size) + heads × size × features + features",
            "3 × (embed × embed + embed) + embed × embed + embed",
        ),
        terms=_terms(symbol("embed", msg("features of the model (embed_dim)"))),
        options=(
            option("keras", "num_heads", msg("More heads of the same size mean more weights.")),
            option("keras", "key_dim", msg("Size of a head in query and key.")),
            option("keras", "value_dim", msg("Size of a head in value and output; that of the keys if left out.")),
            option("keras", "use_bias", msg("False leaves out every bias.")),
            option("keras", "use_gate", msg("Adds a fifth projection, of the size of the query's.")),
            option("keras", "output_shape", msg("Changes what the output projection writes.")),
            option("torch", "bias", msg("False leaves out the biases here and in out_proj.")),
            option("torch", "kdim, vdim", msg("Other sizes of keys and values: three projections, not a joint one.")),
            option("torch", "add_bias_kv", msg("Adds one learned key and one learned value.")),
            *without_effect("keras", ("attention_axes", "dropout", "flash_attention"), msg("It has no weights.")),
            *without_effect("torch", ("num_heads",), msg("Heads share embed_dim among them.")),
            *without_effect("torch", ("batch_first", "dropout", "add_zero_attn"), msg("It has no weights.")),
        ),
        differences=(
            msg("PyTorch splits embed_dim among the heads, Keras gives each head key_dim: both count the same where "
                "heads × key_dim is the number of features."),
            msg("PyTorch keeps the output projection in a layer of its own, out_proj."),
        ),
        examples=(
            example("keras", "multi_head_attention", "MultiHeadAttention(num_heads=8, key_dim=64)",
                    _keras_held(512, dict.fromkeys(_PROJECTIONS, 8), 64)),
            example("torch", "multi_head_attention", "MultiheadAttention(512, 8)",
                    (("in_proj_weight", "qkv_kernel", (1536, 512), "out-in"),
                     ("in_proj_bias", "qkv_bias", (1536,), None))),
        ),
        notes=(msg("The example of PyTorch is the module without its layer out_proj, which is explained by itself."),),
    )  # fmt: skip


def _grouped() -> Entry:
    names = {"query": "heads", "key": "shared", "value": "shared"}
    return Entry(
        weights=_keras_weights(names),
        formulas=formulas(
            "features × heads × size + heads × size + 2 × (features × shared × size + shared × size) "
            "+ heads × size × features + features",
            None,
        ),
        terms=_terms(symbol("shared", msg("heads of keys and values, each shared by several heads of queries"))),
        options=(
            option("keras", "num_query_heads", msg("More heads of the same size mean more weights.")),
            option("keras", "num_key_value_heads", msg("Fewer make the projections of keys and values smaller.")),
            option("keras", "head_dim", msg("Size of a head.")),
            option("keras", "use_bias", msg("False leaves out every bias.")),
            *without_effect("keras", ("dropout", "flash_attention"), msg("It has no weights.")),
        ),
        differences=(msg("PyTorch has no such layer."),),
        examples=(
            example("keras", "grouped_query_attention",
                    "GroupQueryAttention(head_dim=64, num_query_heads=8, num_key_value_heads=2)",
                    _keras_held(512, {"query": 8, "key": 2, "value": 2}, 64)),
        ),
    )  # fmt: skip


def _single() -> Entry:
    return Entry(
        weights=(
            weight("keras", "scale", "attention_score_scale", "[]", verbatim("Attention(use_scale=True)")),
            weight("keras", "scale", "attention_score_scale", "[features]",
                   verbatim("AdditiveAttention(use_scale=True)")),
            weight("keras", "concat_score_weight", "attention_score_scale", "[]",
                   verbatim('Attention(score_mode="concat")')),
        ),
        formulas=formulas("features", None),
        terms=(symbol("features", msg("features of the input")),),
        options=(
            option("keras", "use_scale", msg("Adds one value in Attention, one per feature in AdditiveAttention.")),
            option("keras", "score_mode", msg("concat adds one value.")),
        ),
        differences=(msg("PyTorch has no such layer."),),
        examples=(
            example("keras", "attention", "AdditiveAttention()", (("scale", "attention_score_scale", (64,), None),)),
        ),
        notes=(msg("The formula stands for AdditiveAttention; Attention has no weights by default."),),
    )  # fmt: skip


def _transformer() -> Entry:
    return Entry(
        has_weights=False,
        differences=(msg("Keras itself has no transformer block; KerasHub has."),),
        notes=(
            msg("A transformer block has no weights of its own: attention, the two fully connected layers and the "
                "normalisations in it are layers that are explained by themselves."),
        ),
    )  # fmt: skip
