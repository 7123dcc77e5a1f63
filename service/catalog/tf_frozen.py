"""A frozen GraphDef's operations as layers: constants, settings and recorded shapes brought together.

Knows where nodes keep what they say; must not know files.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.catalog.tf_cells import with_cells
from service.catalog.tf_constants import held_by
from service.catalog.tf_graph import Described, Graph, describe_graph
from service.catalog.tf_ops import INPUTS
from service.config import Limits
from service.parsers.tensorflow_attributes import recorded_shapes, settings
from service.parsers.tensorflow_nodes import Node
from service.source import Source
from service.tree import Shape


def describe_frozen(source: Source, found: Sequence[Node], limits: Limits) -> Described:
    """The operations of a frozen graph."""
    described = describe_graph(
        Graph(
            nodes=found,
            held={node.name: held_by(node.constant) for node in found if node.op == "Const" and node.constant},
            settings=lambda node: settings(source, node),
            shapes=lambda node: recorded_shapes(source, node) or _input_shape(node, source),
            limits=limits,
        )
    )
    return described._replace(layers=with_cells(described.layers))


def _input_shape(node: Node, source: Source) -> tuple[Shape, ...] | None:
    shape = settings(source, node).get("shape") if node.op in INPUTS else None
    return (tuple(shape),) if isinstance(shape, list) else None
