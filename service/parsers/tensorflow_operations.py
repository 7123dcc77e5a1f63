"""Every operation of a graph and where it stands: in its nodes, its functions, and in graphs that are texts of it.

A dataset is written as a graph inside a text of the outer one, where whoever looks at nodes alone does not see it.
Knows where operations can hide; must not know what they do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from service.errors import InputError, LimitExceeded
from service.parsers.protobuf import BYTES, Field, message
from service.parsers.tensorflow_graph import looks_like_graph
from service.parsers.tensorflow_nodes import Listed, Node, any_node, entry_of, function_nodes, last_text, read_graph
from service.parsers.tensorflow_tensor import Constant
from service.source import BytesSource, Source

DEPTH = 3
"""How many texts within texts are looked into."""
_SHORTEST = 8
"""Bytes of the shortest graph of any interest: one node with a name and an operation."""


ADDRESSES = {"PrintV2": "output_stream", "DecodeProtoV2": "descriptor_source", "EncodeProto": "descriptor_source"}
"""Operations with a setting that says where they write to or read from."""


class Used(NamedTuple):
    """An operation and where it stands: a node's name, a function's, or that of the outer node for one in a text.

    `address` is where it reads or writes by a setting of its own, for the operations of `ADDRESSES`.
    """

    place: str
    op: str
    within: Literal["graph", "function", "text"]
    address: str = ""


def operations(source: Source, graph: Listed) -> Iterator[Used]:
    """Those of a graph's nodes, then of its functions.

    Behind a constant that holds graphs follow theirs, with the outer node's name. Raises LimitExceeded.
    """
    yield from _operations(source, graph, "", DEPTH)


def _operations(source: Source, graph: Listed, outer: str, depth: int) -> Iterator[Used]:
    for node in graph.nodes:
        address = _address(source, node) if node.op in ADDRESSES else ""
        yield Used(outer or node.name, node.op, "text" if outer else "graph", address)
        if node.constant is not None and node.constant.texts:
            yield from _within(source, node.constant, outer or node.name, depth)
    for name, place in function_nodes(source, graph):
        op = last_text(source, place, 2)
        address = _address(source, any_node(source, place)) if op in ADDRESSES else ""
        yield Used(outer or name, op, "text" if outer else "function", address)
        if op == "Const":
            constant = any_node(source, place).constant
            if constant is not None and constant.texts:
                yield from _within(source, constant, outer or name, depth)


def _address(source: Source, node: Node) -> str:
    """The setting that says where."""
    short = ((BytesSource(one, source.meter), Field(0, BYTES, 0, 0, len(one))) for one in node.attributes)
    for within, setting in (*short, *((source, one) for one in node.places)):
        key, value = entry_of(within, setting)
        if key == ADDRESSES[node.op] and value is not None:
            return last_text(within, value, 2)
    return ""


def _within(source: Source, constant: Constant, outer: str, depth: int) -> Iterator[Used]:
    """Operations of the graphs that a constant's texts are; of other texts nothing."""
    for text in constant.texts if depth else ():
        inner = _graph_in(source, text)
        if inner is not None:
            yield from _operations(source, inner, outer, depth - 1)


def _graph_in(source: Source, text: Field) -> Listed | None:
    try:
        if text.length < _SHORTEST or not looks_like_graph(source, text):
            return None
        return read_graph(source, message(source, text))
    except LimitExceeded:
        raise
    except InputError:  # it only began like one
        return None
