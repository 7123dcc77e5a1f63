"""Graph models of TensorFlow.js: the JSON of a GraphDef as nodes, with the manifest's weights for its constants.

Knows how protobuf writes a GraphDef as JSON; what operations do with weights is in `tf_graph`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from service.catalog.tf_graph import Described, Graph, Held, describe_graph
from service.catalog.tf_ops import INPUTS
from service.catalog.tf_variables import Variable
from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.tensorflow_nodes import MAX_NODES, Node
from service.plain import text
from service.tree import Shape

_TYPES = {
    "DT_FLOAT": "float32", "DT_INT32": "int32", "DT_BOOL": "bool", "DT_STRING": "string", "DT_INT64": "int64",
    "DT_DOUBLE": "float64", "DT_HALF": "float16", "DT_UINT8": "uint8", "DT_INT8": "int8", "DT_BFLOAT16": "bfloat16",
}  # fmt: skip
_LEFT_OUT = frozenset(
    {"T", "Tparams", "Tidx", "Tindices", "Tshape", "Tdim", "Tpaddings", "Tperm", "Taxis", "N", "value"}
)
_MAX_LIST = 1 << 10


def describe_topology(topology: dict[str, Any], variables: Sequence[Variable], limits: Limits) -> Described:
    """The operations of a graph model. MalformedFile for a node that is none."""
    listed = topology.get("node")
    if not isinstance(listed, list):
        raise MalformedFile(msg("The graph has no list of nodes."), pointer="/modelTopology/node")
    if len(listed) > MAX_NODES:
        raise LimitExceeded("graph_nodes", MAX_NODES, msg("The graph has too many nodes."))
    names: dict[str, str] = {}
    nodes = [_node(item, index, names) for index, item in enumerate(listed)]
    attributes = {node.name: _attributes(item) for node, item in zip(nodes, listed, strict=True)}
    held = {one.name: Held(one.shape, one.dtype, one.bytes, one.location, meant=one.meant) for one in variables}
    for node in nodes:
        if node.op == "Const" and node.name not in held:
            held[node.name] = _inline(attributes[node.name])
    graph = Graph(
        nodes=nodes,
        held=held,
        settings=lambda node: _settings(attributes[node.name]),
        shapes=lambda node: _shapes(node, attributes[node.name]),
        limits=limits,
    )
    return describe_graph(graph)


def _node(item: Any, index: int, names: dict[str, str]) -> Node:
    """One node; `names` are those that were met before, as they are shown: most are read by another node."""
    name = item.get("name") if isinstance(item, dict) else None
    op = item.get("op") if isinstance(item, dict) else None
    inputs = item.get("input", []) if isinstance(item, dict) else None
    if not isinstance(name, str) or not isinstance(op, str) or not isinstance(inputs, list):
        raise MalformedFile(
            msg("A node of the graph has no name, operation or inputs."), pointer=f"/modelTopology/node/{index}"
        )
    shown = [names.get(one) or _named(one, names) for one in inputs if isinstance(one, str)]
    return Node(names.get(name) or _named(name, names), names.get(op) or _named(op, names), tuple(shown))


def _named(name: str, names: dict[str, str]) -> str:
    found = names[name] = text(name)
    return found


def _attributes(item: dict[str, Any]) -> dict[str, Any]:
    found = item.get("attr")
    return found if isinstance(found, dict) else {}


def _settings(attributes: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        if name[:1] != "_" and name not in _LEFT_OUT and isinstance(value, dict):
            plain = _plain(value)
            if plain is not None:
                found[_key(name)] = plain
    return found


@lru_cache(maxsize=1 << 12)
def _key(name: str) -> str:
    return text(name, 200)


def _plain(value: dict[str, Any]) -> Any:
    """One attribute's value, None for a kind that is left out."""
    for kind, item in value.items():
        if kind == "list" and isinstance(item, dict):
            return [
                _scalar(inner, one)
                for inner, ones in item.items()
                if isinstance(ones, list)
                for one in ones[:_MAX_LIST]
            ]
        return _scalar(kind, item)
    return None


def _scalar(kind: str, item: Any) -> Any:
    if kind == "s" and isinstance(item, str):
        return _word(item)
    if kind == "i":
        return _whole(item)
    if kind == "b":
        return item is True
    if kind == "f" and isinstance(item, int | float):
        return item
    if kind == "type" and isinstance(item, str):
        return _TYPES.get(item) or text(item, 100)
    if kind == "shape":
        shape = _shape(item)
        return None if shape is None else list(shape)
    return None


@lru_cache(maxsize=1 << 12)
def _word(item: str) -> str:
    """Bytes are written in base 64; names that are ASCII are shown as such."""
    try:
        return text(base64.b64decode(item, validate=True).decode("ascii"), 1000)
    except (ValueError, binascii.Error):
        return text(item, 1000)


def _whole(item: Any) -> int | None:
    """Integers of 64 bits are written as text."""
    if type(item) is int:
        return item
    if isinstance(item, str) and len(item) < 21 and item.removeprefix("-").isdecimal() and item.isascii():
        return int(item)
    return None


def _shape(item: Any) -> Shape | None:
    if not isinstance(item, dict) or item.get("unknownRank") is True:
        return None
    dims = item.get("dim", [])
    if not isinstance(dims, list) or len(dims) > 64:
        return None
    sizes = [_whole(dim.get("size", 0)) if isinstance(dim, dict) else None for dim in dims]
    return tuple(size if size is not None and size >= 0 else None for size in sizes)


def _shapes(node: Node, attributes: Mapping[str, Any]) -> tuple[Shape, ...] | None:
    listed = attributes.get("_output_shapes")
    shapes = (
        listed.get("list", {}).get("shape")
        if isinstance(listed, dict) and isinstance(listed.get("list"), dict)
        else None
    )
    if isinstance(shapes, list):
        found = [_shape(one) for one in shapes]
        return tuple(one for one in found if one is not None) if found and None not in found else None
    value = attributes.get("shape")
    shape = _shape(value.get("shape")) if node.op in INPUTS and isinstance(value, dict) else None
    return (shape,) if shape is not None else None


def _inline(attributes: Mapping[str, Any]) -> Held:
    """A constant that is not in the manifest."""
    value = attributes.get("value")
    tensor = value.get("tensor") if isinstance(value, dict) else None
    if not isinstance(tensor, dict):
        return Held(None, None)
    shape = _shape(tensor.get("tensorShape", tensor.get("tensor_shape", {})))
    return Held(shape, _TYPES.get(str(tensor.get("dtype"))))
