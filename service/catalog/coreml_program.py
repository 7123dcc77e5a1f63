"""Core ML's programs (`mlProgram`) as layers: one per operation, constants as the weights of those that use them.

Knows functions, blocks and operands. The graph is recorded by value names; the name of an operation is its attribute.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from service.catalog.coreml_arrays import NO_TRAINING
from service.catalog.coreml_building import Building
from service.catalog.coreml_constants import Constant, Stored
from service.catalog.coreml_operations import COMPRESSED, DATA, ROLES, in_order, kernel_layout, kind_of
from service.catalog.learning import free_role
from service.errors import LimitExceeded
from service.language import msg
from service.parsers.coreml_mil import Function, Operation, block, functions, operations
from service.parsers.coreml_values import Type, Value, literal
from service.parsers.protobuf import Field
from service.plain import json_value, text
from service.tree import Danger, Layer, Shape, Weight

_MAX_DEPTH = 32
_SETTING = 64
"""Most elements of a constant that is told as a setting."""


@dataclass(slots=True)
class Scope:
    """One function on its way to layers.

    Attributes:
        producers: Value name to the path of the layer that makes it.
        constants: Value name to the constant that it is.
    """

    building: Building
    stored: Stored
    producers: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)


def add_program(building: Building, stored: Stored, program: Field, parent: str | None) -> list[str]:
    """Add the layers of the program in `program`; answers with the paths of its functions' outputs."""
    building.notes.setdefault(NO_TRAINING)
    found = functions(building.source, program)
    outputs: list[str] = []
    for one in found:
        holder = parent
        if len(found) > 1:
            holder = building.path(parent, one.name or "function")
            building.add(Layer(path=holder, name=text(one.name), parent=parent, kind="model", type="function"))
        outputs.extend(_add_function(building, stored, one, holder))
    return outputs


def _add_function(building: Building, stored: Stored, function: Function, parent: str | None) -> list[str]:
    scope = Scope(building, stored)
    for name, kind in function.inputs:
        path = building.path(parent, name)
        building.add(
            Layer(path=path, name=text(name), parent=parent, kind="input", inputs=(), type=None,
                  type_source="unknown", output_shapes=_shapes([(name, kind)]))
        )  # fmt: skip
        scope.producers[name] = path
    if function.block is None:
        return []
    _add_block(scope, function.block, parent, 0)
    ends = block(building.source, function.block).outputs
    return [scope.producers[name] for name in ends if name in scope.producers]


def _add_block(scope: Scope, where: Field, parent: str | None, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise LimitExceeded(
            "depth", _MAX_DEPTH, msg("Blocks lie inside each other more than {n} levels deep.", n=_MAX_DEPTH),
            offset=where.offset,
        )  # fmt: skip
    for one in operations(scope.building.source, where):
        if one.type == "const":
            _take_constant(scope, one)
        elif one.type in COMPRESSED:
            _take_compressed(scope, one)
        else:
            _add_operation(scope, one, parent, depth)


def _take_constant(scope: Scope, one: Operation) -> None:
    value = one.attributes.get("val")
    if value is not None and one.outputs:
        name = one.outputs[0][0]
        scope.constants[name] = Constant(name, value.type, value)


def _take_compressed(scope: Scope, one: Operation) -> None:
    """A constant that is computed from its codes when the model is loaded.

    What makes a sparse one gives its mask first, as it got it, and then the values: both go into the operation that
    makes a dense one of them, which brings the mask to the weight.
    """
    roles = COMPRESSED[one.type]
    name, kind = one.outputs[-1] if one.outputs else ("", Type())
    main: Constant | None = None
    extras: list[tuple[str, str, Value]] = []
    for operand, role in roles.items():
        found = _operand(scope, one, operand)
        if found is None:
            continue
        if role == "":
            main = found
            extras.extend(found.extras)
        elif role == "mask" and len(one.outputs) > 1:
            scope.constants[one.outputs[0][0]] = found
        else:
            extras.append((operand, role, found.value))
    if main is not None:
        shape = kind.shape if kind.shape is not None else main.type.shape
        scope.constants[name] = Constant(name, Type(kind.dtype, shape), main.value, tuple(extras))


def _operand(scope: Scope, one: Operation, name: str) -> Constant | None:
    """The constant that an operand is, by name, in its place, or as an attribute; None if it is computed."""
    bound = one.inputs.get(name) or ([one.attributes[name]] if name in one.attributes else [])
    if len(bound) != 1:
        return None
    first = bound[0]
    if isinstance(first, Value):
        return Constant(f"{one.outputs[0][0] if one.outputs else one.type}.{name}", first.type, first)
    return scope.constants.get(first)


def _add_operation(scope: Scope, one: Operation, parent: str | None, depth: int) -> None:
    building = scope.building
    name = _name(scope, one)
    path = building.path(parent, name)
    config, weights, before = _operands(scope, one, path)
    ranks = {weight.name: len(weight.shape) for weight in weights if weight.shape is not None}
    kind = kind_of(one.type, ranks, len(before))
    building.add(
        Layer(
            path=path, name=text(name), parent=parent, type=text(one.type), kind=kind,
            custom=one.type.startswith("custom_"), config=config, inputs=tuple(before),
            output_shapes=_shapes(one.outputs), weights=tuple(_told(weights, kind, config)),
        )
    )  # fmt: skip
    _judge(scope, one, path)
    for output, _ in one.outputs:
        scope.producers[output] = path
    for index, inner in enumerate(one.blocks):
        _add_inner(scope, inner, path, f"block{index}", depth)


def _add_inner(scope: Scope, inner: Field, parent: str, name: str, depth: int) -> None:
    path = scope.building.path(parent, name)
    scope.building.add(Layer(path=path, name=name, parent=parent, kind="container", type="block"))
    for value, _ in block(scope.building.source, inner).inputs:
        scope.producers[value] = parent
    _add_block(scope, inner, path, depth + 1)


def _name(scope: Scope, one: Operation) -> str:
    """The operation's own name; of one without that of its first output."""
    recorded = one.attributes.get("name")
    name = literal(scope.building.source, recorded, 1) if recorded is not None else None
    if isinstance(name, list) and name:
        name = name[0]
    return name if isinstance(name, str) and name else one.outputs[0][0] if one.outputs else one.type


def _operands(scope: Scope, one: Operation, path: str) -> tuple[dict[str, Any], list[Weight], dict[str, None]]:
    """Settings, weights, and the paths of the layers that feed an operation."""
    config: dict[str, Any] = {}
    weights: list[Weight] = []
    before: dict[str, None] = {}
    for operand, bound in in_order(one.inputs):
        for index, item in enumerate(bound):
            if isinstance(item, str) and item in scope.producers:
                before.setdefault(scope.producers[item])
                continue
            name = operand if len(bound) == 1 else f"{operand}/{index}"
            constant = _bound(scope, one, name, item)
            if constant is None:
                continue
            if _is_weight(one.type, operand, constant):
                role = ROLES.get(one.type, {}).get(operand) or _role(one.type, operand, constant)
                layout = kernel_layout(one.type, len(constant.type.shape or ())) if "kernel" in role else None
                weights.extend(scope.stored.weights(constant, path, name, role, layout))
            else:
                config[name] = json_value(literal(scope.building.source, constant.value, _SETTING))
    for name, value in in_order(one.attributes):
        if name != "name":
            config[name] = json_value(literal(scope.building.source, value, _SETTING))
    if config:
        config = {name: value for name, value in config.items() if value is not None}
    return config, weights, before


def _bound(scope: Scope, one: Operation, name: str, item: str | Value) -> Constant | None:
    if isinstance(item, str):
        return scope.constants.get(item)
    return Constant(f"{one.outputs[0][0] if one.outputs else one.type}.{name}", item.type, item)


def _is_weight(operation: str, operand: str, constant: Constant) -> bool:
    """Whether a constant is an array of the model, and no setting."""
    if operand in ROLES.get(operation, {}) or constant.value.file is not None:
        return True
    dtype = constant.type.dtype or ""
    shape = constant.type.shape
    return operand in DATA and shape not in (None, (), (1,)) and ("float" in dtype or bool(constant.extras))


def _role(operation: str, operand: str, constant: Constant) -> str:
    rank = len(constant.type.shape or ())
    if operation == "matmul" and rank == 2:
        return "kernel"
    if operation == "gather" and operand == "x" and rank == 2:
        return "embedding"
    return free_role(constant.type.dtype, constant.type.shape, _FREE.get(operation, "parameter"))


_FREE = {"add": "bias", "sub": "bias", "mul": "scale"}
"""What an array of real numbers is most often to an operation that gives its operands no roles."""


def _told(weights: list[Weight], kind: str, config: dict[str, Any]) -> list[Weight]:
    """The weights; a matrix product's kernel with the axis order that its operand and transposition tell."""
    if kind != "linear" or "weight" in {weight.name for weight in weights}:
        return weights
    return [
        _with_layout(weight, config) if weight.role == "kernel" and weight.name in ("x", "y") else weight
        for weight in weights
    ]


def _with_layout(weight: Weight, config: dict[str, Any]) -> Weight:
    transposed = config.get(f"transpose_{weight.name}") is True
    return msgspec.structs.replace(weight, layout="out-in" if transposed == (weight.name == "y") else "in-out")


def _shapes(values: list[tuple[str, Type]]) -> tuple[Shape, ...] | None:
    found = [kind.shape for _, kind in values]
    return tuple(shape for shape in found if shape is not None) if found and None not in found else None


def _judge(scope: Scope, one: Operation, path: str) -> None:
    if not one.type.startswith("custom_"):
        return
    scope.building.dangers.append(
        Danger(
            code="coreml_custom_layer", severity="medium", path=path, member=scope.building.member, offset=one.offset,
            detail=text(one.type, 500),
            what=msg(
                "The layer needs code that the file does not hold: the application's class {name}. Whoever runs "
                "the model decides what that code does.", name=text(one.type, 200),
            ),
        )
    )  # fmt: skip
