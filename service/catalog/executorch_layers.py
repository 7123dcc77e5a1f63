"""ExecuTorch programs as layers: instructions in order, weights by argument, delegates as closed boxes.

A layer is called after the module of its weights where the file names these, else after its operator. Knows the
contents of one program; reads no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.catalog.counting import UniquePaths
from service.catalog.executorch_operators import (
    ARGUMENTS,
    PASSED_ON,
    SETTINGS,
    TURNS,
    Argument,
    convolution_kind,
    kind_of,
    short_name,
)
from service.catalog.executorch_weights import Weights
from service.language import msg
from service.parsers.executorch import DELEGATE, MOVE, Instruction, Plan, Tensor
from service.plain import json_value, text
from service.tree import Layer, Shape, Weight

_MAX_NAME = 256
_TURNED = {"in-out": "out-in", "out-in": "in-out"}


@dataclass(slots=True)
class _Method:
    """One method while it is walked: who makes which value, which constant a turned or unpacked one stands for."""

    plan: Plan
    parent: str | None
    used: frozenset[int]
    producers: dict[int, str] = field(default_factory=dict)
    origins: dict[int, tuple[int, bool]] = field(default_factory=dict)


class Layers:
    """Describes the methods of one program."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._paths = UniquePaths()
        self.delegates: dict[str, int] = {}
        """Bytes handed to each backend."""

    def describe(self, plans: Iterable[Plan]) -> list[Layer]:
        """All layers; of several methods each below one of its own."""
        found: list[Layer] = []
        known = list(plans)
        for plan in known:
            parent = None
            if len(known) > 1:
                parent = self._paths.of(plan.name or "method")
                found.append(Layer(path=parent, name=parent, kind="container", type="ExecutionPlan", inputs=()))
            found.extend(self._method(plan, parent))
        return found

    def _method(self, plan: Plan, parent: str | None) -> Iterable[Layer]:
        method = _Method(plan, parent, frozenset(index for step in plan.instructions for index in step.args))
        for index in plan.inputs:
            if isinstance(plan.values[index], Tensor):
                yield self._input(method, index)
        for step in plan.instructions:
            if step.kind == MOVE:
                source, target = step.args
                if source in method.producers:
                    method.producers[target] = method.producers[source]
            else:
                yield self._delegate(method, step) if step.kind == DELEGATE else self._kernel(method, step)

    def _input(self, method: _Method, index: int) -> Layer:
        path = self._path(method, f"input_{index}")
        method.producers[index] = path
        shapes = (_shape(method.plan.values[index]),)
        return Layer(path=path, name=_last(path), kind="input", type_source="unknown", parent=method.parent, inputs=(),
                     input_shapes=shapes, output_shapes=shapes, uses=1)  # fmt: skip

    def _kernel(self, method: _Method, step: Instruction) -> Layer:
        operator = method.plan.operators[step.number]
        short = short_name(operator)
        outputs = _tensors(method.plan, step.args[-1:])
        made = set(outputs)
        inputs = [(at, index) for at, index in enumerate(step.args) if index not in made]
        constants = self._constants(method, inputs)
        passed = short in PASSED_ON and bool(constants) and constants[0][0] == 0 and made <= method.used and bool(made)
        settings = _settings(method.plan, short, step)
        path = self._path(method, ("" if passed else self._module(constants)) or short)
        weights, kind = self._listed(path, short, constants[1:] if passed else constants, settings)
        flowing = [index for _, index in inputs if self._flows(method, index)]
        if passed:
            origin, turned = method.origins.get(step.args[0], (step.args[0], False))
            method.origins.update(dict.fromkeys(outputs, (origin, turned != (short in TURNS))))
        feeders = [method.producers[index] for _, one in inputs for index in _tensors(method.plan, (one,))
                   if index in method.producers]  # fmt: skip
        for index in outputs:
            method.producers[index] = path
        return Layer(
            path=path, name=_last(path), type=operator, parent=method.parent, config=settings,
            kind=kind or kind_of(short, len(flowing), sum(weight.role == "kernel" for weight in weights)),
            input_shapes=tuple(_shape(method.plan.values[index]) for index in flowing),
            output_shapes=tuple(_shape(method.plan.values[index]) for index in outputs),
            inputs=tuple(dict.fromkeys(feeders)), uses=1, weights=weights,
        )  # fmt: skip

    def _constants(self, method: _Method, inputs: list[tuple[int, int]]) -> list[tuple[int, Tensor, bool]]:
        """(position, tensor, whether it was turned) of the arguments that are stored, or variables never made."""
        found = []
        for at, index in inputs:
            origin, turned = method.origins.get(index, (index, False))
            value = method.plan.values[origin]
            stands = self._weights.is_constant(value) if isinstance(value, Tensor) else False
            if stands or self._is_variable(method, origin):
                found.append((at, value, turned))
        return found

    def _is_variable(self, method: _Method, index: int) -> bool:
        """A tensor that is read before anything makes it: a buffer without a stored beginning."""
        value = method.plan.values[index]
        return isinstance(value, Tensor) and value.mutable and index not in method.producers

    def _flows(self, method: _Method, index: int) -> bool:
        value = method.plan.values[index]
        return isinstance(value, Tensor) and index not in method.origins and not self._weights.is_constant(value)

    def _listed(
        self, path: str, short: str, constants: list[tuple[int, Tensor, bool]], settings: Mapping[str, Any]
    ) -> tuple[tuple[Weight, ...], str | None]:
        """The weights, and the kind where it follows from them."""
        kind = None
        found: list[Weight] = []
        for at, tensor, turned in constants:
            argument = _argument(short, at, tensor)
            if argument.role == "kernel" and short.startswith("conv"):
                known = convolution_kind(len(tensor.sizes), dict(settings))
                if known is not None:
                    kind, argument = known[0], argument._replace(layout=known[1])
            if turned and argument.layout is not None:
                argument = argument._replace(layout=_TURNED.get(argument.layout, argument.layout))
            found.append(self._weights.weight(tensor, argument, path))
        return tuple(found), kind

    def _delegate(self, method: _Method, step: Instruction) -> Layer:
        handed = method.plan.delegates[step.number]
        size = handed.data.length if handed.data is not None else 0
        self.delegates[handed.id] = self.delegates.get(handed.id, 0) + size
        path = self._path(method, handed.id or "delegate")
        made = [index for index in _tensors(method.plan, step.args) if index not in method.producers
                and not self._weights.is_constant(method.plan.values[index])]  # fmt: skip
        taken = [index for index in _tensors(method.plan, step.args) if index in method.producers]
        layer = Layer(
            path=path, name=_last(path), type=handed.id or None, kind="custom", custom=True, parent=method.parent,
            config=json_value({"bytes": size, "compile_specs": list(handed.settings)}),
            input_shapes=tuple(_shape(method.plan.values[index]) for index in taken),
            output_shapes=tuple(_shape(method.plan.values[index]) for index in made),
            inputs=tuple(dict.fromkeys(method.producers[index] for index in taken)), uses=1,
            notes=(msg("This part was compiled for a backend; the weights in its {size} bytes cannot be told.",
                       size=size),),
        )  # fmt: skip
        method.producers.update(dict.fromkeys(made, path))
        return layer

    def _module(self, constants: list[tuple[int, Tensor, bool]]) -> str:
        """The module that the weights' full names tell."""
        named = next((tensor.key for _, tensor, _ in constants if tensor.key), "")
        return named.rpartition(".")[0]

    def _path(self, method: _Method, name: str) -> str:
        own = text(name, _MAX_NAME).strip(".") or "layer"
        return self._paths.of(own if method.parent is None else f"{method.parent}.{own}")


def _argument(short: str, at: int, tensor: Tensor) -> Argument:
    known = ARGUMENTS.get(short, {}).get(at)
    if known is not None:
        return known
    name = tensor.key.rpartition(".")[2][:_MAX_NAME] or f"input_{at}"
    if tensor.requires_grad:
        return Argument(name, "parameter")
    return Argument(name, "buffer" if tensor.mutable else "constant")


def _settings(plan: Plan, short: str, step: Instruction) -> dict[str, Any]:
    """Plain arguments that make a difference, by their names."""
    names = SETTINGS.get(short, {})
    found = {name: _plain(plan, step.args[at]) for at, name in names.items() if at < len(step.args)}
    return {name: value for name, value in found.items() if value is not None}


def _plain(plan: Plan, index: int) -> Any:
    value = plan.values[index]
    if isinstance(value, Tensor):
        return None
    if isinstance(value, tuple):
        numbers = [plan.values[one] for one in value[:64] if 0 <= one < len(plan.values)]
        return [one for one in numbers if isinstance(one, int | float)]
    return json_value(value)


def _tensors(plan: Plan, indices: Iterable[int]) -> list[int]:
    """Those of the values that are tensors, those in lists too."""
    found: list[int] = []
    for index in indices:
        value = plan.values[index]
        if isinstance(value, Tensor):
            found.append(index)
        elif isinstance(value, tuple):
            plain = [one for one in value if 0 <= one < len(plan.values)]
            found.extend(one for one in plain if isinstance(plan.values[one], Tensor))
    return found


def _shape(tensor: Tensor) -> Shape:
    """The sizes; the upper bounds of those of a dynamic tensor are no sizes."""
    return (None,) * len(tensor.sizes) if tensor.dynamic else tensor.sizes


def _last(path: str) -> str:
    return path.rpartition(".")[2] or path
