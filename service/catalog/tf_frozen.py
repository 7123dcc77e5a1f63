"""A frozen GraphDef's operations as layers: constants, settings and recorded shapes brought together.

Knows where nodes keep what they say; must not know files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.catalog.tf_constants import constant_of
from service.catalog.tf_graph import Described, Graph, Held, describe_graph
from service.catalog.tf_ops import INPUTS
from service.config import Limits
from service.parsers.tensorflow_attributes import recorded_shapes, settings
from service.parsers.tensorflow_graph import Node, attributes
from service.source import Source
from service.tree import Shape


def describe_frozen(source: Source, found: Sequence[Node], limits: Limits) -> Described:
    """The operations of a frozen graph."""
    held: dict[str, Held] = {}
    config: dict[str, dict[str, Any]] = {}
    shapes: dict[str, tuple[Shape, ...] | None] = {}
    for node in found:
        places = attributes(source, node)
        if node.op == "Const":
            constant = constant_of(source, places)
            if constant is not None:
                held[node.name] = constant
            continue
        config[node.name] = settings(source, places)
        shapes[node.name] = recorded_shapes(source, places) or _input_shape(node, config[node.name])
    graph = Graph(
        nodes=found,
        held=held,
        settings=lambda node: config.get(node.name, {}),
        shapes=lambda node: shapes.get(node.name),
        limits=limits,
    )
    return describe_graph(graph)


def _input_shape(node: Node, config: dict[str, Any]) -> tuple[Shape, ...] | None:
    if node.op in INPUTS and isinstance(config.get("shape"), list):
        return (tuple(config["shape"]),)
    return None
