"""Graph models of TensorFlow.js: the JSON of a GraphDef as nodes, with the manifest's weights for its constants.

Knows how protobuf writes a GraphDef as JSON; what operations do with weights is in `tf_graph`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from service.catalog.tf_cells import with_cells
from service.catalog.tf_graph import Described, Graph, Held, describe_graph
from service.catalog.tf_ops import INPUTS
from service.catalog.tf_variables import Variable
from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.json_streams import written
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
        raise _no_nodes()
    nodes = [one.node for one in listed]
    said = {one.node.name: one.said for one in listed}
    held = {one.name: Held(one.shape, one.dtype, one.bytes, one.location, meant=one.meant) for one in variables}
    for node in nodes:
        if node.op == "Const" and node.name not in held:
            held[node.name] = said[node.name].constant
    graph = Graph(
        nodes=nodes,
        held=held,
        settings=lambda node: said[node.name].settings,
        shapes=lambda node: said[node.name].shapes(node.op),
        limits=limits,
    )
    described = describe_graph(graph)
    return described._replace(layers=with_cells(described.layers))


class Said(NamedTuple):
    """What the attributes of a node come to.

    Attributes:
        settings: For its layer's configuration.
        recorded: Output shapes as they were recorded; `told` where the attribute is there.
        told: Whether there are recorded shapes, even where one of them is not known.
        own: The shape that an input has been given.
        constant: The tensor that a constant has.
    """

    settings: dict[str, Any]
    recorded: tuple[Shape, ...] | None
    told: bool
    own: Shape | None
    constant: Held

    def shapes(self, op: str) -> tuple[Shape, ...] | None:
        """The output shapes of a node of this operation."""
        if self.told or op not in INPUTS or self.own is None:
            return self.recorded
        return (self.own,)


class Listed(NamedTuple):
    """One node, and what its attributes come to: nodes that are written alike share that."""

    node: Node
    said: Said


class Nodes:
    """Makes nodes of the items of a topology's list, one by one, so that the list is never there as a whole."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._said: dict[bytes, Said] = {}
        self._count = 0

    def take(self, key: str | None, item: Any) -> Listed:
        """One node of the list. MalformedFile if it is none, or if there is no list."""
        if key is not None:
            raise _no_nodes()
        self._count += 1
        if self._count > MAX_NODES:
            raise LimitExceeded("graph_nodes", MAX_NODES, msg("The graph has too many nodes."))
        node = _node(item, self._count - 1, self._names)
        attributes = _attributes(item)
        as_written = written(attributes)
        said = self._said.get(as_written)
        if said is None:
            said = _said(attributes)
            if as_written:
                self._said[as_written] = said
        return Listed(node, said)


def _no_nodes() -> MalformedFile:
    return MalformedFile(msg("The graph has no list of nodes."), pointer="/modelTopology/node")


def _said(attributes: Mapping[str, Any]) -> Said:
    recorded = _recorded(attributes)
    value = attributes.get("shape")
    own = _shape(value.get("shape")) if isinstance(value, dict) else None
    return Said(_settings(attributes), recorded or None, recorded is not None, own, _inline(attributes))


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


def _recorded(attributes: Mapping[str, Any]) -> tuple[Shape, ...] | None:
    """The recorded output shapes, empty where one of them is not known; None where there are none."""
    listed = attributes.get("_output_shapes")
    shapes = (
        listed.get("list", {}).get("shape")
        if isinstance(listed, dict) and isinstance(listed.get("list"), dict)
        else None
    )
    if not isinstance(shapes, list):
        return None
    found = [_shape(one) for one in shapes]
    return tuple(one for one in found if one is not None) if None not in found else ()


def _inline(attributes: Mapping[str, Any]) -> Held:
    """A constant that is not in the manifest."""
    value = attributes.get("value")
    tensor = value.get("tensor") if isinstance(value, dict) else None
    if not isinstance(tensor, dict):
        return Held(None, None)
    shape = _shape(tensor.get("tensorShape", tensor.get("tensor_shape", {})))
    return Held(shape, _TYPES.get(str(tensor.get("dtype"))))
