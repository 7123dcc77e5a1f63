"""What there is to say of attention; knows which projections there are, no shapes."""

from __future__ import annotations

from service.enrich.explanations.remarks import no_effect
from service.language import Message, msg, sentences
from service.tree import Layer


def text(framework: str, projections: tuple[str, ...], *, joint: bool) -> Message:
    """For a person who meets attention for the first time."""
    if joint and framework != "torch":
        return msg("The attention projects its inputs three times, to queries, keys and values; one array holds these "
                   "projections. Heads split them and add no weights of their own.")  # fmt: skip
    if joint:
        return msg("The attention projects its inputs three times, to queries, keys and values; PyTorch keeps these "
                   "projections in one tensor. Heads split them and add no weights of their own.")  # fmt: skip
    return msg("The attention projects its inputs with matrices of their own ({projections}). Heads split these "
               "projections and add no weights of their own.", projections=projections)  # fmt: skip


def expert(layer: Layer, framework: str, total: int, projections: tuple[str, ...]) -> Message:
    """What options do to a count of `total`, and what the other framework would count."""
    if framework == "torch":
        return _torch(layer, total, projections)
    return _keras(layer) if framework == "keras" else _other(projections)


def _other(projections: tuple[str, ...]) -> Message:
    """Of models of neither framework."""
    return sentences(
        msg("The output projection is counted here too.")
        if "output" in projections
        else msg("The output projection is a layer of its own."),
        msg("The number of heads does not change the count, as long as the projections keep their sizes."),
    )


def _keras(layer: Layer) -> Message:
    if layer.kind == "grouped_query_attention":
        return sentences(
            msg("Keys and values have num_key_value_heads heads only, shared by groups of query heads; with as many as "
                "num_query_heads it counts as MultiHeadAttention does."),
            no_effect("keras", keras=("dropout", "flash_attention", "seed")),
        )  # fmt: skip
    return sentences(
        msg("num_heads × key_dim and num_heads × value_dim need not be the number of features: more heads of the "
            "same size mean more weights. output_shape changes the output projection, use_bias=False leaves out every "
            "bias."),
        msg("torch.nn.MultiheadAttention splits embed_dim among the heads; with key_dim = value_dim = features "
            "/ num_heads both count the same, PyTorch with the output projection in the layer out_proj."),
        no_effect("keras", keras=("dropout", "attention_axes", "flash_attention")),
    )  # fmt: skip


def _torch(layer: Layer, total: int, projections: tuple[str, ...]) -> Message:
    extra = any(weight.name == "bias_k" for weight in layer.weights)
    return sentences(
        msg("The {total} are the projections of queries, keys and values; the output projection is counted in the "
            "layer out_proj.", total=total),
        msg("kdim or vdim differ from embed_dim, so the three projections are kept apart.") if projections else None,
        msg("add_bias_kv=True adds one learned key and one learned value.") if extra else None,
        msg("bias=False leaves out the biases here and in out_proj."),
        msg("keras.layers.MultiHeadAttention with key_dim = embed_dim / num_heads counts the same, with the output "
            "projection in the same layer."),
        no_effect("torch", torch=("num_heads", "dropout", "batch_first", "add_zero_attn")),
    )  # fmt: skip
