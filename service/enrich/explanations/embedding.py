"""Embedding tables: one vector per index; knows the second table of a reversible one, and the bias of Core ML's."""

from __future__ import annotations

from service.enrich.explanations.recipe import Claim, Recipe, Sum, term
from service.enrich.explanations.references import reference
from service.enrich.explanations.remarks import no_effect, same_elsewhere
from service.enrich.explanations.shapes import by_role, sizes
from service.language import msg, sentences
from service.tree import Layer

KINDS = ("embedding",)


def explain(layer: Layer, framework: str) -> Recipe | None:
    """`rows × dimensions`, twice where the way back has a table of its own; None where there is no table."""
    held = by_role(layer)
    table = held.get("embedding") or held.get("packed_kernel")
    shape = sizes(table)
    if shape is None or len(shape) != 2:
        return None
    rows = term("rows", msg("indices in the vocabulary"), shape[0])
    width = term("dimensions", msg("values per index"), shape[1])
    reverse = "kernel" in held and sizes(held["kernel"]) == shape[::-1]
    bias = sizes(held.get("bias")) == shape[1:]
    products = [(rows, width), *([(width, rows)] if reverse else []), *([(width,)] if bias else [])]
    sums = (Sum(products=tuple(products)),)
    return Recipe(
        sums=sums,
        text=sentences(
            msg("The table has one vector of {width} values for each of {rows} indices ({rows} × {width}).",
                rows=shape[0], width=shape[1]),
            msg("The way back from vectors to indices has a table of its own (tie_weights=False).")
            if reverse
            else None,
            msg("A bias is added to every vector ({width}).", width=shape[1]) if bias else None,
        ),
        expert=sentences(
            msg("The count does not depend on the length of the sequences. A head that shares the table "
                "(tied weights) adds nothing."),
            no_effect(framework, keras=("mask_zero",), torch=("padding_idx", "max_norm", "sparse")),
            msg("Neither Keras nor PyTorch has a bias in its embedding.")
            if bias
            else same_elsewhere(framework, keras="keras.layers.Embedding", torch="torch.nn.Embedding"),
        ),
        reference=reference(layer, framework),
        claims=_claims(framework, shape[0], shape[1]),
    )  # fmt: skip


def _claims(framework: str, rows: int, width: int) -> tuple[Claim, ...]:
    if framework == "torch":
        return (("num_embeddings", rows), ("embedding_dim", width))
    return (("input_dim", rows), ("output_dim", width)) if framework == "keras" else ()
