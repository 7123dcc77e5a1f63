"""Output shapes of Keras' own layers, one small rule each: configuration and input shapes in, shapes out.

Knows layer arguments; must not know graphs, weights or files. A rule that cannot tell raises `ShapeUnknownError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.catalog.keras_classes import KIND_OF_CLASS
from service.catalog.keras_shape_math import (
    ShapeUnknownError,
    axis_index,
    broadcast,
    joined,
    product,
    spatial,
    transposed,
    whole,
    wholes,
    windows,
)
from service.tree import Shape

Config = dict[str, Any]
Shapes = list[Shape]
Rule = Callable[[Config, Shapes], Shapes]


def same(_config: Config, shapes: Shapes) -> Shapes:
    """As it came."""
    return shapes[:1]


def dense(config: Config, shapes: Shapes) -> Shapes:
    """The last axis becomes `units`."""
    return [(*shapes[0][:-1], whole(config.get("units")))]


def einsum_dense(config: Config, shapes: Shapes) -> Shapes:
    """The batch and `output_shape`, with the axes that the equation writes as `...` before or after."""
    equation, output = config.get("equation"), config.get("output_shape")
    if not isinstance(equation, str):
        raise ShapeUnknownError
    sizes = list(output) if isinstance(output, (list, tuple)) else [output]
    fixed = tuple(None if size is None else whole(size) for size in sizes)
    letters = equation.split(",")[0].replace(" ", "").replace(".", "")
    elided = len(shapes[0]) - len(letters) if "..." in equation else 0
    if equation.startswith("..."):
        return [(shapes[0][0], *shapes[0][1:elided], *fixed)]
    return [(shapes[0][0], *fixed, *shapes[0][len(shapes[0]) - elided :])]


def conv(config: Config, shapes: Shapes) -> Shapes:
    """Every spatial axis by its window; channels become `filters`."""
    sizes, _, first = spatial(shapes[0], config)
    return [joined(shapes[0][0], _windows(config, sizes), whole(config.get("filters")), first)]


def depthwise(config: Config, shapes: Shapes) -> Shapes:
    """As a convolution, with `depth_multiplier` outputs per channel."""
    sizes, channels, first = spatial(shapes[0], config)
    multiplied = None if channels is None else channels * whole(config.get("depth_multiplier", 1))
    return [joined(shapes[0][0], _windows(config, sizes), multiplied, first)]


def _windows(config: Config, sizes: Shape) -> Shape:
    rank = len(sizes)
    window, stride = wholes(config.get("kernel_size"), rank), wholes(config.get("strides", 1), rank)
    dilation = wholes(config.get("dilation_rate", 1), rank)
    padding = config.get("padding", "valid")
    return tuple(windows(size, window[i], stride[i], padding, dilation[i]) for i, size in enumerate(sizes))


def conv_transpose(config: Config, shapes: Shapes) -> Shapes:
    """The inverse of a convolution's sizes."""
    sizes, _, first = spatial(shapes[0], config)
    rank = len(sizes)
    window, stride = wholes(config.get("kernel_size"), rank), wholes(config.get("strides", 1), rank)
    dilation = wholes(config.get("dilation_rate", 1), rank)
    extra = config.get("output_padding")
    extras = (None,) * rank if extra is None else wholes(extra, rank, low=0)
    padding = config.get("padding", "valid")
    grown = tuple(
        transposed(size, window[i], stride[i], padding, dilation[i], extras[i]) for i, size in enumerate(sizes)
    )
    return [joined(shapes[0][0], grown, whole(config.get("filters")), first)]


def pool(config: Config, shapes: Shapes) -> Shapes:
    """Windows of `pool_size`, by default next to each other."""
    sizes, channels, first = spatial(shapes[0], config)
    window = wholes(config.get("pool_size", 2), len(sizes))
    strides = config.get("strides")
    stride = window if strides is None else wholes(strides, len(sizes))
    padding = config.get("padding", "valid")
    pooled = tuple(windows(size, window[i], stride[i], padding) for i, size in enumerate(sizes))
    return [joined(shapes[0][0], pooled, channels, first)]


def adaptive_pool(config: Config, shapes: Shapes) -> Shapes:
    """Spatial axes become `output_size`."""
    sizes, channels, first = spatial(shapes[0], config)
    return [joined(shapes[0][0], wholes(config.get("output_size"), len(sizes)), channels, first)]


def global_pool(config: Config, shapes: Shapes) -> Shapes:
    """Only channels stay, or ones if the axes are kept."""
    sizes, channels, first = spatial(shapes[0], config)
    if config.get("keepdims"):
        return [joined(shapes[0][0], (1,) * len(sizes), channels, first)]
    return [(shapes[0][0], channels)]


def _edges(value: Any, rank: int) -> tuple[int, ...]:
    """What is added or removed along each axis: from a number, a list of numbers, or a list of pairs."""
    if rank == 1 and isinstance(value, (list, tuple)) and len(value) == 2:
        return (sum(wholes(value, 2, low=0)),)
    items = value if isinstance(value, (list, tuple)) else [value] * rank
    if len(items) != rank:
        raise ShapeUnknownError
    return tuple(sum(wholes(item, 2, low=0)) for item in items)


def padding(config: Config, shapes: Shapes) -> Shapes:
    """Every spatial axis grows by its two edges."""
    sizes, channels, first = spatial(shapes[0], config)
    edges = _edges(config.get("padding", 1), len(sizes))
    return [
        joined(
            shapes[0][0], tuple(s if s is None else s + e for s, e in zip(sizes, edges, strict=True)), channels, first
        )
    ]


def cropping(config: Config, shapes: Shapes) -> Shapes:
    """Every spatial axis shrinks by its two edges."""
    sizes, channels, first = spatial(shapes[0], config)
    edges = _edges(config.get("cropping", 0), len(sizes))
    cut = tuple(s if s is None else whole(s - e, low=0) for s, e in zip(sizes, edges, strict=True))
    return [joined(shapes[0][0], cut, channels, first)]


def upsampling(config: Config, shapes: Shapes) -> Shapes:
    """Every spatial axis is repeated `size` times."""
    sizes, channels, first = spatial(shapes[0], config)
    factors = wholes(config.get("size", 2), len(sizes))
    grown = tuple(s if s is None else s * f for s, f in zip(sizes, factors, strict=True))
    return [joined(shapes[0][0], grown, channels, first)]


def flatten(_config: Config, shapes: Shapes) -> Shapes:
    """All axes but the batch in one."""
    return [(shapes[0][0], product(shapes[0][1:]))]


def reshape(config: Config, shapes: Shapes) -> Shapes:
    """`target_shape`, with one -1 worked out."""
    target = config.get("target_shape")
    if not isinstance(target, (list, tuple)):
        raise ShapeUnknownError
    fixed = 1
    for size in target:
        fixed *= 1 if size in (-1, None) else whole(size, low=0)
    total = product(shapes[0][1:])
    free = None if total is None or not fixed else total // fixed
    return [(shapes[0][0], *(free if size in (-1, None) else size for size in target))]


def permute(config: Config, shapes: Shapes) -> Shapes:
    """Axes in the order of `dims`, counted from 1."""
    dims = wholes(config.get("dims"), len(shapes[0]) - 1)
    if max(dims, default=0) >= len(shapes[0]):
        raise ShapeUnknownError
    return [(shapes[0][0], *(shapes[0][dim] for dim in dims))]


def repeat_vector(config: Config, shapes: Shapes) -> Shapes:
    """A new axis of `n` after the batch."""
    return [(shapes[0][0], whole(config.get("n")), *shapes[0][1:])]


def elementwise(_config: Config, shapes: Shapes) -> Shapes:
    """The common shape."""
    return [broadcast(shapes)]


def concatenate(config: Config, shapes: Shapes) -> Shapes:
    """Sizes along `axis` added up."""
    axis = axis_index(config.get("axis", -1), len(shapes[0]))
    if any(len(shape) != len(shapes[0]) for shape in shapes):
        raise ShapeUnknownError
    along = [shape[axis] for shape in shapes]
    total = None if None in along else sum(size for size in along if size is not None)
    rest = broadcast([(*shape[:axis], *shape[axis + 1 :]) for shape in shapes])
    return [(*rest[:axis], total, *rest[axis:])]


def dot(config: Config, shapes: Shapes) -> Shapes:
    """Both shapes without the axes that are summed over."""
    if len(shapes) != 2:
        raise ShapeUnknownError
    axes = config.get("axes", config.get("dot_axes"))
    pair = axes if isinstance(axes, (list, tuple)) else [axes, axes]
    if len(pair) != 2:
        raise ShapeUnknownError
    kept = [
        [size for i, size in enumerate(shape) if i != axis_index(axis, len(shape))]
        for shape, axis in zip(shapes, pair, strict=True)
    ]
    result = (*kept[0], *kept[1][1:])
    return [result if len(result) > 1 else (*result, 1)]


def embedding(config: Config, shapes: Shapes) -> Shapes:
    """A new last axis of `output_dim`."""
    return [(*shapes[0], whole(config.get("output_dim")))]


def rnn(config: Config, shapes: Shapes, states: int = 1) -> Shapes:
    """(batch, units), with the time axis if sequences are returned, and the states if they are."""
    units = whole(config.get("units"))
    return recurrent(config, shapes, (units,), [(units,)] * states)


def recurrent(config: Config, shapes: Shapes, features: Shape, states: list[Shape]) -> Shapes:
    """Shapes of any recurrent layer with these features per step."""
    if len(shapes[0]) < 2:
        raise ShapeUnknownError
    batch, steps = shapes[0][0], shapes[0][1]
    output = (batch, steps, *features) if config.get("return_sequences") else (batch, *features)
    return [output, *((batch, *state) for state in states)] if config.get("return_state") else [output]


def lstm(config: Config, shapes: Shapes) -> Shapes:
    """As any recurrent layer, with two states."""
    return rnn(config, shapes, states=2)


def conv_lstm(config: Config, shapes: Shapes) -> Shapes:
    """A convolution per step."""
    step = (shapes[0][0], *shapes[0][2:])
    features = conv(config, [step])[0][1:]
    return recurrent(config, shapes, features, [features, features])


def multi_head_attention(config: Config, shapes: Shapes) -> Shapes:
    """The query's shape, its last axis replaced by `output_shape` if given."""
    output = config.get("output_shape")
    if output is None:
        return shapes[:1]
    sizes = output if isinstance(output, (list, tuple)) else [output]
    return [(*shapes[0][:-1], *wholes(list(sizes), len(sizes)))]


def attention(_config: Config, shapes: Shapes) -> Shapes:
    """The query's positions with the value's features."""
    if len(shapes) < 2:
        raise ShapeUnknownError
    return [(*shapes[0][:-1], shapes[1][-1])]


def resized(config: Config, shapes: Shapes) -> Shapes:
    """Height and width as configured."""
    sizes, channels, first = spatial(shapes[0], config)
    if len(sizes) != 2:
        raise ShapeUnknownError
    return [joined(shapes[0][0], (whole(config.get("height")), whole(config.get("width"))), channels, first)]


def lookup(config: Config, shapes: Shapes) -> Shapes:
    """Indices keep the shape; encodings are not worked out."""
    if config.get("output_mode", "int") != "int":
        raise ShapeUnknownError
    return shapes[:1]


def text_vectorization(config: Config, shapes: Shapes) -> Shapes:
    """One row of `output_sequence_length` indices per text."""
    if config.get("output_mode", "int") != "int" or config.get("ragged"):
        raise ShapeUnknownError
    length = config.get("output_sequence_length")
    return [(shapes[0][0], None if length is None else whole(length))]


_BY_KIND: dict[str, Rule] = {
    "linear": dense,
    "einsum_dense": einsum_dense,
    "conv1d": conv,
    "conv2d": conv,
    "conv3d": conv,
    "conv_transpose1d": conv_transpose,
    "conv_transpose2d": conv_transpose,
    "conv_transpose3d": conv_transpose,
    "depthwise_conv1d": depthwise,
    "depthwise_conv2d": depthwise,
    "separable_conv1d": conv,
    "separable_conv2d": conv,
    "embedding": embedding,
    "batch_norm": same,
    "layer_norm": same,
    "group_norm": same,
    "rms_norm": same,
    "unit_norm": same,
    "normalization": same,
    "simple_rnn": rnn,
    "gru": rnn,
    "lstm": lstm,
    "conv_lstm": conv_lstm,
    "attention": attention,
    "multi_head_attention": multi_head_attention,
    "grouped_query_attention": same,
    "activation": same,
    "prelu": same,
    "softmax": same,
    "dropout": same,
    "noise": same,
    "pool": pool,
    "global_pool": global_pool,
    "padding": padding,
    "crop": cropping,
    "upsample": upsampling,
    "masking": same,
    "regularization": same,
}
_BY_CLASS: dict[str, Rule] = {
    "CustomScaleLayer": elementwise,
    "Flatten": flatten,
    "Reshape": reshape,
    "Permute": permute,
    "RepeatVector": repeat_vector,
    "Concatenate": concatenate,
    "Dot": dot,
    "Highway": same,
    "Rescaling": same,
    "Resizing": resized,
    "CenterCrop": resized,
    "RandomCrop": resized,
    "Discretization": lookup,
    "Hashing": lookup,
    "StringLookup": lookup,
    "IntegerLookup": lookup,
    "TextVectorization": text_vectorization,
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), elementwise),
    **dict.fromkeys(
        (name for name, kind in KIND_OF_CLASS.items() if name.startswith("Adaptive") and kind == "pool"), adaptive_pool
    ),
    **dict.fromkeys(
        (
            name
            for name, kind in KIND_OF_CLASS.items()
            if kind == "preprocessing" and name.startswith("Random") and name not in ("RandomHeight", "RandomWidth")
        ),
        same,
    ),
    **dict.fromkeys(
        (
            "AutoContrast",
            "Equalization",
            "Solarization",
            "AugMix",
            "RandAugment",
            "ContrastLimitedAdaptiveHistogramEqualization",
        ),
        same,
    ),
}

RULES: dict[str, Rule] = {
    **{name: _BY_KIND[kind] for name, kind in KIND_OF_CLASS.items() if kind in _BY_KIND},
    **_BY_CLASS,
}
"""Class to rule, for every layer whose output follows from its arguments and its inputs alone."""
