"""What the operations of a graph could do beyond computing, wherever they stand in it; knows graphs, no file format."""

from __future__ import annotations

from service.catalog.tf_ops import dangers, touches
from service.catalog.tf_savers import OPERATIONS, suspects
from service.parsers.tensorflow_graph import MetaGraph
from service.parsers.tensorflow_nodes import Listed
from service.parsers.tensorflow_operations import Used, operations
from service.source import Source
from service.tree import Danger


def dangers_of_graph(source: Source, graph: Listed, said: MetaGraph | None, member: str | None) -> tuple[Danger, ...]:
    """Each dangerous operation once, and those of savers that are none; `said` is what stands about the graph."""
    used = operations(source, graph)
    kept: list[Used] = [one for one in used if one.op in OPERATIONS or touches(one.op, one.address)]
    plain = ((one.place, one.op) for one in kept if one.op not in OPERATIONS)
    return dangers((*plain, *suspects(source, graph, said, kept)), member)
