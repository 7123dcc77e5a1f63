"""Layers from a graph whose weights are constants or variables: each operation a layer, its weights by what reads them.

Knows nodes and what operations read; must not know files. Serves frozen GraphDefs and TensorFlow.js graph models.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from service.catalog.keras_paths import Paths
from service.catalog.tf_ops import INPUTS, KINDS, MERGES, PASSES, PLUMBING, READS, SOURCES
from service.catalog.tf_uses import base_name, origins
from service.catalog.tf_variables import is_float
from service.config import Limits
from service.errors import LimitExceeded
from service.language import Message, msg
from service.parsers.tensorflow_nodes import Node
from service.plain import text
from service.tree import Group, Layer, Location, Shape, Source, State, Weight, element_count

_ADDS_BIAS = frozenset({"BiasAdd", "BiasAddV1", "Add", "AddV2"})
_TAKES_BIAS = frozenset({"Conv2D", "Conv3D", "DepthwiseConv2dNative", "MatMul", "Conv2DBackpropInput", "BatchMatMulV2"})
_WORDLESS = frozenset({"ReadVariableOp", "resource", "read", "Const", "Identity", "value", "y", "x"})
"""Last steps of constants' names that say nothing."""
_NEVER_VARIABLE = re.compile(r"(?:.*/)?Const(?:_\d+)?")
"""What TensorFlow calls a constant that the program gave no name; variables keep theirs when they are frozen."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a node that holds a weight holds.

    `stored_count` are the numbers written out where fewer stand for all; `meant` the element type that values stand
    for where they are stored quantized.
    """

    shape: Shape | None
    dtype: str | None
    bytes: int | None = None
    location: Location | None = None
    stored_count: int | None = None
    meant: str | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph and what it holds.

    Attributes:
        nodes: In stored order.
        held: What constants and variables hold, by node name.
        settings: The plain attributes of a node, for its layer's configuration.
        shapes: The output shapes of a node, None where they are not recorded.
    """

    nodes: Sequence[Node]
    held: Mapping[str, Held]
    settings: Callable[[Node], dict[str, Any]] = lambda _node: {}
    shapes: Callable[[Node], tuple[Shape, ...] | None] = lambda _node: None
    limits: Limits = field(default_factory=Limits)


class _Read(NamedTuple):
    """One weight as an operation reads it."""

    holder: str
    role: str
    layout: str | None


FROZEN = msg(
    "A frozen graph keeps what was learned and what was always fixed alike, as constants: fixed numbers that an "
    "operation reads as its weights, such as the filters of a spectrogram, are counted as parameters."
)


class Described(NamedTuple):
    """The operations as layers, the constants that are no weights (sizes, axes, words), and what there is to say."""

    layers: tuple[Layer, ...]
    states: tuple[State, ...]
    notes: tuple[Message, ...]


def describe_graph(graph: Graph) -> Described:
    """The operations of `graph` with their weights, in stored order, and its constants.

    Raises:
        LimitExceeded: More layers or weights than one analysis may describe.
    """
    return _Builder(graph).run()


class _Builder:
    """Makes the layers of one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes = {node.name: node for node in graph.nodes}
        self._origin = origins(self._nodes)
        self._consumers = _consumers(graph.nodes)
        self._merged: dict[str, str] = {}
        self._biases: dict[str, str] = {}
        self._paths = Paths()
        self._path_of: dict[str, str] = {}
        self._first: dict[str, str] = {}
        self._weights = 0
        self._constants: list[Weight] = []
        self.layers: list[Layer] = []

    def run(self) -> Described:
        """All layers and constants."""
        self._find_biases()
        steps = [node for node in self._graph.nodes if self._is_step(node)]
        if len(steps) > self._graph.limits.layers:
            raise LimitExceeded("layers", self._graph.limits.layers, msg("The graph has too many operations."))
        paths = [self._paths.take(None, text(node.name)) for node in steps]
        for node, path in zip(steps, paths, strict=True):
            self._path_of.setdefault(node.name, path)
        for node, path in zip(steps, paths, strict=True):
            self._add(node, path)
        self._unread()
        states = (State(name="constants", group="other", weights=tuple(self._constants)),) if self._constants else ()
        weighs = any(layer.weights for layer in self.layers)
        return Described(tuple(self.layers), states, (FROZEN,) if weighs else ())

    def _is_step(self, node: Node) -> bool:
        skipped = node.op in SOURCES or node.op in PLUMBING or node.name in self._merged
        return not skipped and (node.op not in PASSES or self._keeps(node))

    def _keeps(self, node: Node) -> bool:
        """An operation that passes its input on is shown where nothing reads it: it names an output of the model."""
        return not self._consumers[node.name] and node.name not in self._origin and bool(node.inputs)

    def _find_biases(self) -> None:
        """Additions of one vector to a product that nobody else reads belong to the layer that makes the product."""
        for node in self._graph.nodes:
            if node.op not in _ADDS_BIAS or len(node.inputs) < 2:
                continue
            for product, bias in (node.inputs[:2], node.inputs[1::-1]):
                maker = self._through(base_name(product))
                holder = self._origin.get(base_name(bias))
                held = self._graph.held.get(holder or "")
                if maker is None or holder is None or held is None or not self._fits(maker, held):
                    continue
                self._merged[node.name] = maker.name
                self._biases[maker.name] = holder
                break

    def _fits(self, maker: Node, bias: Held) -> bool:
        alone = self._consumers[maker.name] == 1 and maker.name not in self._biases
        if not alone or maker.op not in _TAKES_BIAS:
            return False
        units = _units(maker, self._kernel_shape(maker), self._settings(maker))
        return units is not None and element_count(bias.shape) == units

    def _kernel_shape(self, node: Node) -> Shape | None:
        for read in self._reads(node):
            if read.role in ("kernel", "depthwise_kernel"):
                return self._graph.held[read.holder].shape
        return None

    def _through(self, name: str) -> Node | None:
        """The node behind those that only pass on, each of which nobody else reads."""
        for _ in range(8):
            node = self._nodes.get(name)
            if node is None or node.op not in PASSES or not node.inputs or self._consumers[name] != 1:
                return node
            name = base_name(node.inputs[0])
        return None

    def _settings(self, node: Node) -> dict[str, Any]:
        return self._graph.settings(node) if READS.get(node.op) else {}

    def _reads(self, node: Node) -> list[_Read]:
        """The weights among the inputs of `node`, with the roles that their positions give them."""
        reads = READS.get(node.op)
        found: dict[tuple[str, str], _Read] = {}  # a variable given many times for the same purpose is read once
        for position, name in enumerate(node.inputs):
            holder = self._origin.get(base_name(name)) if name[:1] != "^" else None
            held = self._graph.held.get(holder) if holder is not None else None
            if holder is None or held is None:
                continue
            role = reads.roles.get(position) if reads is not None else None
            if role == "weight" and self._settings(node).get("use_peephole") is not True:
                role = "constant"
            elif role is None or not _plausible(role, held):
                role = "constant" if _NEVER_VARIABLE.fullmatch(holder) else _role_by_rule(node, held)
            layout = reads.layout if reads is not None and role.endswith("kernel") else None
            found.setdefault((holder, role), _Read(holder, role, layout))
        return list(found.values())

    def _add(self, node: Node, path: str) -> None:
        reads = [read for read in self._reads(node) if read.role != "constant" or self._constant(read)]
        if node.name in self._biases:
            reads.append(_Read(self._biases[node.name], "bias", None))
        config = self._graph.settings(node)
        weights = tuple(
            [self._weight(read, path, config, name) for read, name in zip(reads, _names(reads), strict=True)]
            if reads else ()
        )  # fmt: skip
        self._append(
            Layer(
                path=path,
                name=path,
                type=text(node.op),
                kind=_kind(node, weights),
                config=config,
                inputs=self._inputs(node),
                output_shapes=self._graph.shapes(node),
                uses=1,
                weights=weights,
            )
        )

    def _constant(self, read: _Read) -> bool:
        """Set a constant apart, the first time that it is read; False, as it is no weight of a layer."""
        if read.holder not in self._first:
            held = self._graph.held[read.holder]
            self._first[read.holder] = read.holder
            self._room(1)
            self._constants.append(
                Weight(
                    name=text(read.holder),
                    role="constant",
                    shape=held.shape,
                    dtype=held.dtype,
                    count=element_count(held.shape),
                    stored_count=held.stored_count,
                    bytes=held.bytes,
                    group="other",
                    trainable=False,
                    trainable_source="rule",
                    stored_as=text(read.holder),
                    location=held.location,
                )
            )
        return False

    def _append(self, layer: Layer) -> None:
        self.layers.append(layer)
        self._room(len(layer.weights))

    def _room(self, more: int) -> None:
        self._weights += more
        if self._weights > self._graph.limits.weights:
            raise LimitExceeded("weights", self._graph.limits.weights, msg("The graph has too many weights."))

    def _weight(self, read: _Read, path: str, config: Mapping[str, Any], name: str) -> Weight:
        held = self._graph.held[read.holder]
        first = self._first.setdefault(read.holder, f"{path}/{name}")
        group, trainable, source = _learns(read.role)
        return Weight(
            name=name,
            role=read.role,
            shape=held.shape,
            dtype=held.dtype,
            count=element_count(held.shape),
            stored_count=held.stored_count,
            bytes=held.bytes,
            group=group,
            trainable=trainable,
            trainable_source=source,
            stored_as=text(read.holder),
            layout=_layout(read, held.shape, config),
            tied_to=first if first != f"{path}/{name}" else None,
            location=held.location,
        )

    def _inputs(self, node: Node) -> tuple[str, ...]:
        """Paths of the layers whose outputs `node` reads."""
        found: dict[str, None] = {}
        for name in node.inputs:
            if name[:1] == "^" or name in self._origin:
                continue
            here = self._source_of(base_name(name))
            if here is not None and here != node.name:
                found[self._path_of[here]] = None
        return tuple(found)

    def _source_of(self, name: str) -> str | None:
        """The layer behind a node, through those that are no layers of their own."""
        for _ in range(64):
            if name in self._path_of:
                return name
            node = self._nodes.get(name)
            if name in self._merged:
                name = self._merged[name]
            elif node is not None and node.op in PASSES and node.inputs:
                name = base_name(node.inputs[0])
            else:
                return None
        return None

    def _unread(self) -> None:
        """Weights that no operation reads, one layer each."""
        for holder, held in self._graph.held.items():
            if holder in self._first:
                continue
            role = _role_alone(held)
            if role == "constant":
                self._constant(_Read(holder, role, None))
                continue
            path = self._paths.take(None, text(holder))
            weight = self._weight(_Read(holder, role, None), path, {}, text(holder.rpartition("/")[2]))
            self._append(
                Layer(path=path, name=path, kind="parameter", type_source="unknown", inputs=(), weights=(weight,))
            )


def _consumers(nodes: Sequence[Node]) -> Counter[str]:
    """How often the outputs of each node are read; tensors are counted first, as most are a node's first output."""
    found = Counter(chain.from_iterable(node.inputs for node in nodes))
    for tensor in [one for one in found if ":" in one or one[:1] == "^"]:
        count = found.pop(tensor)
        if tensor[:1] != "^":
            found[base_name(tensor)] += count
    return found


def _units(node: Node, shape: Shape | None, config: Mapping[str, Any]) -> int | None:
    """How many outputs a product has, None if its kernel is not there."""
    if not shape:
        return None
    if node.op == "DepthwiseConv2dNative":
        return element_count(shape[-2:])
    if node.op == "Conv2DBackpropInput" or config.get("transpose_b") is True or config.get("adj_y") is True:
        return shape[-2] if len(shape) > 1 else None
    return shape[-1]


def _plausible(role: str, held: Held) -> bool:
    """Whether a constant can play a role: an axis or a size in a kernel's place cannot."""
    rank = len(held.shape) if held.shape is not None else None
    if role in ("kernel", "depthwise_kernel", "embedding"):
        return rank is None or rank > 1
    return rank is None or rank > 0


def _role_alone(held: Held) -> str:
    """The role of a constant that no operation reads."""
    return "parameter" if is_float(held.meant or held.dtype) and element_count(held.shape) != 1 else "constant"


def _role_by_rule(node: Node, held: Held) -> str:
    """The role of a constant whose position says nothing: sizes and axes are constants, the rest may have learned."""
    if not is_float(held.meant or held.dtype) or not held.shape or element_count(held.shape) == 1:
        return "constant"
    if node.op in ("Mul", "RealDiv", "Div"):
        return "scale"
    return "offset" if node.op in ("Add", "AddV2", "Sub", "BiasAdd") else "weight"


def _learns(role: str) -> tuple[Group, bool | None, Source]:
    if role in ("moving_mean", "moving_variance"):
        return "statistic", False, "rule"
    return "unknown", None, "unknown"


def _layout(read: _Read, shape: Shape | None, config: Mapping[str, Any]) -> str | None:
    if read.layout is None or shape is None:
        return read.layout
    if read.layout == "in-out":
        return ("out-in" if config.get("transpose_b") is True else "in-out") if len(shape) == 2 else None
    return read.layout if len(read.layout) == len(shape) or "-" in read.layout else None


def _kind(node: Node, weights: Sequence[Weight]) -> str:
    known = READS.get(node.op)
    roles = {weight.role for weight in weights}
    if known is not None and roles & set(known.roles.values()):
        many = any(weight.role == "kernel" and len(weight.shape or ()) > 2 for weight in weights)
        return "operation" if known.kind == "linear" and many else known.kind  # one product for each of a batch
    if node.op in MERGES and not roles - {"constant"}:
        return "merge" if not roles else "operation"
    if node.op in INPUTS:
        return "input"
    return KINDS.get(node.op, "operation")


def _names(reads: Sequence[_Read]) -> list[str]:
    """Local names: the last step of the constant's own where it tells something, else the role; each once."""
    used: dict[str, int] = {}
    found: list[str] = []
    for read in reads:
        last = read.holder.rpartition("/")[2]
        base = read.role if last in _WORDLESS or not last else last
        number = used[base] = used.get(base, 0) + 1
        found.append(text(base if number == 1 else f"{base}_{number}", 500))
    return found
