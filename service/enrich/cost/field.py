"""Receptive field and effective stride along convolutional chains: how much of the input one output position sees.

Per spatial axis, over a graph the largest of all branches: `r' = r + (k - 1) · d · j`, `j' = j · s` for a window `k`,
dilation `d`, stride `s` (Araujo, Norris, Sim 2019, https://distill.pub/2019/computing-receptive-fields). A transposed
convolution sees `ceil(k / s)` positions of its input and divides the stride. Padding changes neither.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import Any

from service.costs import Extents
from service.enrich.cost.elementwise import SINGLE_OPERATIONS
from service.enrich.cost.flow import Flow
from service.enrich.cost.work import KERNELS, Sizes, first_shape_of, option, whole, wholes, words
from service.language import msg
from service.tree import Layer

METHOD = msg(
    "Along the layers from the input: each window widens the field by (window - 1) × dilation × stride so far."
)
STRIDE = msg("The strides of all layers from the input multiplied; a transposed convolution or upsampling divides.")
WHOLE = msg("Every output sees the whole input, by attention or global pooling before it.")
NO_ORDER = msg("The file does not record which layer feeds which.")
BROKEN = msg("What one of the layers before it does to positions is not known.")
REUSED = msg(
    "A layer before it is called several times, and the graph by layer does not tell which of its calls leads here."
)
FINER = msg("There are several output positions for each position of the input.")
DIFFERING = msg("The branches that meet here have different strides.")

_CONVS = frozenset(
    {"conv1d", "conv2d", "conv3d", "depthwise_conv1d", "depthwise_conv2d", "separable_conv1d", "separable_conv2d"}
)
_TRANSPOSED = frozenset({"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"})
_CHAIN = _CONVS | _TRANSPOSED | {"pool", "upsample"}
_THROUGH = words(
    "input batch_norm layer_norm group_norm instance_norm rms_norm unit_norm normalization activation prelu softmax ",
    "dropout noise padding crop regularization masking quantization embedding merge spectral_norm",
)
_ATTENTION = frozenset({"multi_head_attention", "grouped_query_attention", "attention", "transformer_layer"})
_RECURRENT = frozenset({"simple_rnn", "lstm", "gru", "rnn", "bidirectional", "conv_lstm"})
_ENDING = frozenset({"global_pool", "reshape", "linear", "einsum_dense", *_RECURRENT})
_LIMIT = 2**63

Number = int | Fraction


@dataclass(frozen=True, slots=True)
class Field:
    """Extent and stride per spatial axis; () while no window has been met. `whole`: sees everything."""

    extent: tuple[Number, ...] = ()
    stride: tuple[Number, ...] = ()
    whole: bool = False
    ended: bool = False
    differing: bool = False


START = Field()
ENDED = Field(ended=True)
State = Field | None
Pair = tuple[Extents | None, Extents | None]


def fields(flow: Flow) -> list[Pair]:
    """Receptive field and stride of every layer; None where the term has no meaning."""
    if not any(layer.kind in _CHAIN for layer in flow.layers):
        return [(None, None)] * len(flow.layers)
    states: list[State] = [None] * len(flow.layers)
    reused = [False] * len(flow.layers)
    found: list[Pair] = []
    origin = _origin(flow)
    for number, layer in enumerate(flow.layers):
        feeders = flow.feeders(number)
        if flow.holds(number) or (feeders is None and layer.kind not in _CHAIN):
            found.append((None, None))
            continue
        state = None if feeders is None else _next(flow, number, _joined([states[one] for one in feeders]))
        states[number] = state
        if state is None:
            reused[number] = any(one >= number or reused[one] for one in feeders or ())
        found.append(_missing(layer, feeders, reused[number]) if state is None else _said(state, origin))
    return found


def _missing(layer: Layer, feeders: tuple[int, ...] | None, reused: bool) -> Pair:
    if layer.kind not in _CHAIN:
        return None, None
    why = _UNORDERED if feeders is None else _REUSED if reused else _BROKEN
    return why, why


_BROKEN = Extents(value=None, status="unavailable", method=BROKEN)
_REUSED = Extents(value=None, status="unavailable", method=REUSED)
_UNORDERED = Extents(value=None, status="unavailable", method=NO_ORDER)
_SEES_ALL = Extents(value=None, status="unavailable", method=WHOLE)


def _origin(flow: Flow) -> Sizes | None:
    """Sizes of the only input, None if there are several or they are not known."""
    entries = {flow.ins[number] for number, sources in enumerate(flow.sources) if sources == ()}
    only = entries.pop() if len(entries) == 1 else None
    if not only or len(only[0]) < 3:
        return None
    first = any(layer.config.get("data_format") == "channels_first" for layer in flow.layers if layer.kind in _CHAIN)
    return only[0][2:] if flow.torch or first else only[0][1:-1]


def _joined(states: list[State]) -> State:
    """What a layer sees that is fed by several: the widest, all if one of them does."""
    if not states:
        return START
    first = states[0]
    if first is None or all(state is first for state in states):
        return first
    known = [state for state in states if state is not None]
    if len(known) < len(states):
        return None
    spatial = [state for state in known if not state.ended and state.extent]
    if not spatial:
        return ENDED if any(state.ended for state in known) else START
    ranks = {len(state.extent) for state in spatial}
    if len(ranks) > 1:
        return None
    widest = tuple(max(axis) for axis in zip(*(state.extent for state in spatial), strict=True))
    stride = tuple(max(axis) for axis in zip(*(state.stride for state in spatial), strict=True))
    everything = any(state.whole or state.ended for state in known)
    differing = any(state.differing for state in known) or any(state.stride != stride for state in spatial)
    return Field(widest, stride, whole=everything, differing=differing)


def _next(flow: Flow, number: int, state: State) -> State:
    """The state behind one layer."""
    layer = flow.layers[number]
    kind = layer.kind
    if state is None or kind in _THROUGH:
        return None if layer.type in ("Dot", "MatMul") else state
    if state.ended:
        return state if kind in (_CHAIN | _ENDING | _ATTENTION) or _is_pointwise(layer) else None
    if kind in _CHAIN:
        return _moved(flow, number, state)
    if kind in _ATTENTION or kind in _RECURRENT:
        return replace(state, whole=True) if state.extent else START
    if kind in _ENDING:
        return _behind(flow, layer, state)
    return state if _is_pointwise(layer) else None


def _is_pointwise(layer: Layer) -> bool:
    name = layer.type or ""
    operation = layer.kind == "operation" and name.rpartition(".")[2].lower() in SINGLE_OPERATIONS
    return operation or name == "Rescaling"


def _behind(flow: Flow, layer: Layer, state: Field) -> State:
    """Dense layers over channels keep the positions; what flattens or pools everything ends them."""
    if layer.type == "Identity":
        return state
    positions = layer.kind in ("linear", "einsum_dense") and not flow.torch
    outputs = layer.output_shapes
    if positions and outputs and len(outputs[0]) == len(state.extent) + 2:
        return state
    return ENDED if state.extent or layer.kind == "global_pool" else START


def _moved(flow: Flow, number: int, state: Field) -> State:
    layer = flow.layers[number]
    rank = _rank(flow, number, layer)
    if rank is None or (state.extent and len(state.extent) != rank):
        return None
    field = state if state.extent else Field((1,) * rank, (1,) * rank)
    move = _transposed if layer.kind in _TRANSPOSED else _upsampled if layer.kind == "upsample" else _window
    moved = move(flow, number, field)
    if moved is None or moved.ended:
        return moved
    return moved if all(-_LIMIT < value < _LIMIT for value in (*moved.extent, *moved.stride)) else None


def _rank(flow: Flow, number: int, layer: Layer) -> int | None:
    """Spatial axes, by the kind's name or the shapes."""
    for digit in (layer.kind[-2:-1], (layer.type or "")[-2:-1]):
        if digit in ("1", "2", "3"):
            return int(digit)
    shapes = layer.output_shapes or flow.outs[number]
    return len(shapes[0]) - 2 if shapes and 3 <= len(shapes[0]) <= 5 else None


def _window(flow: Flow, number: int, field: Field) -> State:
    layer, rank = flow.layers[number], len(field.extent)
    if (layer.type or "").startswith("Adaptive"):
        return _adaptive(flow, number, field)
    window = _kernel(flow, number, rank)
    given = option(layer.config, "strides", "stride")
    stride = wholes(given, rank) if given not in (None, [], ()) else window if layer.kind == "pool" else (1,) * rank
    dilation = wholes(option(layer.config, "dilation_rate", "dilation") or 1, rank)
    if window is None or stride is None or dilation is None:
        return None
    axes = list(zip(field.extent, field.stride, window, stride, dilation, strict=True))
    extent: tuple[Number, ...] = tuple([_plain(r + (k - 1) * d * j) for r, j, k, _, d in axes])
    moved: tuple[Number, ...] = tuple([_plain(j * s) for _, j, _, s, _ in axes])
    return Field(extent, moved, field.whole, field.ended, field.differing)


def _adaptive(flow: Flow, number: int, field: Field) -> State:
    """Equal windows next to each other where the sizes divide; one for everything is global pooling."""
    ins, outs = flow.ins[number], flow.outs[number]
    wanted = flow.layers[number].config.get("output_size")
    if wanted in (1, [1, 1], (1, 1), [1], [1, 1, 1]):
        return ENDED
    if not ins or not outs or not flow.torch:
        return None
    pairs = list(zip(ins[0][2:], outs[0][2:], strict=False))
    if len(pairs) != len(field.extent) or any(not after or before % after for before, after in pairs):
        return None
    steps = [before // after for before, after in pairs]
    extent = tuple(_plain(r + (k - 1) * j) for r, j, k in zip(field.extent, field.stride, steps, strict=True))
    return replace(field, extent=extent, stride=tuple(j * k for j, k in zip(field.stride, steps, strict=True)))


def _transposed(flow: Flow, number: int, field: Field) -> State:
    layer, rank = flow.layers[number], len(field.extent)
    window = _kernel(flow, number, rank)
    stride = wholes(option(layer.config, "strides", "stride") or 1, rank)
    dilation = wholes(option(layer.config, "dilation_rate", "dilation") or 1, rank)
    if window is None or stride is None or dilation is None:
        return None
    seen = [-(-((k - 1) * d + 1) // s) for k, s, d in zip(window, stride, dilation, strict=True)]
    extent = tuple(_plain(r + (n - 1) * j) for r, j, n in zip(field.extent, field.stride, seen, strict=True))
    return replace(field, extent=extent, stride=_divided(field.stride, stride))


def _upsampled(flow: Flow, number: int, field: Field) -> State:
    layer, rank = flow.layers[number], len(field.extent)
    factor = option(layer.config, "size", "scale_factor")
    if flow.torch:
        factor = layer.config.get("scale_factor")
        items = factor if isinstance(factor, (list, tuple)) else [factor]
        factor = [int(item) if type(item) is float and item.is_integer() else item for item in items]
    factors = wholes(factor, rank)
    mode = option(layer.config, "mode", "interpolation") or "nearest"
    if factors is None or (layer.type or "").startswith(("Pixel", "MaxUnpool")):
        return None
    linear = mode != "nearest" or "Bilinear" in (layer.type or "")
    extent = tuple(_plain(r + j) for r, j in zip(field.extent, field.stride, strict=True)) if linear else field.extent
    return replace(field, extent=extent, stride=_divided(field.stride, factors))


def _divided(stride: tuple[Number, ...], by: Sizes) -> tuple[Number, ...]:
    return tuple(_plain(Fraction(j) / s) for j, s in zip(stride, by, strict=True))


def _plain(value: Number) -> Number:
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


def _kernel(flow: Flow, number: int, rank: int) -> Sizes | None:
    """The window: as configured, else the spatial axes of the kernel."""
    layer = flow.layers[number]
    given: Any = option(layer.config, "kernel_size", "pool_size")
    if given is None and layer.kind == "pool":
        given = None if flow.torch else 2
    if given is not None:
        return wholes(given, rank)
    shape = first_shape_of(flow.owner(number).weights, KERNELS | {"depthwise_kernel"})
    if shape is None or len(shape) != rank + 2 or whole(shape[0]) is None:
        return None
    return shape[2:] if flow.torch else shape[:rank]


def _said(state: Field, origin: Sizes | None) -> Pair:
    if state.ended or not state.extent:
        return None, None
    stride = _stride(state.stride, state.differing)
    if state.whole:
        return (_whole(origin) if origin is not None and len(origin) == len(state.extent) else _SEES_ALL), stride
    return _extent(state.extent), stride


@lru_cache(maxsize=4096)
def _extent(extent: tuple[Number, ...]) -> Extents:
    return Extents(value=tuple(ceil(value) for value in extent), status="complete", method=METHOD)


@lru_cache(maxsize=4096)
def _whole(sizes: Sizes) -> Extents:
    return Extents(value=sizes, status="complete", method=WHOLE)


@lru_cache(maxsize=4096)
def _stride(stride: tuple[Number, ...], differing: bool) -> Extents:
    if differing:
        return Extents(value=None, status="unavailable", method=DIFFERING)
    if any(isinstance(value, Fraction) for value in stride):
        return Extents(value=None, status="unavailable", method=FINER)
    return Extents(value=tuple(int(value) for value in stride), status="complete", method=STRIDE)
