"""The layers of an ONNX model while they are found, and one node as a layer; walks no graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from service.catalog.onnx_constants import Const, Store, Value
from service.catalog.onnx_ops import STANDARD_DOMAINS
from service.catalog.onnx_plans import Plan, Plans
from service.catalog.onnx_runtime import Reach
from service.catalog.onnx_scopes import Key, Paths, Step
from service.errors import LimitExceeded
from service.language import msg
from service.parsers.onnx_messages import Function
from service.tree import Layer, Weight


@dataclass(slots=True)
class Drawing:
    """The layers found so far, and what has to be known to find more.

    Attributes:
        functions: The model's own functions by domain, name and overload.
        trained: Initializers that training updates, None where the file does not say.
        plans: What was worked out of the sorts of nodes.
        first: Path of the first call of each function.
        formals: What the inputs of functions turned out to be: role and axis order.
        constants: Every tensor that the file stores, so that those nobody uses are told too.
        reaching: Operators that do more than compute: where each stands first, and how often it occurs.
        repeated: Names of initializers that another of the same name in the same graph replaces, once for each.
        passed: Nodes that only hold or pass on constants.
    """

    store: Store
    functions: Mapping[Key, Function]
    trained: frozenset[str] | None
    plans: Plans
    paths: Paths = field(default_factory=Paths)
    layers: list[Layer] = field(default_factory=list)
    holders: set[str] = field(default_factory=set)
    first: dict[Key, str] = field(default_factory=dict)
    formals: dict[tuple[object, str], tuple[str, str | None]] = field(default_factory=dict)
    constants: list[Const] = field(default_factory=list)
    reaching: dict[Reach, tuple[str, int]] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)
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


def layer_of(step: Step, path: str, plan: Plan, weights: tuple[Weight, ...]) -> Layer:
    """The layer that a node is."""
    scope, node = step.scope, step.node
    parent, _, name = path.rpartition("/")
    return Layer(
        path=path, parent=parent or None, name=name, kind=plan.kind, type=node.op or None,
        module=None if node.domain in STANDARD_DOMAINS else node.domain, custom=plan.kind == "custom",
        config=plan.config, inputs=_sources(step.ins), weights=weights, input_shapes=plan.input_shapes,
        output_shapes=plan.output_shapes,
        uses=1 if scope.outer is None and scope.function is None else None,
    )  # fmt: skip


def _sources(ins: Sequence[Value | None]) -> tuple[str, ...]:
    found = [value.paths for value in ins if value is not None and value.paths]
    if len(found) < 2:
        return found[0] if found else ()
    return tuple(dict.fromkeys(chain.from_iterable(found)))
