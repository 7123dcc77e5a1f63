"""Which operation of a graph uses which weight, and as what: constants and variables followed to their consumers.

Knows nodes and operations; must not know files. Every loop is over nodes or edges once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from service.catalog.tf_ops import PASSES, READS, SOURCES, VARIABLES
from service.parsers.tensorflow_nodes import Node


class Use(NamedTuple):
    """One use of a weight: the operation's node, which of its inputs, and the role that this gives it."""

    node: Node
    position: int
    role: str


def holds_variables(nodes: Sequence[Node]) -> bool:
    """Whether the graph keeps its weights in variables: it was not frozen."""
    return any(node.op in VARIABLES for node in nodes)


def base_name(tensor: str) -> str:
    """The node that a tensor's name refers to: without `^` for control and `:1` for the output."""
    if tensor[:1] != "^" and ":" not in tensor:
        return tensor
    return tensor.lstrip("^").partition(":")[0]


def origins(nodes: Mapping[str, Node]) -> dict[str, str]:
    """For each node that holds a weight or passes one on: the node that holds it."""
    found: dict[str, str] = {}
    for start in nodes:
        way: list[str] = []
        on_way: set[str] = set()
        here = start
        while (
            here not in found
            and here in nodes
            and nodes[here].op in PASSES
            and nodes[here].inputs
            and here not in on_way
        ):
            way.append(here)
            on_way.add(here)
            here = base_name(nodes[here].inputs[0])
        node = nodes.get(here)
        end = found.get(here) or (here if node is not None and node.op in SOURCES else "")
        for step in way:
            found[step] = end
        if node is not None and node.op in SOURCES:
            found[here] = here
    return {name: origin for name, origin in found.items() if origin}


def uses_of(nodes: Sequence[Node], origin: Mapping[str, str]) -> dict[str, Use]:
    """The first telling use of each weight, by the name of the node that holds it."""
    found: dict[str, Use] = {}
    for node in nodes:
        reads = READS.get(node.op)
        if reads is None:
            continue
        for position, role in reads.roles.items():
            if position < len(node.inputs) and role != "constant":
                holder = origin.get(base_name(node.inputs[position]))
                if holder is not None:
                    found.setdefault(holder, Use(node, position, role))
    return found


def roles_of(nodes: Sequence[Node]) -> dict[str, str]:
    """What a graph says of each variable: roles by the name of the variable's node."""
    by_name = {node.name: node for node in nodes}
    return {name: use.role for name, use in uses_of(nodes, origins(by_name)).items()}
