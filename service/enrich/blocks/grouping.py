"""Groups layers that a person thinks of as one: a projection with its normalisation, activation and dropout.

By the graph where the file has one: a layer joins what alone feeds it and feeds nothing else. By order in a
Sequential. In a container of PyTorch that declares its layers without telling how it calls them, only what the
declaration suggests strongly: a channel normalisation of the right size, an activation or a dropout right after a
projection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from service.enrich.blocks.graph import Graph
from service.enrich.blocks.signatures import (
    ACTIVATIONS,
    CHANNEL_NORMS,
    DROPOUTS,
    HEADS,
    NORMS,
    PROJECTIONS,
    norm_fits,
)
from service.frameworks import conventions
from service.tree import Layer

Order = Literal["graph", "sequential", "declared", "stored"]
"""graph: the file says who feeds whom. sequential: one after the other. declared: as a module's author wrote them down.
stored: as a file of weights lists them, which says nothing of the order."""
_MOST_TAILS = 5


def order_of(items: Sequence[Layer], container: str | None, framework: str) -> Order:
    """What can be said of the order in which a container of class `container` runs its layers."""
    if items and all(item.inputs is not None for item in items):
        return "graph"
    if (container or "").endswith("Sequential") or all(item.name.isdigit() for item in items):
        return "sequential"
    return "declared" if conventions(framework) == "torch" else "stored"


def groups(graph: Graph, items: Sequence[int], order: Order, simple: Sequence[bool]) -> list[list[int]]:
    """`items` (positions of the layers of one container) as groups; `simple` says which hold no layers themselves."""
    found: list[list[int]] = []
    home: dict[int, int] = {}
    for index, at in enumerate(items):
        before = _before(graph, items, index, order)
        target = home.get(before) if before is not None else None
        if target is not None and simple[index] and _belongs(graph, found[target], at, order):
            found[target].append(at)
        else:
            target = len(found)
            found.append([at])
        if simple[index]:
            home[at] = target
    return found


def _before(graph: Graph, items: Sequence[int], index: int, order: Order) -> int | None:
    if order == "graph":
        return graph.only_feeder(items[index])
    return items[index - 1] if index and order != "stored" else None


def _belongs(graph: Graph, group: Sequence[int], at: int, order: Order) -> bool:
    """Whether the layer at `at` completes the group, whose last layer comes right before it."""
    members, layer = [graph.layers[member] for member in group], graph.layers[at]
    if layer.shared_with is not None or len(members) > _MOST_TAILS:
        return False
    head = members[0]
    if len(members) == 1 and head.kind == "padding":
        return order != "declared" and layer.kind in PROJECTIONS | {"pool"}
    if head.kind == "padding":
        head = members[1]
    return _may_follow(layer, head, {member.kind for member in members}, order)


def _may_follow(layer: Layer, head: Layer, held: set[str], order: Order) -> bool:
    if layer.kind in NORMS:
        return not held & NORMS and _norm_follows(layer, head, order)
    if layer.kind in ACTIVATIONS:
        return not held & ACTIVATIONS and head.kind in (PROJECTIONS if order == "declared" else HEADS | NORMS)
    if layer.kind in DROPOUTS:
        return not held & DROPOUTS and head.kind in (PROJECTIONS if order == "declared" else HEADS | NORMS)
    return False


def _norm_follows(norm: Layer, head: Layer, order: Order) -> bool:
    if order == "declared":
        return norm.kind in CHANNEL_NORMS and head.kind in PROJECTIONS and norm_fits(norm, head)
    return head.kind in HEADS and norm_fits(norm, head)
