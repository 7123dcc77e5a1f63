"""Adds up what memory scenarios need: weights by what training does to them, activations kept and alive at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from service.catalog.torch_dtypes import element_bits, stored_bytes
from service.enrich.cost.calls import Calls
from service.enrich.cost.dtypes import is_float
from service.enrich.cost.flow import Flow, Several
from service.enrich.cost.liveness import peak
from service.enrich.cost.memory import Load
from service.enrich.cost.program import Operations, operations_of
from service.enrich.cost.work import words
from service.tree import Layer, Weight

INTERNAL = words(
    "simple_rnn lstm gru rnn rnn_cell bidirectional conv_lstm multi_head_attention grouped_query_attention attention ",
    "transformer transformer_layer",
)
_VIEWS = frozenset({"Flatten", "Reshape", "Unflatten", "Identity", "flatten", "reshape"})


def load_of(
    flow: Flow, dtypes: Sequence[str], calls: Sequence[Calls], tags: dict[str, Any], times: Mapping[int, int]
) -> Load:
    """What a model weighs.

    Args:
        flow: Its layers.
        dtypes: Element types of their outputs.
        calls: How often each is called.
        tags: What the file says of itself.
        times: For one layer of each sort, how many layers have such weights.
    """
    load = Load(internals=any(layer.kind in INTERNAL for layer in flow.layers))
    for number, alike in times.items():
        for weight in flow.layers[number].weights:
            if weight.tied_to is None:
                _add_weight(load, weight, alike)
    _add_activations(load, flow, dtypes, calls)
    operations = operations_of(tags, flow.batch)
    if operations is not None:
        _take_operations(load, operations)
    return load


def _take_operations(load: Load, operations: Operations) -> None:
    """What the graph's operations leave in memory stands for what its layers do, where that is known."""
    load.operations = operations.kept is not None
    load.between_missing = not load.operations
    if load.operations:
        load.kept, load.kept_elements, load.live = operations.kept, operations.kept_elements, operations.live
        load.graph, load.internals = True, operations.fused
        load.activations_missing = load.first_calls = False


def _add_weight(load: Load, weight: Weight, times: int) -> None:
    size = weight.bytes if weight.bytes is not None else stored_bytes(weight.dtype, weight.count)
    if size is None or weight.count is None:
        load.weights_missing = True
        return
    size *= times
    load.weights += size
    parameter = weight.group in ("trainable", "frozen", "unknown") and is_float(weight.dtype)
    if not parameter:
        load.fixed += size
        return
    load.elements += weight.count * times
    if weight.group != "frozen":
        load.trained += size
        load.trained_elements += weight.count * times
        load.training_unknown |= weight.group == "unknown"


def _bytes(shapes: Several, dtype: str) -> int | None:
    return None if shapes is None else stored_bytes(dtype, sum(map(prod, shapes)))


def _is_view(layer: Layer) -> bool:
    return layer.kind == "reshape" and layer.type in _VIEWS


def _add_activations(load: Load, flow: Flow, dtypes: Sequence[str], calls: Sequence[Calls]) -> None:
    if flow.blank:
        load.activations_missing, load.kept = bool(flow.layers), None
        return
    nodes = _nodes(flow)
    sizes = [_bytes(flow.outs[number], dtypes[number]) for number in nodes]
    entering = _entering(flow, nodes, dtypes)
    _add_kept(load, flow, dtypes, calls)
    if not load.kept:
        load.kept = None
        return
    load.kept += entering
    load.kept_elements += entering * 8 // (element_bits(dtypes[nodes[0]]) or 8)
    load.graph = all(flow.sources[number] is not None for number in nodes)
    load.live = _alive(flow, nodes, sizes, entering) if load.graph else _largest(flow, nodes, sizes, dtypes)


def _add_kept(load: Load, flow: Flow, dtypes: Sequence[str], calls: Sequence[Calls]) -> None:
    """The outputs of every layer that holds no others, over all its calls; what is only seen differently is not."""
    load.kept = 0
    for number, layer in enumerate(flow.layers):
        if number in flow.children:
            continue
        size = _bytes(flow.outs[number], dtypes[number])
        load.activations_missing |= size is None
        load.first_calls |= bool(calls[number].further) or not calls[number].alike
        if size and not _is_view(layer):
            load.kept += size * calls[number].count
            load.kept_elements += sum(map(prod, flow.outs[number] or ())) * calls[number].count


def _nodes(flow: Flow) -> list[int]:
    """Layers that make an activation: no containers, and nothing inside of a layer that is seen as a whole."""
    found: list[int] = []
    inside = [False] * len(flow.layers)
    for number, layer in enumerate(flow.layers):
        above = flow.index.get(layer.parent) if layer.parent is not None else None
        if above is not None and above < number:
            inside[number] = inside[above] or (not flow.holds(above) and flow.outs[above] is not None)
        if not inside[number] and not flow.holds(number):
            found.append(number)
    return found


def _entering(flow: Flow, nodes: list[int], dtypes: Sequence[str]) -> int:
    """Bytes of what enters a model without input layers: every distinct shape once."""
    shapes = {
        shape: dtypes[number]
        for number in nodes
        if flow.sources[number] == () and flow.layers[number].kind != "input"
        for shape in flow.ins[number] or ()
    }
    return sum(stored_bytes(dtype, prod(shape)) or 0 for shape, dtype in shapes.items())


def _alive(flow: Flow, nodes: list[int], sizes: list[int | None], entering: int) -> int:
    place = {number: position + 1 for position, number in enumerate(nodes)}
    sources = [tuple(place[one] for one in flow.feeders(number) or () if one in place) or (0,) for number in nodes]
    views = [_is_view(flow.layers[number]) or flow.layers[number].kind == "dropout" for number in nodes]
    return peak([entering, *(size or 0 for size in sizes)], [(), *sources], [False, *views])


def _largest(flow: Flow, nodes: list[int], sizes: list[int | None], dtypes: Sequence[str]) -> int:
    return max(
        (_bytes(flow.ins[number], dtypes[number]) or 0) + (size or 0) for number, size in zip(nodes, sizes, strict=True)
    )
