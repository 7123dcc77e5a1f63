"""Embedding tables: one vector per index."""

from __future__ import annotations

from service.enrich.explanations.recipe import Recipe, Sum, term
from service.enrich.explanations.shapes import by_role, is_plain, sizes
from service.tree import Layer

KINDS = ("embedding",)
_REFERENCES = {"keras": "https://keras.io/api/layers/core_layers/embedding/", "torch": "torch.nn.Embedding"}


def explain(layer: Layer, framework: str) -> Recipe | None:
    """`rows × dimensions`; None for anything but one plain table."""
    shape = sizes(by_role(layer).get("embedding"))
    if shape is None or len(shape) != 2 or not is_plain(layer, {"embedding"}):
        return None
    rows, width = shape
    product = (term("rows", "indices in the vocabulary", rows), term("dimensions", "values per index", width))
    return Recipe(
        sums=(Sum(products=(product,)),),
        text=f"The table has one vector of {width} values for each of {rows} indices ({rows} × {width}).",
        reference=_REFERENCES.get(framework),
    )
