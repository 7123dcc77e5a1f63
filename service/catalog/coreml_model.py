"""A Core ML model from its protobuf: what it is, its inputs, and the layers of whichever type of model it holds.

Knows the message `Model` and pipelines; networks, programs and other types are described by modules of their own.

Source: mlmodel/format/Model.proto and FeatureTypes.proto of coremltools.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from service.catalog.coreml_building import MAX_AXES, MAX_FIELDS, MAX_TEXT, Building
from service.catalog.coreml_constants import Opener, Stored
from service.catalog.coreml_network import Network, add_network
from service.catalog.coreml_others import add_other
from service.catalog.coreml_program import add_program
from service.catalog.integrity import listed
from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.coreml_values import Kept
from service.parsers.protobuf import BYTES, VARINT, Blocks, Field, Memory, fields, message
from service.parsers.protobuf_message import Held, grouped, integers, number, payload, payloads, string
from service.plain import output_tags, text
from service.source import Source
from service.tree import Finding, Layer, Model, ModelInfo, Shape

TYPES = {
    200: "pipelineClassifier", 201: "pipelineRegressor", 202: "pipeline", 300: "glmRegressor",
    301: "supportVectorRegressor", 302: "treeEnsembleRegressor", 303: "neuralNetworkRegressor",
    304: "bayesianProbitRegressor", 400: "glmClassifier", 401: "supportVectorClassifier", 402: "treeEnsembleClassifier",
    403: "neuralNetworkClassifier", 404: "kNearestNeighborsClassifier", 500: "neuralNetwork",
    501: "itemSimilarityRecommender", 502: "mlProgram", 555: "customModel", 556: "linkedModel",
    560: "classConfidenceThresholding", 600: "oneHotEncoder", 601: "imputer", 602: "featureVectorizer",
    603: "dictVectorizer", 604: "scaler", 606: "categoricalMapping", 607: "normalizer", 609: "arrayFeatureExtractor",
    610: "nonMaximumSuppression", 900: "identity", 2000: "textClassifier", 2001: "wordTagger",
    2002: "visionFeaturePrint", 2003: "soundAnalysisPreprocessing", 2004: "gazetteer", 2005: "wordEmbedding",
    2006: "audioFeaturePrint", 3000: "serializedModel",
}  # fmt: skip
"""The types of models by their field in Model."""

_NETWORKS = frozenset({303, 403, 500})
_PIPELINES = frozenset({200, 201, 202})
_PROGRAM = 502
_MAX_DEPTH = 16
MAX_DANGERS = 1000
"""Most dangers that are listed: a model may have thousands of custom layers of one class."""
_WHOLE = 32 << 20
"""A program up to this size is read at once: it keeps its weights in a file of their own."""
_TOP = {1: VARINT, 2: BYTES, 10: VARINT} | dict.fromkeys(TYPES, BYTES)
_MAX_TOP = 64


def looks_like_model(source: Source) -> bool:
    """Whether a protobuf message has the fields of a Model: a version, a description, one type, and no others."""
    seen: set[int] = set()
    for count, one in enumerate(fields(Blocks(source), tolerant=True)):
        if count >= _MAX_TOP or _TOP.get(one.number) != one.wire or (count == 0 and one.number != 1):
            return False
        if one.number == 1 and not 0 < one.value < 1000:
            return False
        seen.add(one.number)
    return 2 in seen and any(which in TYPES for which in seen)


@dataclass(slots=True)
class _Reading:
    """One upload on its way to a model."""

    building: Building
    stored: Stored
    outputs: list[str] = field(default_factory=list)


def describe_model(source: Source, member: str | None, info: ModelInfo, open_file: Opener) -> Model:
    """The model in `source`.

    Args:
        source: The protobuf.
        member: Its part name; None where the upload is that one file.
        info: What the reader knows already.
        open_file: Finds a file of weights by the name in the program.

    Raises:
        InputError: What cannot be read.
    """
    kept: Kept = Blocks(source)
    held, which = _top(kept, Field(0, BYTES, 0, 0, source.size))
    if which == _PROGRAM and source.size <= _WHOLE:
        kept = Memory(source)
    building = Building(kept, member, source.meter.limits)
    reading = _Reading(building, Stored(building, open_file))
    _add_model(reading, held, which, None, 0)
    described = _described(kept, held)
    notes = [*building.notes, *_missing(building)]
    return Model(
        info=msgspec.structs.replace(
            info, type=TYPES[which], format_version=str(number(held, 1)), tags=described | output_tags(reading.outputs)
        ),
        layers=tuple(building.layers),
        security=tuple(building.dangers[:MAX_DANGERS]),
        findings=(*_listed(building.findings), *reading.stored.findings()),
        complete=not building.missing,
        notes=tuple(notes),
    )


def _listed(findings: Sequence[Finding]) -> Iterator[Finding]:
    """The first of each rule, and how many more there are."""
    for rule in dict.fromkeys(one.rule for one in findings):
        yield from listed(rule, [one for one in findings if one.rule == rule])


def _missing(building: Building) -> list[Any]:
    if not building.missing:
        return []
    return [
        msg(
            "The values lie in {files}, which was not uploaded: shapes and element types are those that the program "
            "declares.", files=tuple(building.missing)[:20],
        )
    ]  # fmt: skip


def _top(source: Source, where: Field) -> tuple[Held, int]:
    """The fields of a Model, and the number of its type."""
    held = grouped(message(source, where), MAX_FIELDS)
    which = next((one for one in held if one in TYPES), None)
    if which is None:
        raise MalformedFile(msg("The model is of no type that is known: it has no network and no program."),
                            offset=where.offset)  # fmt: skip
    return held, which


def _add_model(reading: _Reading, held: Held, which: int, parent: str | None, depth: int) -> None:
    """The layers of one model, below `parent` where it is part of another."""
    building = reading.building
    body = payload(held, which)
    if body is None:
        return
    if which == _PROGRAM:
        reading.outputs.extend(add_program(building, reading.stored, body, parent))
        return
    producers = _add_inputs(building, held, parent)
    if which in _NETWORKS:
        network = Network(building, parent, producers, updatable=bool(number(held, 10)))
        add_network(network, body)
        names = _features(building.source, held, 10)
        reading.outputs.extend(producers[name] for name, _ in names if name in producers)
    elif which in _PIPELINES:
        _add_pipeline(reading, body, which, parent, depth)
    else:
        path = building.path(parent, TYPES[which])
        add_other(building, TYPES[which], body, path, tuple(producers.values()))


def _add_pipeline(reading: _Reading, body: Field, which: int, parent: str | None, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise LimitExceeded(
            "depth", _MAX_DEPTH, msg("Pipelines lie inside each other more than {n} levels deep.", n=_MAX_DEPTH),
            offset=body.offset,
        )  # fmt: skip
    source, building = reading.building.source, reading.building
    inner: Field | None = body
    if TYPES[which] != "pipeline":
        inner = payload(grouped(message(source, body), MAX_FIELDS), 1)
    held = grouped(message(source, inner), MAX_FIELDS) if inner is not None else {}
    names = [string(source, {2: [one]}, 2, MAX_TEXT) for one in payloads(held, 2)]
    for index, one in enumerate(payloads(held, 1)):
        found, kind = _top(source, one)
        name = names[index] if index < len(names) and names[index] else f"{TYPES[kind]}_{index}"
        path = building.path(parent, name)
        building.add(Layer(path=path, name=text(name), parent=parent, kind="model", type=TYPES[kind]))
        _add_model(reading, found, kind, path, depth + 1)


def _add_inputs(building: Building, held: Held, parent: str | None) -> dict[str, str]:
    """A layer for each input of the model's description; answers with their paths by name."""
    found: dict[str, str] = {}
    for name, shape in _features(building.source, held, 1):
        path = building.path(parent, name)
        building.add(
            Layer(path=path, name=text(name), parent=parent, kind="input", type=None, type_source="unknown", inputs=(),
                  output_shapes=None if shape is None else (shape,))
        )  # fmt: skip
        found[name] = path
    return found


def _features(source: Source, held: Held, which: int) -> list[tuple[str, Shape | None]]:
    """Names and shapes of the inputs (1) or outputs (10) of a model's description."""
    description = payload(held, 2)
    inner = grouped(message(source, description), MAX_FIELDS) if description is not None else {}
    found = []
    for one in payloads(inner, which):
        feature = grouped(message(source, one), MAX_FIELDS)
        found.append((string(source, feature, 1, MAX_TEXT), _shape(source, payload(feature, 3))))
    return found


def _shape(source: Source, kind: Field | None) -> Shape | None:
    """Sizes of a multi-array, or of an image as channels, height, width; None for other types."""
    held = grouped(message(source, kind), MAX_FIELDS) if kind is not None else {}
    array, image = payload(held, 5), payload(held, 4)
    if array is not None:
        sizes = integers(source, grouped(message(source, array), MAX_FIELDS), 1, MAX_AXES)
        return tuple(size if size > 0 else None for size in sizes) or None
    if image is not None:
        inner = grouped(message(source, image), MAX_FIELDS)
        channels = 1 if number(inner, 3) in _GRAY else 3
        return (channels, number(inner, 2) or None, number(inner, 1) or None)
    return None


_GRAY = frozenset({10, 40})
_METADATA = {1: "shortDescription", 2: "versionString", 3: "author", 4: "license"}
_MAX_ENTRIES = 100
_MAX_VALUE = 2000


def _described(source: Source, held: Held) -> dict[str, Any]:
    """What the metadata says in words, and whether the model may be updated on the device."""
    tags: dict[str, Any] = {"isUpdatable": True} if number(held, 10) else {}
    description = payload(held, 2)
    inner = grouped(message(source, description), MAX_FIELDS) if description is not None else {}
    metadata = payload(inner, 100)
    entries = grouped(message(source, metadata), MAX_FIELDS) if metadata is not None else {}
    for which, name in _METADATA.items():
        value = string(source, entries, which, _MAX_VALUE)
        if value:
            tags[name] = text(value)
    for one in payloads(entries, 100)[:_MAX_ENTRIES]:
        entry = grouped(message(source, one), MAX_FIELDS)
        tags[text(string(source, entry, 1, 200))] = text(string(source, entry, 2, _MAX_VALUE))
    return tags
