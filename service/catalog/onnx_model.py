"""A whole ONNX model: what it says of itself, its layers, its training, and whether all its bytes are there.

Knows what the pieces are called in the answer; every grammar and rule is elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.catalog.integrity import listed, truncated
from service.catalog.onnx_constants import Store
from service.catalog.onnx_dangers import dangers_of, notes_of
from service.catalog.onnx_drawing import Drawing
from service.catalog.onnx_external import Files
from service.catalog.onnx_ops import STANDARD_DOMAINS, free_role
from service.catalog.onnx_plans import Plans
from service.catalog.onnx_scopes import Key, Scope
from service.catalog.onnx_walk import draw
from service.catalog.onnx_weights import weight_of
from service.errors import MalformedFile
from service.language import Message, msg
from service.parsers.onnx import function_of, graph_of, model_of, training_of
from service.parsers.onnx_messages import Function, Graph, Top, Training
from service.parsers.onnx_reading import Reading
from service.plain import MAX_ITEMS, json_value, output_tags, text
from service.tree import Finding, Model, ModelInfo, State

_MAX_METADATA = 1000
_TWICE = "duplicate_initializer"


def describe(reading: Reading, member: str | None, files: Files, members: tuple[str, ...]) -> Model:
    """The model in `reading`.

    Args:
        reading: The file.
        member: Its name among several uploaded files, None if it is the only one.
        files: The other files, which may hold its tensors' values.
        members: Names of all files.
    """
    top = model_of(reading)
    if top.graph is None:
        raise MalformedFile(msg("The model has no graph."))
    trainings = tuple(training_of(reading, one) for one in top.training)
    store = Store(reading, files, member)
    trained = _trained(trainings)
    drawing = Drawing(store, _functions(reading, top), trained, Plans(trained))
    scope, graph = draw(drawing, graph_of(reading, top.graph))
    states = tuple(_state(store, index, one) for index, one in enumerate(trainings))
    findings, notes = _missing(store, top)
    notes.extend(notes_of(drawing.reaching))
    findings.extend(listed(_TWICE, [_twice(name) for name in dict.fromkeys(drawing.repeated)]))
    return Model(
        info=_info(top, graph, scope, drawing, members),
        layers=tuple(drawing.layers),
        states=tuple(state for state in states if state is not None),
        security=(*files.dangers.values(), *dangers_of(drawing.reaching)),
        findings=tuple(findings),
        complete=not notes,
        notes=tuple(notes),
    )


def _functions(reading: Reading, top: Top) -> dict[Key, Function]:
    found: dict[Key, Function] = {}
    for one in top.functions:
        function = function_of(reading, one)
        found[function.domain, function.name, function.overload] = function
    return found


def _trained(trainings: tuple[Training, ...]) -> frozenset[str] | None:
    """Names of the initializers that training updates; None where the file has no training information."""
    return frozenset(name for one in trainings for name in one.updated) if trainings else None


def _state(store: Store, index: int, training: Training) -> State | None:
    """What a training algorithm keeps of its own: moments, step, learning rate."""
    graph = training.algorithm
    if graph is None or not graph.initializers:
        return None
    name = f"training_info[{index}]"
    consts = [store.of(one, one.name) for one in graph.initializers]
    weights = tuple(
        weight_of(name, const.name or "", free_role("", const.dtype, const.count), const, None) for const in consts
    )
    return State(name=name, group="optimizer", type=text(graph.name) or None, weights=weights)


def _missing(store: Store, top: Top) -> tuple[list[Finding], list[Message]]:
    """Findings on bytes that are not there, and notes where the answer would need them."""
    size = store.reading.source.size
    end = max(store.cut, top.graph.offset + top.graph.length if top.graph is not None else 0)
    found = [*listed("data_wrong_size", store.findings), *store.files.checked()]
    notes: list[Message] = []
    if store.reading.tolerant:
        found.insert(0, truncated(max(end, size + 1), size))
        notes.append(msg("The file is cut off: what came after is not in this answer."))
    if store.files.missing:
        notes.append(msg("Values lie in other files that were not uploaded: {files}.",
                         files=tuple(store.files.missing)[:10]))  # fmt: skip
    return found, notes


def _twice(name: str) -> Finding:
    return Finding(
        rule=_TWICE,
        severity="high",
        path=text(name),
        what=msg("{name} is given more than once; only the last is counted.", name=text(name, 200)),
        why=msg("ONNX' checker refuses such a file, and ONNX Runtime takes the last: others may see another model."),
    )


def _info(top: Top, graph: Graph, scope: Scope, drawing: Drawing, members: tuple[str, ...]) -> ModelInfo:
    producer = " ".join(part for part in (top.producer, top.producer_version) if part)
    values = [scope.find(one.name) for one in graph.outputs[:MAX_ITEMS]]
    outputs = output_tags(path for value in values if value is not None for path in value.paths)
    return ModelInfo(
        format="onnx",
        framework="onnx",
        name=text(graph.name) or None,
        format_version=None if top.ir_version is None else str(top.ir_version),
        framework_version=_opset(top),
        producer=text(producer) or None,
        members=tuple(text(one) for one in members),
        tags={**_tags(top, drawing.passed), **outputs},
    )


def _opset(top: Top) -> str | None:
    """The version of ONNX' own operators."""
    found = [version for domain, version in top.opsets if domain in STANDARD_DOMAINS]
    return str(max(found)) if found else None


def _tags(top: Top, passed: int) -> Mapping[str, Any]:
    given = {
        "opset_import": {domain or "ai.onnx": version for domain, version in top.opsets},
        "metadata": json_value(dict(top.metadata[:_MAX_METADATA])),
        "domain": text(top.domain),
        "model_version": top.version,
        "constant_nodes": passed,
    }
    return {name: json_value(value) for name, value in given.items() if value}
