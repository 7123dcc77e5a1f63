"""TensorFlow.js models: `model.json` of layers or of a graph, or a weights manifest alone, with or without shards.

Knows which JSON is which and how paths lead to files; layers are made in `catalog`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from service.catalog.keras_config import parse_model
from service.catalog.keras_layers import Layers
from service.catalog.keras_pickles import dangers_of_config
from service.catalog.keras_shelf import NamedShelf
from service.catalog.tf_files import base, folder, normal, normal_name
from service.catalog.tf_states import set_apart
from service.catalog.tf_training import describe, with_optimizer
from service.catalog.tf_variables import as_stored, beside, found_by_key
from service.catalog.tfjs_graph import Nodes, describe_topology
from service.catalog.tfjs_manifest import Group, Laid, lay_out, path_dangers, read_manifest
from service.config import Limits
from service.errors import InputError, MalformedFile
from service.formats import HEAD_BYTES, Format, Upload
from service.language import Message, msg
from service.parsers.json_streams import Routes, parse_each
from service.parsers.json_text import parse
from service.plain import json_value, text
from service.source import Source, head
from service.tree import Danger, Layer, Model, ModelInfo, State

FORMAT = Format(
    id="tfjs",
    framework="tensorflow",
    title=msg("TensorFlow.js model"),
    extensions=(".json",),
    reads=msg(
        "Layers models with classes, configuration and graph; graph models with every operation; weights manifests "
        "alone; quantized weights as they are stored. The JSON is enough; shards are held against it."
    ),
    leaves=msg("Weight values, unless statistics or a comparison of values ask for them."),
    priority=35,
)

_PATHS = re.compile(rb'"paths"\s*+:\s*+(\[[^\]\[{]*+\])')
_MOST_PATHS = 100_000
"""Most paths of all manifests together that are looked for among the files."""
_START = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*([{\[])")
_GROUP = re.compile(_START.pattern + rb'[ \t\r\n]*\{[ \t\r\n]*"weights"[ \t\r\n]*:[ \t\r\n]*\[[ \t\r\n]*\{')
"""How a manifest without a topology begins; its files are named behind the weights, where it may be cut off."""


class _Document(NamedTuple):
    """The JSON that describes the model, and its name among the files."""

    name: str | None
    value: Any


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """Each model's or manifest's JSON with the shards that it names."""
    names = {normal_name(name): name for name in upload.parts}
    found: list[frozenset[str]] = []
    left = _MOST_PATHS
    for name, given in names.items():
        if not name.endswith(".json") or not _looks_right(upload.parts[given]):
            continue
        here = folder(name)
        paths = _paths(upload.parts[given], upload.limits) if left > 0 else []
        left -= len(paths)
        wanted = {normal_name(f"{here}{path}") for path in paths}
        found.append(frozenset([given, *(names[one] for one in wanted if one in names)]))
    return found


def accept(upload: Upload) -> bool:
    """JSON with a topology or a manifest of weights, also where it breaks off; other parts are its shards."""
    if upload.single is not None:
        return _looks_right(upload.single)
    return any(name.endswith(".json") and _looks_right(source) for name, source in normal(upload.parts).items())


def _looks_right(source: Source) -> bool:
    start = head(source, HEAD_BYTES)
    opened = _START.match(start)
    if opened is None:
        return False
    ends = start + source.read_at(max(0, source.size - HEAD_BYTES), min(HEAD_BYTES, source.size))
    if opened[1] == b"{":
        return b'"modelTopology"' in ends or b'"weightsManifest"' in ends
    if _GROUP.match(start):
        return b'"shape"' in start and b'"dtype"' in start
    return b'"weights"' in start and all(word in ends for word in (b'"paths"', b'"shape"', b'"dtype"'))


def _paths(source: Source, limits: Limits) -> list[str]:
    """The files that a document's manifest names, without reading the document for what it means."""
    found: list[str] = []
    for listed in _PATHS.finditer(head(source, limits.json_bytes)):
        try:
            value = parse(listed[1], max_bytes=limits.json_bytes, max_depth=2)
        except InputError:
            continue
        found.extend(path for path in value if isinstance(path, str))
    return found


def _parsed(source: Source, limits: Limits, member: str | None) -> Any:
    routes: Routes = {("modelTopology", "node"): Nodes().take}
    data = head(source, limits.json_bytes + 1)
    return parse_each(data, routes, max_bytes=limits.json_bytes, max_depth=limits.json_depth, member=member)


def _manifest(value: Any) -> Any:
    return value.get("weightsManifest", []) if isinstance(value, dict) else value


def read(upload: Upload) -> Model:
    """The model's layers. Raises InputError."""
    document = _document(upload)
    groups = read_manifest(_manifest(document.value), upload.limits)
    laid = lay_out(groups, _files(groups, document.name, upload))
    known = document.value if isinstance(document.value, dict) else {}
    topology = known.get("modelTopology")
    model = _model(topology, known, laid, upload.limits, document.name)
    return Model(
        info=_info(upload, known, model),
        layers=model.layers,
        states=model.states,
        security=(*model.security, *path_dangers(groups, document.name)),
        findings=tuple(laid.findings),
        complete=laid.complete and bool(groups),
        notes=(*model.notes, *laid.notes, *((_NO_MANIFEST,) if not groups else ())),
    )


_NO_MANIFEST = msg("The document names no weights: no weight and no parameter count can be given.")


class _Read(NamedTuple):
    """What kind of model it is and what it holds."""

    kind: str
    framework: str
    layers: tuple[Layer, ...]
    states: tuple[State, ...] = ()
    security: tuple[Danger, ...] = ()
    name: str | None = None
    type: str | None = None
    keras_version: str | None = None
    notes: tuple[Message, ...] = ()


def _model(topology: Any, known: dict[str, Any], laid: Laid, limits: Limits, member: str | None) -> _Read:
    if isinstance(topology, dict) and "node" in topology:
        graph = describe_topology(topology, laid.variables, limits)
        return _Read("graph-model", "tensorflow", graph.layers, graph.states, notes=graph.notes)
    if isinstance(topology, dict):
        return _layers_model(topology, known, laid, limits, member)
    found = describe(laid.variables, limits)
    return _Read("weights-manifest", "tensorflow", found.layers, (*found.states, *_optimizer(laid, {})))


def _layers_model(
    topology: dict[str, Any], known: dict[str, Any], laid: Laid, limits: Limits, member: str | None
) -> _Read:
    config = topology.get("model_config", topology)
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        raise MalformedFile(msg("The topology is neither a graph nor a model of layers."), pointer="/modelTopology")
    spec = parse_model(config, limits.layers)
    built = Layers(spec, limits.weights)
    apart = set_apart(laid.variables)
    lists = {spec.name: [as_stored(one) for one in apart.model]}
    shelf = NamedShelf(lists, [], lambda one, other: one.stored_as == other.stored_as).inner(spec)
    by_key = {one.key: one for one in laid.variables}
    if spec.layers is not None:
        built.model(spec, shelf)
        layers = tuple(found_by_key(layer, by_key) for layer in built.layers)
    else:
        layers = describe(apart.model, limits).layers
    training = known.get("trainingConfig", topology.get("training_config"))
    version, where = topology.get("keras_version"), member or "model.json"
    return _Read(
        kind="layers-model",
        framework="keras",
        layers=layers,
        states=(*apart.states, *_optimizer(laid, training if isinstance(training, dict) else {})),
        security=dangers_of_config({"model_config": config, "training_config": training}, where, limits),
        name=text(spec.name, 500),
        type=text(spec.class_name, 500),
        keras_version=text(version, 64) if isinstance(version, str) else None,
    )


def _optimizer(laid: Laid, training: dict[str, Any]) -> tuple[State, ...]:
    """The optimizer's weights and settings, where there are any."""
    settings = training.get("optimizer_config", training.get("optimizerConfig"))
    states = []
    if laid.optimizer:
        weights = tuple(beside(one, "optimizer", "optimizer_slot") for one in laid.optimizer)
        states.append(State(name="optimizer", group="optimizer", weights=weights))
    return with_optimizer(states, json_value(settings) if isinstance(settings, dict) else {})


def _document(upload: Upload) -> _Document:
    if upload.single is not None:
        return _Document(None, _parsed(upload.single, upload.limits, None))
    parts = normal(upload.parts)
    given = {normal_name(name): name for name in upload.parts}
    name = next((one for one in sorted(parts, key=len) if one.endswith(".json") and _looks_right(parts[one])), None)
    if name is None:
        raise MalformedFile(msg("No model.json and no weights manifest is among the files."))
    return _Document(given[name], _parsed(parts[name], upload.limits, given[name]))


def _files(groups: Sequence[Group], document: str | None, upload: Upload) -> dict[str, tuple[str, Source]]:
    """The uploaded files by the paths that the manifest has for them: below the JSON's folder, else by base name."""
    if document is None:
        return {}
    name = normal_name(document)
    given = {normal_name(one): one for one in upload.parts}
    by_base = {base(one): one for one in given if one != name}
    found: dict[str, tuple[str, Source]] = {}
    for path in chain.from_iterable(group.paths for group in groups):
        wanted = normal_name(f"{folder(name)}{path}")
        there = wanted if wanted in given else by_base.get(base(normal_name(path)))
        if there is not None:
            found[path] = (given[there], upload.parts[given[there]])
    return found


def _info(upload: Upload, known: dict[str, Any], model: _Read) -> ModelInfo:
    tags: dict[str, Any] = {"kind": model.kind}
    for key in ("generatedBy", "convertedBy", "signature", "userDefinedMetadata", "trainingConfig"):
        if known.get(key) is not None:
            tags[key] = json_value(known[key])
    return ModelInfo(
        format=FORMAT.id,
        framework=model.framework,
        name=model.name,
        type=model.type,
        framework_version=model.keras_version,
        producer=text(str(known["convertedBy"]), 200) if isinstance(known.get("convertedBy"), str) else None,
        members=tuple(text(name, 200) for name in list(upload.parts)[:1000]) if upload.single is None else (),
        tags=tags,
    )
