"""An OpenVINO graph into layers: paths, kinds, shapes, edges, bodies, and constants given to the layer they belong to.

A bias is a constant in an `Add` behind a convolution or a matrix product, and what scales and shifts a normalisation is
a `Multiply` and an `Add` behind it: they are listed with the layer in front, and the operation itself says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from service.catalog.openvino_constants import Constants, Leaf, find_constants, leaves_of
from service.catalog.openvino_graph import Graph, Op, Port
from service.catalog.openvino_old import old_weights
from service.catalog.openvino_ops import BODY_KIND, CELLS, CONVOLUTIONS, TRANSPOSED, Use, kind_of
from service.catalog.openvino_weights import Taken, Weigher, weights_of
from service.config import Limits
from service.errors import LimitExceeded
from service.language import Message, msg
from service.plain import json_value, text
from service.tree import Layer, Shape, Weight, element_count

_NUMBERS = re.compile(r"-?\d{1,18}(?:\s*,\s*-?\d{1,18})*")
_FRACTION = re.compile(r"-?\d{1,40}(?:\.\d{0,40})?(?:[eE][-+]?\d{1,4})?")
_DROPPED = frozenset({"element_type", "shape", "offset", "size"})
_BIAS, _SCALE, _OFFSET = Use("bias", "bias"), Use("scale", "gamma"), Use("offset", "beta")
_MATRIX = 2


@dataclass(slots=True)
class _Reading:
    """Layers made so far, and the paths that are taken, with how often each was asked for again."""

    weigher: Weigher
    limits: Limits
    layers: list[Layer] = field(default_factory=list)
    paths: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Moved:
    """Which constants are listed elsewhere: operation in front -> its constants; operation behind -> whose they are."""

    taken: Mapping[int, tuple[Taken, ...]]
    given: Mapping[int, tuple[int, frozenset[int]]]


def layers_of(graph: Graph, weigher: Weigher, limits: Limits) -> tuple[Layer, ...]:
    """The layers of a graph and of the bodies in it, in the order of the file, parents first.

    Raises:
        LimitExceeded: More layers or weights than one analysis may describe.
    """
    reading = _Reading(weigher, limits)
    pending: list[tuple[Graph, str | None]] = [(graph, None)]
    while pending:
        one, parent = pending.pop()
        pending.extend(reversed(_describe(one, parent, reading)))
    return tuple(reading.layers)


def _describe(graph: Graph, parent: str | None, reading: _Reading) -> list[tuple[Graph, str | None]]:
    """Adds the layers of one graph; answers with the graphs inside it."""
    found = find_constants(graph)
    moved = _moved(found)
    paths = _paths(found, parent, reading)
    inside: list[tuple[Graph, str | None]] = []
    for number, path in paths.items():
        weights = _layer_weights(found, number, path, moved, reading.weigher)
        layer = _layer(found, number, paths, moved, weights)
        reading.layers.append(msgspec.structs.replace(layer, parent=parent) if parent else layer)
        op = graph.ops[number]
        several = len(op.bodies) > 1
        inside.extend((body, _held(name, path, reading) if several else path) for name, body in op.bodies.items())
    _add_unlisted(graph, parent, reading)
    return inside


def _add_unlisted(graph: Graph, parent: str | None, reading: _Reading) -> None:
    """Constants that no pattern led to, such as those behind a cut edge: they are stored, so they are shown."""
    prefix = f"{parent}/" if parent else ""
    for op in graph.ops.values():
        if op.type == "Const" and id(op) not in reading.weigher.listed:
            _bound(reading)
            path = _unique(prefix + text(op.name, 1000), reading)
            weights = tuple(_own_constant(op, path, reading.weigher))
            name = text(op.name, 1000)
            layer = Layer(path=path, name=name, parent=parent, kind="parameter", type="Const", weights=weights)
            reading.layers.append(layer)


def _held(name: str, path: str, reading: _Reading) -> str:
    """The path of a layer made for one of several bodies of an operation; a single one is the operation's own."""
    held = _unique(f"{path}/{name}", reading)
    _bound(reading)
    reading.layers.append(Layer(path=held, name=name, parent=path, kind="container", type=name, inputs=None))
    return held


def _paths(found: Constants, parent: str | None, reading: _Reading) -> dict[int, str]:
    """The operations that are layers: all but constants that flow into another operation."""
    prefix = f"{parent}/" if parent else ""
    read = {source for source, _ in found.readers}
    paths: dict[int, str] = {}
    for number, op in found.graph.ops.items():
        if number in found.constant and (number in read or op.type != "Const"):
            continue
        paths[number] = _unique(prefix + text(op.name, 1000), reading)
        _bound(reading, len(paths))
    return paths


def _unique(path: str, reading: _Reading) -> str:
    """`path`, with the first number that is free where others have it: counted on, so that many cost no more each."""
    unique, number = path, reading.paths.get(path, 0)
    while unique in reading.paths:
        number += 1
        unique = f"{path}#{number + 1}"
    reading.paths[path] = number
    reading.paths.setdefault(unique, 0)
    return unique


def _bound(reading: _Reading, more: int = 1) -> None:
    if len(reading.layers) + more > reading.limits.layers:
        raise LimitExceeded(
            "layers", reading.limits.layers,
            msg("The model has more than {layers} layers.", layers=reading.limits.layers),
        )  # fmt: skip


def _layer_weights(found: Constants, number: int, path: str, moved: _Moved, weigher: Weigher) -> list[Weight]:
    op = found.graph.ops[number]
    if op.type == "Const":
        return _own_constant(op, path, weigher)
    if op.blobs:
        return old_weights(op, path, weigher)
    given = moved.given.get(number, (number, frozenset[int]()))[1]
    return weights_of(found, number, path, weigher, (moved.taken.get(number, ()), given))


def _layer(
    found: Constants, number: int, paths: Mapping[int, str], moved: _Moved, weights: list[Weight]
) -> Layer:
    op = found.graph.ops[number]
    front, given = moved.given.get(number, (number, frozenset[int]()))
    feeding = found.feeds.get(number, [])
    inputs = tuple(paths[source] for _, source, _ in feeding if source in paths)
    return Layer(
        path=paths[number],
        name=text(op.name, 1000),
        type=text(op.type, 200) or None,
        module=text(op.version, 100) if op.version else None,
        kind=_kind(op, weights, given),
        custom=is_custom(op),
        config=_config(op.data),
        input_shapes=_shapes([port for port in op.inputs if _flows(found, number, port)]),
        output_shapes=_shapes(op.outputs),
        inputs=inputs,
        weights=tuple(weights),
        notes=(_given_note(paths[front]),) if front != number else (),
    )


def is_custom(op: Op) -> bool:
    """Whether the operation is of no set of OpenVINO's own, so that it runs only with a library that adds it."""
    return op.version is not None and not op.version.startswith("opset")


def _given_note(path: str) -> Message:
    return msg("The constant of this operation is listed with {layer}, whose output it changes.", layer=path)


def _flows(found: Constants, number: int, port: Port) -> bool:
    """Whether something that is not constant comes in at a port."""
    source = found.graph.edges.get((number, port.number))
    return source is None or source[0] not in found.constant


def _own_constant(op: Op, path: str, weigher: Weigher) -> list[Weight]:
    """A constant that nothing reads: it is stored, so it is shown."""
    if op.blobs:
        return old_weights(op, path, weigher)
    shape = op.outputs[0].dims if op.outputs else ()
    leaf = Leaf(op, "value", "value", shape)
    return [weigher.weigh(leaf, Use("constant", "value"), path, shape=shape)]


def _kind(op: Op, weights: list[Weight], given: frozenset[int]) -> str:
    kernel = next((weight for weight in weights if weight.role == "kernel"), None)
    if op.bodies:
        inner = any(one.type in CELLS for body in op.bodies.values() for one in body.ops.values())
        return BODY_KIND if inner else "container"
    if op.type == "Const":
        return "parameter"
    if op.type in CONVOLUTIONS or op.type in TRANSPOSED:
        return kind_of(op.type, _stored_kernel(op) if kernel is not None else None)
    kind = kind_of(op.type, None)
    if any(weight.role == "embedding" for weight in weights):
        return "embedding"
    if kind == "merge" and (weights or given):
        return "operation"
    if kind == "linear" and (kernel is None or len(kernel.shape or ()) != _MATRIX):
        return "operation"
    if op.type == "MVN":
        return _mvn_kind(op, weights)
    return kind


def _stored_kernel(op: Op) -> Shape | None:
    """Sizes of the kernel as the operation reads it: its second input."""
    port = 2 if op.type == "DeformableConvolution" else 1
    ports = {one.number: one.dims for one in op.inputs}
    if port in ports:
        return ports[port]
    window = op.data.get("kernel", "")
    return (None, None, *(None for _ in window.split(","))) if window else None


def _mvn_kind(op: Op, weights: list[Weight]) -> str:
    """A vector as long as the last axis scales a layer normalisation, one as long as the channels an instance's."""
    dims = op.outputs[0].dims if op.outputs else ()
    scale = next((element_count(one.shape) for one in weights if one.role == "scale"), None)
    if scale is None or not dims or dims[-1] == scale:
        return "layer_norm"
    return "instance_norm" if len(dims) > 1 and dims[1] == scale else "layer_norm"


# Constants behind


def _moved(found: Constants) -> _Moved:
    taken: dict[int, tuple[Taken, ...]] = {}
    given: dict[int, tuple[int, frozenset[int]]] = {}
    for number, op in found.graph.ops.items():
        if number in found.constant or len(op.outputs) != 1:
            continue
        behind = _behind(found, number, op)
        if behind:
            taken[number] = tuple(Taken(source, use) for _, source, use in behind)
            given.update({after: (number, frozenset({source})) for after, source, _ in behind})
    return _Moved(taken, given)


def _behind(found: Constants, number: int, op: Op) -> list[tuple[int, int, Use]]:
    """(operation behind, its constant, what it is to the operation in front)."""
    if op.type == "MVN":
        scale = _next(found, number, "Multiply", _SCALE, op)
        offset = _next(found, scale[0], "Add", _OFFSET, op) if scale else None
        return [one for one in (scale, offset) if one is not None]
    feeding = found.feeds.get(number, [])
    kernel = op.type in CONVOLUTIONS or op.type in TRANSPOSED or op.type == "MatMul"
    if not kernel or not any(source in found.constant for _, source, _ in feeding):
        return []
    bias = _next(found, number, "Add", _BIAS, op)
    return [bias] if bias is not None else []


def _next(found: Constants, number: int, type_name: str, use: Use, front: Op) -> tuple[int, int, Use] | None:
    """The only reader of an operation's output, if it is of this type and brings a constant of one value per unit."""
    ports = found.graph.ops[number].outputs
    readers = found.readers.get((number, ports[0].number), []) if len(ports) == 1 else []
    if len(readers) != 1 or found.graph.ops[readers[0][0]].type != type_name:
        return None
    after, into = readers[0]
    others = [source for port, source, _ in found.feeds.get(after, []) if port != into]
    if len(others) != 1 or others[0] not in found.constant:
        return None
    first = next(iter(leaves_of(found, others[0])), None)
    if first is None or not _per_unit(first.shape, front):
        return None
    return after, others[0], use


def _per_unit(shape: Shape, front: Op) -> bool:
    """Whether a constant has one value per channel of a convolution, or per unit on the last axis."""
    dims = front.outputs[0].dims
    axis = 1 if front.type in CONVOLUTIONS or front.type in TRANSPOSED else len(dims) - 1
    if front.type == "MVN" and len([size for size in shape if size != 1]) == 1:
        axis = len(dims) - len(shape) + next(at for at, size in enumerate(shape) if size != 1)
    if not 0 <= axis < len(dims) or dims[axis] is None or len(shape) > len(dims):
        return False
    place = axis - (len(dims) - len(shape))
    return place >= 0 and shape[place] == dims[axis] == element_count(shape)


# What is said of an operation


def _config(data: Mapping[str, str]) -> dict[str, Any]:
    """The attributes of an operation, numbers and truth values as such."""
    return {text(name, 200): _value(value) for name, value in data.items() if name not in _DROPPED}


def _value(value: str) -> Any:
    stripped = value.strip()
    if stripped in ("true", "false"):
        return stripped == "true"
    if _NUMBERS.fullmatch(stripped):
        numbers = [int(number) for number in stripped.split(",")]
        return numbers if len(numbers) > 1 else numbers[0]
    if _FRACTION.fullmatch(stripped):
        return json_value(float(stripped))
    return text(value, 1000)


def _shapes(ports: list[Port]) -> tuple[Shape, ...] | None:
    return tuple(port.dims for port in ports) if ports else None
