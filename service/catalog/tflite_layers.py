"""TensorFlow Lite's subgraphs as layers: operators in order, paths, edges, weights by position, folded normalisations.

A layer is called after its first output, which keeps the names of the framework that the model came from. A subgraph
that an operator runs (the body of a loop) stands below that operator. Knows one file's contents; reads none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from service.catalog.counting import UniquePaths
from service.catalog.tflite_names import CUSTOM, operator_name
from service.catalog.tflite_options import options_of, subgraphs_of
from service.catalog.tflite_roles import CONVOLUTIONS, PASSED_ON, RUNS_OTHERS, Operand, kind_of
from service.catalog.tflite_weights import Weights, dtype_of, operand_of, shape_of
from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.language import Message, msg, msgn
from service.parsers.tflite import Contents, Operator, Quantization, Subgraph, Tensor
from service.plain import json_value
from service.tree import Layer, Weight

_MAX_PREFIX = 512
_MAX_NAME = 256
_NORMALISATION = re.compile(r"batch_?norm|fusedbatchnorm|(?:^|[/_])bn\d*(?:$|[/_])", re.IGNORECASE)
_REMAINS = frozenset({"MUL", "ADD", "SUB"})
"""What a normalisation becomes that cannot be folded."""
_HEADING = 2
"""Only the first names of a fused operator are its own; later ones may be those of layers of the same shape."""


class _Inner(NamedTuple):
    """A subgraph to be described next, below the layer at `parent`."""

    number: int
    role: str
    parent: str | None


@dataclass(slots=True)
class _Graph:
    """One subgraph while it is walked: who makes which tensor, and which constant an unpacked one stands for."""

    subgraph: Subgraph
    prefix: str
    parent: str | None
    used: frozenset[int]
    producers: dict[int, str] = field(default_factory=dict)
    origins: dict[int, int] = field(default_factory=dict)


class Layers:
    """Describes the subgraphs of one file."""

    def __init__(self, contents: Contents, weights: Weights, limits: Limits) -> None:
        self._contents = contents
        self._weights = weights
        self._limits = limits
        self._paths: dict[int, str] = {}
        self._unique = UniquePaths()
        self.folded = 0
        """Layers that a normalisation was folded into."""
        self.custom: dict[str, str] = {}
        """Names of custom operators, with the first layer of each."""

    def describe(self) -> list[Layer]:
        """All layers: the first subgraph's at the top, others below what runs them, the rest in containers."""
        found: list[Layer] = []
        for index in range(len(self._contents.subgraphs)):
            if index not in self._paths:
                self._walk(_Inner(index, "", None), found)
        return found

    def _walk(self, first: _Inner, found: list[Layer]) -> None:
        stack = [self._enter(first)]
        while stack:
            item = next(stack[-1], None)
            if item is None:
                stack.pop()
            elif isinstance(item, _Inner):
                stack.append(self._enter(item))
            else:
                found.append(item)
                if len(found) > self._limits.layers:
                    raise LimitExceeded(
                        "layers", self._limits.layers,
                        msg("The model has more than {layers} layers.", layers=self._limits.layers),
                    )  # fmt: skip

    def _enter(self, inner: _Inner) -> Iterator[Layer | _Inner]:
        """The layers of a subgraph, below one for itself where it is not the first."""
        subgraph = self._contents.subgraphs[inner.number]
        known = self._paths.get(inner.number)
        if inner.number == 0 and inner.parent is None:
            self._paths[0] = ""
            yield from self._graph(subgraph, "", None)
            return
        name = inner.role or subgraph.name or f"subgraph_{inner.number}"
        path = self._unique.of(name if inner.parent is None else f"{_short(inner.parent, inner.number)}/{name}")
        yield Layer(
            path=path, name=name, kind="container", type="SubGraph", parent=inner.parent, shared_with=known or None,
            config={"index": inner.number, "name": subgraph.name}, inputs=(),
        )  # fmt: skip
        if known is None:
            self._paths[inner.number] = path
            yield from self._graph(subgraph, path, path)

    def _graph(self, subgraph: Subgraph, prefix: str, parent: str | None) -> Iterator[Layer | _Inner]:
        used = frozenset(index for operator in subgraph.operators for index in operator.inputs)
        graph = _Graph(subgraph, prefix, parent, used)
        for index in subgraph.inputs:
            yield self._input(graph, index)
        for number, operator in enumerate(subgraph.operators):
            layer = self._operator(graph, number, operator)
            yield layer
            for role, index in subgraphs_of(operator.options, operator.options2):
                if not 0 <= index < len(self._contents.subgraphs):
                    if layer.type in RUNS_OTHERS:
                        raise MalformedFile(msg("An operator runs subgraph {index}, which is not there.", index=index))
                    continue
                yield _Inner(index, role, layer.path)
        left = self._left_over(graph)
        if left is not None:
            yield left

    def _input(self, graph: _Graph, index: int) -> Layer:
        tensor = graph.subgraph.tensors[index]
        path = self._path(graph, tensor.name or f"input_{index}")
        graph.producers[index] = path
        shape = (shape_of(tensor),)
        return Layer(
            path=path, name=_last(path), kind="input", type=None, type_source="unknown", parent=graph.parent, inputs=(),
            input_shapes=shape, output_shapes=shape, config=_quantized({"output": tensor.quantization}), uses=1,
        )  # fmt: skip

    def _operator(self, graph: _Graph, number: int, operator: Operator) -> Layer:
        tensors = graph.subgraph.tensors
        code = self._contents.codes[operator.code]
        name = operator_name(code.builtin)
        outputs = [tensors[index] for index in operator.outputs]
        path = self._path(graph, (outputs[0].name if outputs else "") or f"{name}_{number}")
        self._pass_on(graph, name, operator)
        constants = [(at, *self._constant(graph, index)) for at, index in enumerate(operator.inputs) if index >= 0]
        held = [(at, index, tensor) for at, index, tensor in constants if tensor is not None]
        flowing = [index for _, index, tensor in constants if tensor is None and not tensors[index].is_variable]
        weights = self._listed(graph, name, operator, path, [(at, tensor) for at, _, tensor in held])
        for index in operator.outputs:
            graph.producers[index] = path
        custom = code.builtin == CUSTOM
        own = _own_name(code.custom) if custom else name
        if custom:
            self.custom.setdefault(own, path)
        return Layer(
            path=path,
            name=_last(path),
            kind="custom" if custom else self._kind(name, len(flowing), weights),
            type=own,
            parent=graph.parent,
            custom=custom,
            config=self._config(graph, operator, code.version, name, constants),
            input_shapes=tuple(shape_of(tensors[index]) for index in flowing),
            output_shapes=tuple(shape_of(tensor) for tensor in outputs),
            inputs=tuple(dict.fromkeys(graph.producers[one] for one in operator.inputs if one in graph.producers)),
            uses=1,
            weights=weights,
            notes=self._notes(name, outputs, held, weights),
        )

    def _pass_on(self, graph: _Graph, name: str, operator: Operator) -> None:
        """An operator that only unpacks a constant: whoever uses its result has the constant as a weight."""
        if name in PASSED_ON and len(operator.inputs) == 1 and len(operator.outputs) == 1:
            source, result = operator.inputs[0], operator.outputs[0]
            origin = graph.origins.get(source, source)
            tensor = graph.subgraph.tensors[origin] if origin >= 0 else None
            if tensor is not None and self._weights.is_constant(tensor) and result in graph.used:
                graph.origins[result] = origin

    def _constant(self, graph: _Graph, index: int) -> tuple[int, Tensor | None]:
        """(the tensor that flows in, the constant it stands for or None)."""
        tensor = graph.subgraph.tensors[graph.origins.get(index, index)]
        return index, tensor if self._weights.is_constant(tensor) else None

    def _listed(
        self, graph: _Graph, name: str, operator: Operator, path: str, held: list[tuple[int, Tensor]]
    ) -> tuple[Weight, ...]:
        """The weights of an operator, and the scales of those that are quantised by blocks."""
        if name in PASSED_ON and operator.outputs and operator.outputs[0] in graph.origins:
            return ()
        found: list[Weight] = []
        for at, tensor in held:
            operand = operand_of(name, at, tensor)
            found.append(self._weights.weight(tensor, operand, path))
            if tensor.quantization is not None:
                found.extend(self._scales(graph, tensor, operand, path))
        return tuple(found)

    def _scales(self, graph: _Graph, tensor: Tensor, operand: Operand, path: str) -> Iterator[Weight]:
        indices = tensor.quantization.tensors if tensor.quantization is not None else ()
        for role, ending, index in zip(("quant_scale", "zero_point"), ("scales", "zero_points"), indices, strict=False):
            if 0 <= index < len(graph.subgraph.tensors):
                stored = graph.subgraph.tensors[index]
                if self._weights.is_constant(stored):
                    yield self._weights.weight(stored, Operand(f"{operand.name}_{ending}", role), path)

    def _left_over(self, graph: _Graph) -> Layer | None:
        """Constants that no operator of the subgraph takes, so that none is left out."""
        scales = {
            index for tensor in graph.subgraph.tensors if tensor.quantization for index in tensor.quantization.tensors
        }
        taken = graph.used | set(graph.subgraph.inputs) | scales
        left = [
            (index, tensor)
            for index, tensor in enumerate(graph.subgraph.tensors)
            if index not in taken and self._weights.is_constant(tensor)
        ]
        if not left:
            return None
        path = self._path(graph, "constants")
        weights = (self._weights.weight(one, Operand(f"tensor_{index}", "constant"), path) for index, one in left)
        return Layer(path=path, name=_last(path), kind="parameter", type_source="unknown", parent=graph.parent,
                     weights=tuple(weights))  # fmt: skip

    def _config(
        self, graph: _Graph, operator: Operator, version: int, name: str,
        constants: list[tuple[int, int, Tensor | None]],
    ) -> dict[str, Any]:  # fmt: skip
        config = options_of(operator.options, operator.options2)
        if operator.custom is not None:
            config["custom_options_bytes"] = operator.custom.length
        config["version"] = version
        tensors = graph.subgraph.tensors
        kept = {
            operand_of(name, at, tensors[index]).name: {
                "shape": list(tensors[index].shape), "dtype": dtype_of(tensors[index]),
            }
            for at, index, tensor in constants
            if tensor is None and tensors[index].is_variable
        }  # fmt: skip
        if kept:
            config["variables"] = kept
        named = {
            "input" if tensor is None else operand_of(name, at, tensor).name: (tensor or tensors[index]).quantization
            for at, index, tensor in constants
            if tensor is None or tensor.quantization is not None
        }
        if operator.outputs:
            named["output"] = tensors[operator.outputs[0]].quantization
        return {**config, **_quantized(named)} if any(named.values()) else config

    def _kind(self, name: str, flowing: int, weights: tuple[Weight, ...]) -> str:
        if name == "GATHER" and any(weight.role == "embedding" for weight in weights):
            return "embedding"
        if name == "BATCH_MATMUL" and any(weight.layout for weight in weights):
            return "linear"
        return kind_of(name, flowing)

    def _notes(
        self, name: str, outputs: list[Tensor], held: list[tuple[int, int, Tensor]], weights: tuple[Weight, ...]
    ) -> tuple[Message, ...]:
        """Where a BatchNormalization went, which the names of the tensors still tell."""
        if name not in CONVOLUTIONS and name not in _REMAINS:
            return ()
        named = next(_normalisations(outputs, [tensor for _, _, tensor in held]), None)
        if named is None or not any(weight.group in ("unknown", "frozen") for weight in weights):
            return ()
        if name in CONVOLUTIONS:
            if not any(weight.role == "bias" for weight in weights):
                return ()
            self.folded += 1
            return (
                msg("BatchNormalization was here ({name}) and is folded into the kernel and the bias: their values are "
                    "no longer those that were trained.", name=named),
            )  # fmt: skip
        return (msg("This is what is left of a BatchNormalization ({name}) that was not folded.", name=named),)

    def _path(self, graph: _Graph, name: str) -> str:
        own = name.partition(";")[0].strip("/")[:_MAX_NAME] or "layer"
        return self._unique.of(f"{graph.prefix}/{own}" if graph.prefix else own)


def folded_note(count: int) -> Message:
    """What to say of the whole model."""
    return msgn(
        "BatchNormalization was folded into {n} layer when the model was converted; the layer says so.",
        "BatchNormalization was folded into {n} layers when the model was converted; each of them says so.",
        n=count,
    )


def _normalisations(outputs: list[Tensor], held: list[Tensor]) -> Iterator[str]:
    """Names of normalisations among those that the converter joined in a tensor's name."""
    for tensor in (*held, *outputs):
        name = tensor.name.lower()
        if "norm" not in name and "bn" not in name:
            continue  # as nearly all
        for part in tensor.name.split(";", _HEADING)[:_HEADING]:
            if _NORMALISATION.search(part):
                yield part[:_MAX_NAME]


def _quantized(named: dict[str, Quantization | None]) -> dict[str, Any]:
    """The `quantization` of a configuration: scale and zero point of each tensor, or how many along which axis."""
    found = {name: _parameters(one) for name, one in named.items() if one is not None}
    return {"quantization": found} if found else {}


def _parameters(one: Quantization) -> dict[str, Any]:
    if one.tensors:
        return {"block_size": one.block, "axis": one.axis}
    if one.scales == 1:
        return {"scale": json_value(one.scale), "zero_point": one.zero_point or 0}
    return {"scales": one.scales, "axis": one.axis}


def _own_name(custom: str | None) -> str:
    return custom or "CUSTOM"


def _short(path: str, index: int) -> str:
    """`path`, unless loops within loops made it too long to repeat."""
    return path if len(path) <= _MAX_PREFIX else f"subgraph_{index}"


def _last(path: str) -> str:
    return path.rpartition("/")[2] or path
