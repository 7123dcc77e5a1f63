"""What follows from an ONNX operator, its attributes and the sizes it is given: kind, weights, sizes of what it gives.

The nodes of a large model are alike but for their names, so each sort of them is worked out once. Knows no path, and of
constants only what they are, not which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from service.catalog.onnx_attributes import number, settings
from service.catalog.onnx_call import Call
from service.catalog.onnx_constants import Value
from service.catalog.onnx_layers import kind_of, shapes_of
from service.catalog.onnx_numbers import infer_ints
from service.catalog.onnx_ops import FLOATS, KNOWN_DOMAINS, SLOTS
from service.catalog.onnx_scopes import Step
from service.catalog.onnx_shapes import infer
from service.catalog.onnx_types import name_of
from service.catalog.onnx_weights import Share, shares_of, slots_of
from service.parsers.onnx_messages import Attribute, Attributes
from service.tree import Shape

_MOST = 4096
"""Most sorts of nodes that are remembered: where nothing repeats, remembering would only take room."""


class Plan(NamedTuple):
    """What a node is, but for its name. `outs` are element type, sizes and whole numbers of each output."""

    kind: str
    shares: tuple[Share, ...]
    outs: tuple[Value, ...]
    config: dict[str, Any]
    input_shapes: tuple[Shape, ...] | None
    output_shapes: tuple[Shape, ...] | None


class Plans:
    """The sorts of nodes that were met. `trained` are the initializers that training updates, None if nothing tells."""

    def __init__(self, trained: frozenset[str] | None) -> None:
        self._trained = trained
        self._known: dict[tuple[object, ...], Plan] = {}
        self._settings: dict[Attributes, dict[str, Any]] = {}
        self.worked_out = 0

    def of(self, step: Step) -> Plan:
        """The plan of the node in `step`."""
        key = self._key(step)
        found = self._known.get(key) if key is not None else None
        if found is None:
            self.worked_out += 1
            found = self._made(step)
            if key is not None and len(self._known) < _MOST:
                self._known[key] = found
        return found

    def _key(self, step: Step) -> tuple[object, ...] | None:
        """All that a plan follows from; None where it follows from more than can be compared quickly."""
        node, told = step.node, step.scope.told
        if node.attributes.refers:
            return None
        key: list[object] = [node.op, node.domain, node.attributes]
        key.extend(told.get(name) if name else "" for name in node.outputs)
        held = 0
        for value in step.ins:
            if value is None:
                key.append(None)
            elif value.view is None:
                key.append((value.shape, value.dtype, value.ints))
            else:
                about = self._about(value)
                if about is None:
                    return None
                key.append(about)
                held += 1
        if held > 1 and len(step.ins) > len(SLOTS.get(node.op if node.domain in KNOWN_DOMAINS else "", ())):
            return None  # whether an input is the same constant as another tells what is a weight
        return tuple(key)

    def _about(self, value: Value) -> tuple[object, ...] | None:
        view = value.view
        if view is None or view[3:] != _ALONE:
            return None
        const = view.const
        learns = self._trained is not None and const.name in self._trained
        return (
            const.shape, const.dtype, const.ints, const.floats, const.stored, const.name is None, learns, value.shape,
            value.dtype, value.ints, view.turned, view.reshaped,
        )  # fmt: skip

    def _made(self, step: Step) -> Plan:
        node, ins = step.node, step.ins
        known = node.domain in KNOWN_DOMAINS
        op = node.op if known else ""
        shares = shares_of(op, slots_of(op, ins), step.attributes, self._trained)
        outs = _outs(step, known=known)
        weights = [share.weight for share in shares]
        return Plan(
            kind_of(node.op, node.domain, step.attributes, ins, weights), shares, outs, self.config(step),
            shapes_of(ins), shapes_of([value for name, value in zip(node.outputs, outs, strict=True) if name]),
        )  # fmt: skip

    def config(self, step: Step) -> dict[str, Any]:
        """The attributes of a node as settings; nodes that are written alike share theirs."""
        if step.node.attributes.refers:
            return settings(step.attributes)
        found = self._settings.get(step.node.attributes)
        if found is None:
            found = settings(step.attributes)
            if len(self._settings) < _MOST:
                self._settings[step.node.attributes] = found
        return found


_ALONE = (None, None, None, ())
"""A view of a constant without scale, zero point and sizes, that went through no function."""


def _outs(step: Step, *, known: bool) -> tuple[Value, ...]:
    """What the node gives, by rule and by what the graph tells."""
    told, node, attributes, ins = step.scope.told, step.node, step.attributes, step.ins
    call = Call(node.op, attributes, ins, len(node.outputs))
    shapes = infer(call) if known else [None] * len(node.outputs)
    ints = infer_ints(call) if known else None
    dtype = _dtype(node.op, attributes, ins)
    found: list[Value] = []
    for index, (name, shape) in enumerate(zip(node.outputs, shapes, strict=True)):
        kind, said = told.get(name, (0, None))
        found.append(Value((), _merged(said, shape), name_of(kind) or dtype, ints if index == 0 else None))
    return tuple(found)


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
