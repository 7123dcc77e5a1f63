"""The layers of an ONNX model while they are found, and one node as a layer with what it gives; walks no graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.catalog.onnx_attributes import number, settings
from service.catalog.onnx_call import Call
from service.catalog.onnx_constants import Const, Store, Value
from service.catalog.onnx_layers import shapes_of
from service.catalog.onnx_numbers import infer_ints
from service.catalog.onnx_ops import FLOATS, KNOWN_DOMAINS, STANDARD_DOMAINS
from service.catalog.onnx_scopes import Key, Paths, Step
from service.catalog.onnx_shapes import infer
from service.catalog.onnx_types import name_of
from service.errors import LimitExceeded
from service.language import msg
from service.parsers.onnx_messages import Attribute, Function
from service.tree import Layer, Shape, Weight


@dataclass(slots=True)
class Drawing:
    """The layers found so far, and what has to be known to find more.

    Attributes:
        functions: The model's own functions by domain, name and overload.
        trained: Initializers that training updates, None where the file does not say.
        first: Path of the first call of each function.
        formals: What the inputs of functions turned out to be: role and axis order.
        constants: Every tensor that the file stores, so that those nobody uses are told too.
        foreign: Operators of domains that are not ONNX' own, and how often they occur.
        passed: Nodes that only hold or pass on constants.
    """

    store: Store
    functions: Mapping[Key, Function]
    trained: frozenset[str] | None
    paths: Paths = field(default_factory=Paths)
    layers: list[Layer] = field(default_factory=list)
    holders: set[str] = field(default_factory=set)
    first: dict[Key, str] = field(default_factory=dict)
    formals: dict[tuple[object, str], tuple[str, str | None]] = field(default_factory=dict)
    constants: list[Const] = field(default_factory=list)
    foreign: dict[tuple[str, str], int] = field(default_factory=dict)
    passed: int = 0

    def add(self, layer: Layer) -> None:
        """One more layer, after the containers that its path names."""
        parent = layer.path.rpartition("/")[0]
        missing: list[str] = []
        while parent and parent not in self.holders:
            missing.append(parent)
            parent = parent.rpartition("/")[0]
        for path in reversed(missing):
            self.holders.add(path)
            self.paths.taken.add(path)
            self._append(holder_of(path))
        self._append(layer)

    def _append(self, layer: Layer) -> None:
        self.check(1)
        self.layers.append(layer)

    def check(self, more: int) -> None:
        """LimitExceeded if so many more layers are too many."""
        most = self.store.reading.limits.layers
        if len(self.layers) + more > most:
            raise LimitExceeded("layers", most, msg("The model has too many layers."))


def holder_of(path: str) -> Layer:
    """A container that a path names, of which the file tells nothing else."""
    parent, _, name = path.rpartition("/")
    return Layer(path=path, parent=parent or None, name=name, kind="container", type_source="unknown")


def results(step: Step, path: str) -> list[Value]:
    """What the node at `path` gives, by rule and by what the graph tells; entered into its scope."""
    scope, node, attributes, ins = step.scope, step.node, step.attributes, step.ins
    known = node.domain in KNOWN_DOMAINS
    call = Call(node.op, attributes, ins, len(node.outputs))
    shapes = infer(call) if known else [None] * len(node.outputs)
    ints = infer_ints(call) if known else None
    dtype = _dtype(node.op, attributes, ins)
    found: list[Value] = []
    for index, (name, shape) in enumerate(zip(node.outputs, shapes, strict=True)):
        kind, told = scope.told.get(name, (0, None))
        value = Value((path,), _merged(told, shape), name_of(kind) or dtype, ints if index == 0 else None)
        if name:
            found.append(value)
            scope.values[name] = value
    return found


def _merged(told: Shape | None, inferred: Shape | None) -> Shape | None:
    """What the graph tells goes before what follows by rule, axis by axis."""
    if told is None or inferred is None or len(told) != len(inferred):
        return inferred if told is None else told
    return tuple(rule if size is None else size for size, rule in zip(told, inferred, strict=True))


def _dtype(op: str, attributes: Mapping[str, Attribute], ins: Sequence[Value | None]) -> str | None:
    if op == "Cast":
        return name_of(number(attributes, "to", 0))
    if op in ("Shape", "Size", "ArgMax", "ArgMin", "NonZero"):
        return "int64"
    first = ins[0].dtype if ins and ins[0] is not None else None
    return first if (first or "").startswith(FLOATS) else None


def layer_of(step: Step, path: str, kind: str, outs: Sequence[Value], weights: tuple[Weight, ...]) -> Layer:
    """The layer that a node is; `outs` is what it gives."""
    scope, node, ins = step.scope, step.node, step.ins
    parent, _, name = path.rpartition("/")
    domain = node.domain if node.domain not in STANDARD_DOMAINS else None
    return Layer(
        path=path, parent=parent or None, name=name, kind=kind, type=node.op or None, module=domain,
        custom=kind == "custom", config=settings(step.attributes), inputs=_sources(ins), weights=weights,
        input_shapes=shapes_of(ins), output_shapes=shapes_of(outs),
        uses=1 if scope.outer is None and scope.function is None else None,
    )  # fmt: skip


def _sources(ins: Sequence[Value | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for value in ins if value is not None for path in value.paths))
