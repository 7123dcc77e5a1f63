"""Normalisation layers: so many vectors of one value per feature; knows which are learned and which are tracked.

Sources: `build` of Keras' BatchNormalization, LayerNormalization, GroupNormalization and RMSNormalization;
torch.nn.modules.batchnorm, instancenorm and normalization.
"""

from __future__ import annotations

import math

from service.enrich.explanations.recipe import Claim, Recipe, Sum, counted, evaluate, formula, listed, names, term
from service.enrich.explanations.references import reference
from service.enrich.explanations.remarks import no_effect, same_elsewhere
from service.enrich.explanations.shapes import Sizes, figures, sizes
from service.frameworks import OWN_RULES
from service.language import Message, msg, msgn, sentences
from service.tree import Layer, Weight

KINDS = ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm")
_LEARNED = ("scale", "offset")
_TRACKED = ("moving_mean", "moving_variance", "buffer")
_VECTORS = 2
"""gamma and beta; mean and variance."""


def explain(layer: Layer, framework: str) -> Recipe | None:
    """`vectors × features`; None if the weights are not vectors of one common shape."""
    vectors = [weight for weight in layer.weights if weight.role in (*_LEARNED, *_TRACKED)]
    unnamed = not vectors and not layer.config
    vectors = list(layer.weights) if unnamed else vectors
    shapes = {sizes(weight) for weight in vectors}
    shape = shapes.pop() if len(shapes) == 1 else None
    if not shape:
        return None
    held = {id(weight) for weight in vectors}
    claimed = [weight for weight in counted(layer, framework) if id(weight) in held]
    factors = (
        term("vectors", _meaning(claimed), len(claimed)),
        *(term("features", msg("features (channels) that are normalised"), size) for size in shape),
    )
    sums = (Sum(products=(factors,)),)
    return Recipe(
        sums=sums,
        text=_unnamed_text(vectors, shape) if unnamed else _text(layer, vectors, shape, formula(sums)),
        expert=_unnamed_expert(layer, framework) if unnamed else _expert(layer, framework, shape, evaluate(sums)),
        reference=reference(layer, framework),
        claims=() if unnamed else _claims(layer, framework, shape),
        certain=not unnamed,
    )


def _meaning(claimed: list[Weight]) -> Message:
    if not claimed:
        return msg("vectors of one value per feature: there are none")
    return msg("vectors of one value per feature: {names}", names=listed(names(claimed)))


def _text(layer: Layer, vectors: list[Weight], shape: Sizes, in_figures: str) -> Message:
    learned = names(weight for weight in vectors if weight.role in _LEARNED)
    tracked = names(weight for weight in vectors if weight.role not in _LEARNED)
    clauses = []
    if learned:
        clauses.append(msgn("{names} is learned by gradient", "{names} are learned by gradient",
                            n=len(learned), names=listed(learned)))  # fmt: skip
    if tracked:
        clauses.append(
            msgn(
                "{names} is tracked in the forward pass and never trained",
                "{names} are tracked in the forward pass and never trained",
                n=len(tracked), names=listed(tracked),
            )
        )  # fmt: skip
    size = figures(shape)
    what = layer.type or layer.kind.replace("_", " ")
    held = msgn("{n} vector of {features} values", "{n} vectors of {features} values", n=len(vectors), features=size)
    if len(clauses) == 1:
        return msg("{layer} on {features} features keeps {vectors}: {first}. {formula}.",
                   layer=what, features=size, vectors=held, first=clauses[0], formula=in_figures)  # fmt: skip
    return msg("{layer} on {features} features keeps {vectors}: {first}; {second}. {formula}.",
               layer=what, features=size, vectors=held, first=clauses[0], second=clauses[1],
               formula=in_figures)  # fmt: skip


def _unnamed_text(vectors: list[Weight], shape: Sizes) -> Message:
    return msgn(
        "The file holds {n} vector of {features} values for this normalisation, without names.",
        "The file holds {n} vectors of {features} values for this normalisation, without names.",
        n=len(vectors), features=figures(shape),
    )  # fmt: skip


def _unnamed_expert(layer: Layer, framework: str) -> Message:
    if framework != "keras":
        return msg("The file does not tell which of them is the scale and which the offset.")
    if layer.kind == "batch_norm":
        return msg(
            "BatchNormalization has gamma and beta where scale and center are on, and always moving_mean and "
            "moving_variance. Without the configuration the file does not tell which of them is missing."
        )
    return msg(
        "gamma is there where scale is on, beta where center is on. Without the configuration the file does not tell "
        "which of them these are."
    )


def _expert(layer: Layer, framework: str, shape: Sizes, total: int) -> Message:
    if framework not in OWN_RULES:
        return _neutral(layer, framework, shape)
    if layer.kind == "batch_norm":
        return _batch_keras(layer, shape, total) if framework == "keras" else _batch_torch(layer, shape)
    if layer.kind == "instance_norm":
        return sentences(
            msg("affine=True would give {count} parameters, affine=False none; both are off by default together with "
                "track_running_stats, which adds buffers only.", count=_VECTORS * math.prod(shape)),
            msg("Keras writes it as GroupNormalization with groups=-1, which counts the same."),
        )  # fmt: skip
    return _others(layer, framework, shape)


def _neutral(layer: Layer, framework: str, shape: Sizes) -> Message:
    """Of models of neither framework."""
    size = math.prod(shape)
    if layer.kind == "batch_norm":
        learned = sum(weight.count or 0 for weight in layer.weights if weight.role in _LEARNED)
        return msg(
            "Keras would count {all}: it adds the moving mean and variance as non-trainable weights. PyTorch would "
            "count {learned} parameters and keep the statistics as buffers.",
            all=learned + _VECTORS * size, learned=learned,
        )  # fmt: skip
    if layer.kind == "rms_norm":
        return sentences(msg("It has no offset and tracks nothing: {size} values in all.", size=size),
                         _same(layer.kind, framework))  # fmt: skip
    return sentences(
        msg("It normalises each example by itself, so nothing is tracked and there are no moving statistics."),
        _same(layer.kind, framework),
    )


_CLASSES = {
    "layer_norm": ("keras.layers.LayerNormalization", "torch.nn.LayerNorm"),
    "group_norm": ("keras.layers.GroupNormalization", "torch.nn.GroupNorm"),
    "instance_norm": ("keras.layers.GroupNormalization(groups=-1)", "torch.nn.InstanceNorm2d(affine=True)"),
    "rms_norm": ("keras.layers.RMSNormalization", "torch.nn.RMSNorm"),
}


def _same(kind: str, framework: str) -> Message:
    keras, torch = _CLASSES[kind]
    return same_elsewhere(framework, keras=keras, torch=torch)


def _batch_keras(layer: Layer, shape: Sizes, total: int) -> Message:
    size = math.prod(shape)
    learned = sum(weight.count or 0 for weight in layer.weights if weight.role in _LEARNED)
    renorm = sum(weight.count or 0 for weight in layer.weights if weight.role == "buffer")
    return sentences(
        msg("scale=False leaves out gamma and center=False beta, {size} values each; moving_mean and moving_variance "
            "are always there.", size=size),
        msg("renorm=True adds the {count} values of its own statistics.", count=renorm) if renorm else None,
        msg("Keras counts all {total}, {tracked} of them as non-trainable; PyTorch would count {learned} parameters "
            "and keep {buffers} values as buffers: running_mean, running_var and num_batches_tracked.",
            total=total, tracked=total - learned, learned=learned, buffers=_VECTORS * size + 1),
        no_effect("keras", keras=("momentum", "epsilon")),
    )  # fmt: skip


def _batch_torch(layer: Layer, shape: Sizes) -> Message:
    size = math.prod(shape)
    learned = sum(weight.count or 0 for weight in layer.weights if weight.role in _LEARNED)
    tracked = any(weight.role == "moving_mean" for weight in layer.weights)
    return sentences(
        msg("affine=False leaves out weight and bias ({learnable} values); track_running_stats=False leaves out the "
            "buffers.", learnable=_VECTORS * size),
        msg("Keras would count {count}: it adds the moving mean and variance as non-trainable weights, and has no "
            "num_batches_tracked.", count=learned + _VECTORS * size),
        None if tracked else msg("Keras has no BatchNormalization without moving statistics."),
        no_effect("torch", torch=("momentum", "eps")),
    )  # fmt: skip


def _others(layer: Layer, framework: str, shape: Sizes) -> Message:
    size = math.prod(shape)
    if layer.kind == "rms_norm":
        return sentences(
            msg("It has no offset and tracks nothing: {size} values in all.", size=size),
            _same(layer.kind, framework),
            no_effect(framework, keras=("epsilon",), torch=("eps",)),
        )
    options = {
        ("layer_norm", "torch"): msg("elementwise_affine=False leaves out both, bias=False the bias; each has {size} "
                                     "values.", size=size),
        ("group_norm", "torch"): msg("affine=False leaves out weight and bias, {size} values each.", size=size),
    }  # fmt: skip
    keras = msg("scale=False leaves out gamma and center=False beta, {size} values each.", size=size)
    return sentences(
        options.get((layer.kind, framework), keras),
        msg("It normalises each example by itself, so nothing is tracked and there are no moving statistics."),
        _same(layer.kind, framework),
        no_effect(framework, keras=("groups",), torch=("num_groups",)) if layer.kind == "group_norm" else None,
    )


def _claims(layer: Layer, framework: str, shape: Sizes) -> tuple[Claim, ...]:
    if framework not in OWN_RULES:
        return ()
    roles = {weight.role for weight in layer.weights}
    both = "scale" in roles and "offset" in roles
    if framework == "keras":
        if layer.kind == "rms_norm" or layer.config.get("rms_scaling"):
            return ()
        return (("scale", "scale" in roles), ("center", "offset" in roles))
    if layer.kind in ("layer_norm", "rms_norm"):
        return (("normalized_shape", shape), ("elementwise_affine", "scale" in roles))
    if layer.kind == "group_norm":
        return (("num_channels", math.prod(shape)), ("affine", both))
    return (
        ("num_features", math.prod(shape)),
        ("affine", both),
        ("track_running_stats", "moving_mean" in roles),
    )
