"""Output shapes of PyTorch's own modules from their arguments, weights and input shapes; runs nothing.

Formulas: the "Shape" sections of the torch.nn documentation (2.13). The batch is in front and has a size. A rule that
cannot tell answers None.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor, prod
from typing import Any

from service.enrich.cost.work import Sizes, first_shape_of, option, whole, wholes, words
from service.tree import Layer

Config = dict[str, Any]
Outputs = tuple[Sizes, ...] | None
Rule = Callable[[Layer, tuple[Sizes, ...]], Outputs]


def outputs(layer: Layer, weights: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    """Shapes of what `layer` returns for `ins`; `weights` is the layer that holds its weights. None if not known."""
    rule = _BY_TYPE.get(layer.type or "") or _BY_KIND.get(layer.kind)
    if rule is None or layer.custom or not ins or not ins[0]:
        return None
    given = layer if layer is weights else _with_weights(layer, weights)
    found = rule(given, ins)
    if found is None or any(size < 0 or size >= 2**63 for shape in found for size in shape):
        return None
    return found


def _with_weights(layer: Layer, weights: Layer) -> Layer:
    return Layer(path=layer.path, name=layer.name, kind=layer.kind, type=layer.type, config=layer.config,
                 weights=weights.weights)  # fmt: skip


def _same(_layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    return ins[:1]


def _linear(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    shape = first_shape_of(layer.weights)
    features = whole(layer.config.get("out_features")) or (shape[0] if shape else None)
    return None if features is None else ((*ins[0][:-1], features),)


def _glu(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    axis = layer.config.get("dim", -1)
    if type(axis) is not int or not -len(ins[0]) <= axis < len(ins[0]):
        return None
    sizes = list(ins[0])
    sizes[axis] //= 2
    return (tuple(sizes),)


def _conv(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    config, sizes = layer.config, ins[0][2:]
    shape = first_shape_of(layer.weights)
    channels = whole(config.get("out_channels")) or (shape[0] if shape else None)
    window = wholes(option(config, "kernel_size") or (shape[2:] if shape else None), len(sizes))
    found = _windows(config, sizes, window, None)
    return None if channels is None or found is None else ((ins[0][0], channels, *found),)


def _windows(config: Config, sizes: Sizes, window: Sizes | None, stride: Sizes | None) -> Sizes | None:
    """Output sizes of windows with the usual arguments; `stride` where none is given (None: 1)."""
    rank = len(sizes)
    if not rank or window is None:
        return None
    given = config.get("stride")
    steps = wholes(given, rank) if given not in (None, [], ()) else stride or (1,) * rank
    dilation = wholes(option(config, "dilation") or 1, rank)
    if steps is None or dilation is None:
        return None
    reach = tuple(d * (w - 1) + 1 for d, w in zip(dilation, window, strict=True))
    if config.get("padding") == "same":
        return sizes
    padding = (0,) * rank if config.get("padding") == "valid" else wholes(option(config, "padding") or 0, rank, 0)
    if padding is None:
        return None
    ceil = config.get("ceil_mode") is True
    found = tuple(
        _count(size + 2 * pad, extent, step, size + pad if ceil else None)
        for size, pad, extent, step in zip(sizes, padding, reach, steps, strict=True)
    )
    return found if all(size >= 1 for size in found) else None


def _count(size: int, reach: int, step: int, last_start: int | None) -> int:
    """Windows along an axis; rounded up where `last_start` is given, which no window may start behind."""
    if last_start is None:
        return (size - reach) // step + 1
    count = -((reach - size) // step) + 1
    return count - 1 if (count - 1) * step >= last_start else count


def _conv_transpose(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    config, sizes = layer.config, ins[0][2:]
    rank, shape = len(sizes), first_shape_of(layer.weights)
    groups = whole(config.get("groups", 1))
    channels = whole(config.get("out_channels")) or (shape[1] * groups if shape and groups and len(shape) > 1 else None)
    window = wholes(option(config, "kernel_size") or (shape[2:] if shape else None), rank)
    stride, dilation = wholes(option(config, "stride") or 1, rank), wholes(option(config, "dilation") or 1, rank)
    padding, extra = (wholes(option(config, name) or 0, rank, 0) for name in ("padding", "output_padding"))
    if not rank or not (channels and window and stride and dilation and padding and extra):
        return None
    axes = zip(sizes, window, stride, dilation, padding, extra, strict=True)
    grown = (((n - 1) * s - 2 * p + d * (w - 1) + e + 1) for n, w, s, d, p, e in axes)
    return ((ins[0][0], channels, *grown),)


def _pool(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    sizes = ins[0][2:]
    window = wholes(layer.config.get("kernel_size"), len(sizes))
    found = _windows(layer.config, sizes, window, window)
    return None if found is None else ((*ins[0][:2], *found),)


def _adaptive(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    sizes, wanted = ins[0][2:], layer.config.get("output_size")
    items = list(wanted) if isinstance(wanted, (list, tuple)) else [wanted] * len(sizes)
    if len(items) != len(sizes):
        return None
    found = [size if item is None else whole(item) for item, size in zip(items, sizes, strict=True)]
    known = tuple(size for size in found if size is not None)
    return ((*ins[0][:2], *known),) if len(known) == len(sizes) else None


def _flatten(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    rank = len(ins[0])
    edges = [layer.config.get("start_dim", 1), layer.config.get("end_dim", -1)]
    if not all(type(edge) is int and -rank <= edge < rank for edge in edges):
        return None
    start, end = (edge % rank for edge in edges)
    return ((*ins[0][:start], prod(ins[0][start : end + 1]), *ins[0][end + 1 :]),) if start <= end else None


def _unflatten(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    axis, sizes = layer.config.get("dim"), layer.config.get("unflattened_size")
    if type(axis) is not int or not -len(ins[0]) <= axis < len(ins[0]) or not isinstance(sizes, (list, tuple)):
        return None
    axis %= len(ins[0])
    fixed = prod(size for size in sizes if type(size) is int and size > 0)
    if not all(type(size) is int for size in sizes) or not fixed:
        return None
    free = ins[0][axis] // fixed
    return ((*ins[0][:axis], *(free if size == -1 else size for size in sizes), *ins[0][axis + 1 :]),)


def _padding(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    rank = len(ins[0]) - 2
    value = layer.config.get("padding")
    edges: list[Any] = list(value) if isinstance(value, (list, tuple)) else [value] * (2 * rank)
    if len(edges) != 2 * rank or not all(type(edge) is int and abs(edge) < 2**31 for edge in edges):
        return None
    sums = [edges[2 * axis] + edges[2 * axis + 1] for axis in range(rank)][::-1]  # the last axis comes first
    return ((*ins[0][:2], *(size + edge for size, edge in zip(ins[0][2:], sums, strict=True))),)


def _upsample(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    sizes, config = ins[0][2:], layer.config
    if config.get("size") is not None:
        wanted = wholes(config["size"], len(sizes))
        return None if wanted is None else ((*ins[0][:2], *wanted),)
    factor = config.get("scale_factor")
    factors: list[Any] = list(factor) if isinstance(factor, (list, tuple)) else [factor] * len(sizes)
    if len(factors) != len(sizes) or not all(type(f) in (int, float) and 0 < f < 2**20 for f in factors):
        return None
    return ((*ins[0][:2], *(floor(size * f) for size, f in zip(sizes, factors, strict=True))),)


def _shuffle(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    up, down = whole(layer.config.get("upscale_factor")), whole(layer.config.get("downscale_factor"))
    if len(ins[0]) != 4 or (up is None and down is None):
        return None
    batch, channels, height, width = ins[0]
    if up is not None:
        return ((batch, channels // up**2, height * up, width * up),)
    return ((batch, channels * (down or 1) ** 2, height // (down or 1), width // (down or 1)),)


def _embedding(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    shape = first_shape_of(layer.weights, ("embedding",))
    features = whole(layer.config.get("embedding_dim")) or (shape[1] if shape and len(shape) == 2 else None)
    return None if features is None else ((*ins[0], features),)


def _bag(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    found = _embedding(layer, ins)
    return None if found is None or len(ins[0]) != 2 else ((ins[0][0], found[0][-1]),)


def _recurrent(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    hidden = whole(layer.config.get("hidden_size"))
    projected = whole(layer.config.get("proj_size")) or hidden
    directions = 2 if layer.config.get("bidirectional") is True else 1
    if hidden is None or projected is None or len(ins[0]) != 3:
        return None
    return ((*ins[0][:2], directions * projected),)


def _target(_layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    return ins[-1:]


def _broadcast(_layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    rank = max(map(len, ins))
    aligned = [(1,) * (rank - len(shape)) + shape for shape in ins]
    sizes = tuple(max(axis) for axis in zip(*aligned, strict=True))
    fits = all(size in (1, whole_size) for shape in aligned for size, whole_size in zip(shape, sizes, strict=True))
    return (sizes,) if fits else None


def _concatenate(layer: Layer, ins: tuple[Sizes, ...]) -> Outputs:
    axis, first = layer.config.get("dim", 1), ins[0]
    if type(axis) is not int or not -len(first) <= axis < len(first) or any(len(one) != len(first) for one in ins):
        return None
    axis %= len(first)
    return ((*first[:axis], sum(shape[axis] for shape in ins), *first[axis + 1 :]),)


_BY_KIND: dict[str, Rule] = {
    **dict.fromkeys(
        words(
            "batch_norm layer_norm group_norm instance_norm rms_norm unit_norm activation prelu softmax dropout noise ",
            "quantization transformer_layer multi_head_attention",
        ),
        _same,
    ),
    "linear": _linear,
    "bilinear": _linear,
    **{f"conv{rank}d": _conv for rank in (1, 2, 3)},
    **{f"conv_transpose{rank}d": _conv_transpose for rank in (1, 2, 3)},
    "pool": _pool,
    "padding": _padding,
    "embedding": _embedding,
    **dict.fromkeys(("lstm", "gru", "simple_rnn"), _recurrent),
}
_BY_TYPE: dict[str, Rule] = {
    "GLU": _glu,
    "Flatten": _flatten,
    "Unflatten": _unflatten,
    "Identity": _same,
    "ChannelShuffle": _same,
    "Upsample": _upsample,
    "UpsamplingNearest2d": _upsample,
    "UpsamplingBilinear2d": _upsample,
    "PixelShuffle": _shuffle,
    "PixelUnshuffle": _shuffle,
    "EmbeddingBag": _bag,
    "Transformer": _target,
    "TransformerEncoder": _same,
    "TransformerDecoder": _same,
    **{f"Adaptive{how}Pool{rank}d": _adaptive for how in ("Avg", "Max") for rank in (1, 2, 3)},
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Maximum"), _broadcast),
    "Concatenate": _concatenate,
}
