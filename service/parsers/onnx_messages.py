"""ONNX' messages as data: what a file says of models, graphs, nodes, attributes and tensors; reads nothing.

Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (IR version 14)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from service.parsers.protobuf import Field
from service.tree import Shape

EXTERNAL = 1
"""`location` of a tensor whose values lie in another file."""


class Tensor(NamedTuple):
    """A TensorProto without its values. `raw` is raw_data, `typed` the first fields of the typed lists.

    `typed_bytes` are the bytes of all of those, as written.
    """

    name: str
    dims: tuple[int, ...]
    type: int
    raw: Field | None
    typed: tuple[Field, ...]
    typed_bytes: int
    external: tuple[tuple[str, str], ...]
    location: int
    offset: int


class Sparse(NamedTuple):
    """A SparseTensorProto: the values that are not zero, where they lie, and the sizes of the whole."""

    values: Tensor | None
    indices: Tensor | None
    dims: tuple[int, ...]


Value = int | float | str | tuple[int | float | str, ...] | None


class Attribute(NamedTuple):
    """An AttributeProto. `value` holds numbers and texts; `size` how many there are; the rest stays in fields."""

    name: str
    value: Value
    size: int
    tensors: tuple[Field, ...]
    graphs: tuple[Field, ...]
    sparse: tuple[Field, ...]
    reference: str


class Attributes:
    """A node's attributes, in their order and by name.

    `refers` says that one stands for an attribute of a function, `holds_graphs` that there are graphs in them. Nodes
    that are written alike share one, so that what follows from it is worked out once; compared by identity.
    """

    __slots__ = ("by_name", "holds_graphs", "listed", "refers")

    def __init__(self, listed: tuple[Attribute, ...]) -> None:
        self.listed = listed
        self.by_name: Mapping[str, Attribute] = {one.name: one for one in listed}
        self.refers = any(one.reference for one in listed)
        self.holds_graphs = any(one.graphs for one in listed)


class Node(NamedTuple):
    """A NodeProto; an input or output that is left out is named ""."""

    name: str
    op: str
    domain: str
    overload: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Attributes
    offset: int


class Named(NamedTuple):
    """A ValueInfoProto: element type (0 if it is no tensor) and sizes, None where symbolic or not told."""

    name: str
    type: int
    shape: Shape | None


class Graph(NamedTuple):
    """A GraphProto, or the body of a function."""

    name: str
    nodes: tuple[Node, ...]
    initializers: tuple[Tensor, ...]
    sparse: tuple[Sparse, ...]
    inputs: tuple[Named, ...]
    outputs: tuple[Named, ...]
    values: tuple[Named, ...]


class Function(NamedTuple):
    """A FunctionProto: what it is called by, and its body."""

    domain: str
    name: str
    overload: str
    body: Graph


class Training(NamedTuple):
    """A TrainingInfoProto: the algorithm's graph, and which initializers it updates."""

    algorithm: Graph | None
    updated: tuple[str, ...]


class Top(NamedTuple):
    """A ModelProto; graphs and functions as fields, to be read with `graph_of` and `function_of`."""

    ir_version: int | None
    producer: str
    producer_version: str
    domain: str
    version: int | None
    opsets: tuple[tuple[str, int], ...]
    metadata: tuple[tuple[str, str], ...]
    graph: Field | None
    functions: tuple[Field, ...]
    training: tuple[Field, ...]
