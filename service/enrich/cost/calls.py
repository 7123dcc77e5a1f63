"""How often each layer is called for one batch, and with which sizes; knows the graph, no cost."""

from __future__ import annotations

from dataclasses import dataclass

from service.enrich.cost.flow import Flow
from service.enrich.cost.work import Sizes

MAX_CALLS = 2**40
"""Nested models called many times over multiply; more calls than this is an attack, not a model."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one layer.

    Attributes:
        count: How many.
        further: Inputs of those after the first, where they are known to differ from the first's.
        alike: Whether the first and `further` stand for all of them.
    """

    count: int
    further: tuple[tuple[Sizes, ...], ...] = ()
    alike: bool = True


ONE = Calls(1)


def calls(flow: Flow) -> list[Calls]:
    """Calls per layer. Keras counts within the model that holds a layer, PyTorch over the whole program."""
    found = [ONE] * len(flow.layers)
    if all([layer.uses is None for layer in flow.layers]):  # noqa: C419 - faster as a list
        return found
    for number, layer in enumerate(flow.layers):
        parent = flow.index.get(layer.parent) if layer.parent is not None else None
        above = found[parent] if parent is not None and parent < number else ONE
        if layer.uses is None or (layer.uses == 1 and not flow.torch):
            found[number] = above if not above.further else Calls(above.count, alike=False)
        elif layer.uses == 1 or layer.uses <= 0:
            found[number] = Calls(max(0, layer.uses))
        else:
            found[number] = _several(flow, number, 1 if flow.torch else above.count, alike=_alike(above))
    return found


def _alike(above: Calls) -> bool:
    return above.alike and not above.further


def _several(flow: Flow, number: int, times: int, *, alike: bool) -> Calls:
    uses = flow.layers[number].uses or 0
    count = min(times * uses, MAX_CALLS)
    inputs = _inputs(flow, number)
    if inputs is None:
        return Calls(count, alike=False)
    if all(shapes == inputs[0] for shapes in inputs):
        return Calls(count, alike=alike)
    return Calls(count, tuple(inputs[1:]), alike=alike)


def _inputs(flow: Flow, number: int) -> list[tuple[Sizes, ...]] | None:
    """Inputs of every call of a shared layer with one input; None if they cannot be told.

    Keras lists a layer's feeders call by call; an exported program lists all that reach it through any operation.
    """
    layer, first, sources = flow.layers[number], flow.ins[number], flow.sources[number]
    if flow.torch or first is None or len(first) != 1 or sources is None or len(sources) != layer.uses:
        return None
    arriving = [flow.outs[source] for source in flow.feeders(number) or ()]
    found: list[tuple[Sizes, ...]] = [shapes[:1] for shapes in arriving if shapes is not None and len(shapes) == 1]
    return found if len(found) == layer.uses and found[0] == first else None
