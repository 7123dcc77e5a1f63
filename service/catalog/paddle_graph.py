"""A PaddlePaddle program as layers: one per operator, parameters as the weights of the operator that uses them.

The bias that Paddle adds in an operator of its own belongs to the layer before it. Knows programs and where values lie;
must not know how either is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from service.catalog.counting import check_weights
from service.catalog.paddle_dangers import danger_of
from service.catalog.paddle_operations import (
    ADDITIONS,
    FEEDS,
    FETCHES,
    HELPERS,
    KINDS,
    PASSED_ON,
    RECURRENT,
    ROLES,
    is_training,
    rnn_names,
)
from service.catalog.paddle_weights import Told, check_size, layout_of, weight_of
from service.config import Limits
from service.errors import LimitExceeded
from service.language import msg
from service.parsers.paddle_program import Operator, Program, Variable
from service.plain import json_value, text
from service.tree import Danger, Finding, Group, Layer, Shape, State, Weight

_MAX_DEPTH = 32
_NOTHING = Told()


@dataclass(slots=True)
class Graph:
    """A program on its way to layers.

    Attributes:
        told: What other files say of parameters, by variable.
        producers: Variable to the path of the layer that makes it.
        aliases: Variable to the parameter that it is, in another shape or element type, and what turns it back.
        owners: Parameter to the full name of the weight that it first was.
        indices: Path to the layer's place among `layers`.
        configs: Settings and what they come to in a layer, by the identity of the former.
    """

    program: Program
    limits: Limits
    told: Mapping[str, Told] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    states: list[Weight] = field(default_factory=list)
    dangers: list[Danger] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    producers: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    indices: dict[str, int] = field(default_factory=dict)
    weights: int = 0
    outputs: list[str] = field(default_factory=list)
    again: dict[str, int] = field(default_factory=dict)
    configs: dict[int, tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=dict)


def layers_of(graph: Graph) -> tuple[tuple[Layer, ...], tuple[State, ...]]:
    """Layers and states of the program; fills the graph's dangers and outputs. Raises LimitExceeded."""
    _add_block(graph, 0, None, 0, set())
    states = []
    if graph.states:
        states.append(State(name="optimizer", group="optimizer", weights=tuple(graph.states)))
    slots = {weight.stored_as for weight in graph.states}
    taken = graph.owners.keys() | slots
    rest = [
        one
        for name, one in graph.program.variables.items()
        if one.persistable and one.shape is not None and name not in taken
    ]
    if rest:
        weights = tuple(_weight(graph, one, one.name, "other", None, "other") for one in rest)
        states.append(State(name="unused", group="other", weights=weights))
    return tuple(graph.layers), tuple(states)


def _add_block(graph: Graph, index: int, parent: str | None, depth: int, seen: set[int]) -> None:
    if depth > _MAX_DEPTH:
        raise LimitExceeded("depth", _MAX_DEPTH, msg("Blocks lie inside each other too deeply."))
    if index in seen or not 0 <= index < len(graph.program.blocks):
        return
    seen.add(index)
    for one in graph.program.blocks[index]:
        kind = one.type.removesuffix("_")
        if kind in FEEDS:
            _add_input(graph, one, parent)
        elif kind in FETCHES:
            graph.outputs.extend(filter(None, (graph.producers.get(name) for name in _names(one.inputs))))
        elif is_training(kind, one.inputs):
            _take_slots(graph, one)
        elif not _is_folded(graph, one, kind):
            path = _add_operator(graph, one, kind, parent)
            for inner in one.blocks:
                _add_block(graph, inner, path, depth + 1, seen)


def _names(slots: dict[str, list[str]]) -> list[str]:
    return [name for names in slots.values() for name in names]


def _add_input(graph: Graph, one: Operator, parent: str | None) -> None:
    for name in _names(one.outputs):
        variable = graph.program.variables.get(name)
        given = one.attributes.get("name")
        path = _path(graph, parent, given if isinstance(given, str) and given else name)
        shape = variable.shape if variable is not None else None
        _append(
            graph,
            Layer(path=path, name=_last(path), parent=parent, kind="input", type=None, type_source="unknown", inputs=(),
                  output_shapes=(shape,) if shape is not None else None),
        )  # fmt: skip
        graph.producers[name] = path


def _take_slots(graph: Graph, one: Operator) -> None:
    """What an optimizer keeps beside each parameter."""
    if "Param" not in one.inputs:
        return
    for slot, names in one.inputs.items():
        if slot in ("Param", "Grad"):
            continue
        for name in names:
            variable = graph.program.variables.get(name)
            if variable is not None and variable.persistable and name not in graph.owners:
                graph.owners[name] = f"optimizer.{name}"
                role = _SLOTS.get(slot, "optimizer_slot")
                graph.states.append(_weight(graph, variable, name, role, None, "optimizer"))


_SLOTS = {
    "Moment1": "momentum", "Moment": "momentum", "Velocity": "momentum", "Moment2": "velocity",
    "LearningRate": "learning_rate",
}  # fmt: skip


def _is_folded(graph: Graph, one: Operator, kind: str) -> bool:
    """Take a bias, a parameter in another shape, or a setting into the layer it belongs to; False for a real layer."""
    if kind in HELPERS and not one.inputs:
        return True
    if kind in ADDITIONS:
        return _take_bias(graph, one)
    if kind not in PASSED_ON:
        return False
    names = [name for name in _names(one.inputs) if name]
    held = [name for name in names if _parameter(graph, name) is not None]
    plain = one.inputs.get("X") or one.inputs.get("0") or []
    computed = any(name not in held and name in graph.producers for name in names)
    if len(plain) != 1 or plain[0] not in held or computed:
        return False
    root, extras = graph.aliases.get(plain[0], (plain[0], ()))
    if kind == "dequantize_linear":
        slots = ("Scale", "ZeroPoint")
        extras = (*extras, *((slot, name) for slot in slots for name in one.inputs.get(slot, ()) if name))
    outputs = _names(one.outputs)
    if outputs:
        graph.aliases[outputs[0]] = (root, extras)
    return True


def _parameter(graph: Graph, name: str) -> Variable | None:
    """The parameter that a variable is, also in another shape; None if it is computed."""
    root = graph.aliases[name][0] if graph.aliases and name in graph.aliases else name
    variable = graph.program.variables.get(root)
    if variable is None or not variable.persistable or root in graph.producers:
        return None
    return variable if variable.dtype is not None or variable.shape is not None else None


def _take_bias(graph: Graph, one: Operator) -> bool:
    """The parameter that is added to what a convolution or a matrix product gives, as their bias."""
    left, right = one.inputs.get("X", []), one.inputs.get("Y", [])
    if len(left) != 1 or len(right) != 1:
        return False
    bias = _parameter(graph, right[0])
    path = graph.producers.get(left[0])
    layer = graph.layers[graph.indices[path]] if path in graph.indices else None
    if bias is None or layer is None or bias.shape is None or len(bias.shape) != 1 or bias.name in graph.owners:
        return False
    kernel = next((weight for weight in layer.weights if weight.role in ("kernel", "depthwise_kernel")), None)
    if kernel is None or _outputs(layer, kernel) != bias.shape[0] or any(w.role == "bias" for w in layer.weights):
        return False
    if not _same_layer(kernel.stored_as or "", bias.name):
        return False
    weight = _owned(graph, bias, layer.path, _local(graph, bias.name, "bias"), "bias", None)
    shapes = _output_shapes(graph, one)
    graph.layers[graph.indices[layer.path]] = msgspec.structs.replace(
        layer, weights=(*layer.weights, weight), output_shapes=shapes or layer.output_shapes
    )
    for name in _names(one.outputs):
        graph.producers[name] = layer.path
    return True


def _same_layer(kernel: str, bias: str) -> bool:
    """Whether Paddle's names say that both were made by one layer: `conv2d_0.w_0` and `conv2d_0.b_0`."""
    return kernel.rpartition(".")[0] == bias.rpartition(".")[0] != ""


def _outputs(layer: Layer, kernel: Weight) -> int | None:
    shape, layout = kernel.shape, kernel.layout
    if shape is None or layout is None or len(shape) < 2:
        return None
    if layout == "in-out":
        return shape[1]
    if layout.startswith("IO"):
        groups = layer.config.get("groups")
        return None if shape[1] is None else shape[1] * (groups if type(groups) is int else 1)
    return shape[0]


def _add_operator(graph: Graph, one: Operator, kind: str, parent: str | None) -> str:
    held = [
        _Held(slot, index, name, variable)
        for slot, names in one.inputs.items()
        for index, name in enumerate(names)
        if name and (variable := _parameter(graph, name)) is not None
    ]
    before = dict.fromkeys(filter(None, map(graph.producers.get, _names(one.inputs))))
    path = _path(graph, parent, _name(graph, one, kind, held))
    what = _kind(one, kind, held, len(before))
    weights = _weights(graph, one, kind, what, held, path) if held else []
    _append(
        graph,
        Layer(
            path=path, name=_last(path), parent=parent, type=text(one.type), kind=what, inputs=tuple(before),
            custom=one.type.startswith("custom_op."), weights=tuple(weights), output_shapes=_output_shapes(graph, one),
            config=_config(graph, one),
        ),
    )  # fmt: skip
    for name in _names(one.outputs):
        if name and _parameter(graph, name) is None:
            graph.producers[name] = path
    danger = danger_of(one, kind, path)
    if danger is not None:
        graph.dangers.append(danger)
    return path


class _Held(NamedTuple):
    """A parameter that an operator is given: in which slot, as which of its variables, and by which name."""

    slot: str
    position: int
    name: str
    variable: Variable


def _config(graph: Graph, one: Operator) -> dict[str, Any]:
    """An operator's settings; operators that share theirs share the answer."""
    known = graph.configs.get(id(one.attributes))
    if known is None or known[0] is not one.attributes:
        config = {text(name): json_value(value) for name, value in one.attributes.items() if name not in _NO_CONFIG}
        known = graph.configs[id(one.attributes)] = (one.attributes, config)
    return known[1]


_NO_CONFIG = frozenset({"op_role", "struct_name", "place"})


def _kind(one: Operator, kind: str, held: list[_Held], computed: int) -> str:
    if kind == "rnn":
        return RECURRENT.get(str(one.attributes.get("mode")), "rnn")
    found = KINDS.get(kind, "operation")
    if found == "linear" and not any(slot in ("X", "Y", "W") and _is_matrix(one) for slot, _, _, one in held):
        return "operation"
    if found == "merge" and computed < 2:
        return "operation"
    return found


def _is_matrix(variable: Variable) -> bool:
    return variable.shape is not None and len(variable.shape) == 2


def _weights(
    graph: Graph, one: Operator, kind: str, what: str, held: list[_Held], path: str
) -> list[Weight]:
    roles = ROLES.get(kind, {})
    several = one.inputs.get("WeightList")
    names = rnn_names(len(several), both=bool(one.attributes.get("is_bidirec")), biases=len(several) % 4 == 0) if (
        several) else ()  # fmt: skip
    found: list[Weight] = []
    seen: set[tuple[str, str]] = set()  # an operator may be given one parameter many times: it is one weight
    for slot, index, name, variable in held:
        role = roles.get(slot, "parameter")
        local = _local(graph, variable.name, slot)
        if slot == "WeightList" and index < len(names):
            local = names[index]
            role = _RNN_ROLES[local.rpartition("_l")[0]]
        if (name, local) in seen:
            continue
        seen.add((name, local))
        layout = layout_of(what, role, slot, variable, one.attributes)
        found.append(_owned(graph, variable, path, local, role, layout))
        for beside, other in graph.aliases.get(name, ("", ()))[1]:
            extra = graph.program.variables.get(other)
            if extra is not None and other not in graph.owners:
                part = "quant_scale" if beside == "Scale" else "zero_point"
                found.append(_owned(graph, extra, path, f"{local}.{beside}", part, None))
    return found


_RNN_ROLES = {"weight_ih": "kernel", "weight_hh": "recurrent_kernel", "bias_ih": "bias", "bias_hh": "recurrent_bias"}


def _owned(graph: Graph, variable: Variable, path: str, local: str, role: str, layout: str | None) -> Weight:
    """A parameter as a weight of the layer at `path`; tied where another layer has it already."""
    full = f"{path}.{local}"
    owner = graph.owners.setdefault(variable.name, full)
    weight = _weight(graph, variable, local, role, layout, None)
    return weight if owner == full else msgspec.structs.replace(weight, tied_to=owner)


def _weight(
    graph: Graph, variable: Variable, name: str, role: str, layout: str | None, group: Group | None
) -> Weight:
    graph.weights += 1
    check_weights(graph.weights, graph.limits)
    check_size(variable.shape, graph.limits)
    return weight_of(variable, name, role, layout, group, graph.told.get(variable.name, _NOTHING))


def _name(graph: Graph, one: Operator, kind: str, held: list[_Held]) -> str:
    """The layer's name: as in the Python code where that is told, else as Paddle numbered its parameters."""
    for parameter in held:
        full = graph.told.get(parameter.variable.name, _NOTHING).name or parameter.variable.name
        if "." in full:
            return full.rpartition(".")[0]
    struct = one.attributes.get("struct_name")
    return f"{struct.strip('/').replace('/', '.')}.{kind}" if isinstance(struct, str) and struct.strip("/") else kind


def _local(graph: Graph, variable: str, slot: str) -> str:
    """The weight's own name: the last step of the Python name, or the operator's slot."""
    known = graph.told.get(variable, _NOTHING).name
    return known.rpartition(".")[2] if known else slot


def _path(graph: Graph, parent: str | None, name: str) -> str:
    wanted = text(name, 1000) if parent is None else f"{parent}.{text(name, 1000)}"
    path = wanted
    while path in graph.indices:
        graph.again[wanted] = graph.again.get(wanted, 0) + 1
        path = f"{wanted}_{graph.again[wanted]}"
    return path


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _append(graph: Graph, layer: Layer) -> None:
    if len(graph.layers) >= graph.limits.layers:
        limit = graph.limits.layers
        raise LimitExceeded("layers", limit, msg("The model has more than {layers} layers.", layers=limit))
    graph.indices[layer.path] = len(graph.layers)
    graph.layers.append(layer)


def _output_shapes(graph: Graph, one: Operator) -> tuple[Shape, ...] | None:
    """Of the operator's main output; the others are for training."""
    for slot in ("Out", "Output", "Y", "Hidden"):
        names = one.outputs.get(slot, [])
        variable = graph.program.variables.get(names[0]) if names else None
        if variable is not None and variable.shape:
            return (variable.shape,)
    return None
