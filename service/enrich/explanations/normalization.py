"""Normalisation layers: so many vectors of one value per feature; knows which are learned and which are tracked."""

from __future__ import annotations

from service.enrich.explanations.recipe import Recipe, Sum, counted, names, term
from service.enrich.explanations.shapes import sizes
from service.tree import Layer, Weight

KINDS = ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm")
_LEARNED, _TRACKED = ("scale", "offset"), ("moving_mean", "moving_variance")
_REFERENCES = {
    "batch_norm": "Ioffe and Szegedy 2015, arXiv:1502.03167",
    "layer_norm": "Ba, Kiros and Hinton 2016, arXiv:1607.06450",
    "group_norm": "Wu and He 2018, arXiv:1803.08494",
    "instance_norm": "Ulyanov, Vedaldi and Lempitsky 2016, arXiv:1607.08022",
    "rms_norm": "Zhang and Sennrich 2019, arXiv:1910.07467",
}


def explain(layer: Layer, framework: str) -> Recipe | None:
    """`vectors × features`; None if the weights are not vectors of one common shape."""
    vectors = [weight for weight in layer.weights if weight.role in (*_LEARNED, *_TRACKED)]
    shapes = {sizes(weight) for weight in vectors}
    others = [weight for weight in layer.weights if weight not in vectors and weight.role != "num_batches_tracked"]
    if len(shapes) != 1 or others:
        return None
    shape = shapes.pop()
    if not shape:
        return None
    claimed = [weight for weight in counted(layer, framework) if weight in vectors]
    factors = (
        term("vectors", f"vectors of one value per feature: {names(claimed) or 'none'}", len(claimed)),
        *(term("features", "features (channels) that are normalised", size) for size in shape),
    )
    return Recipe(
        sums=(Sum(products=(factors,)),), text=_text(layer, vectors, claimed, shape), reference=_REFERENCES[layer.kind]
    )


def _text(layer: Layer, vectors: list[Weight], claimed: list[Weight], shape: tuple[int, ...]) -> str:
    size = " × ".join(map(str, shape))
    what = layer.type or layer.kind.replace("_", " ")
    learned = [weight for weight in vectors if weight.role in _LEARNED]
    tracked = [weight for weight in vectors if weight.role in _TRACKED]
    pieces = [f"{what} on {size} features keeps {_plural(len(vectors), 'vector')} of {size} values:"]
    if learned:
        pieces.append(f"{names(learned)} {_be(learned)} learned by gradient" + (";" if tracked else "."))
    if tracked:
        pieces.append(f"{names(tracked)} {_be(tracked)} tracked in the forward pass and never trained.")
    pieces.append(f"{len(claimed)} × {size} = {sum(weight.count or 0 for weight in claimed)}.")
    return " ".join(pieces)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _be(weights: list[Weight]) -> str:
    return "is" if len(weights) == 1 else "are"
