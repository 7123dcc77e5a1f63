"""Core ML's models that are no networks: linear models, support vectors, trees, scalers; knows their fields.

What they hold are numbers that were fitted, but no weights of layers: each model is one layer of kind custom, its
arrays are told with the number of values that are stored.

Source: mlmodel/format/*.proto of coremltools.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service.catalog.coreml_building import MAX_FIELDS, MAX_TEXT, Building
from service.language import msg
from service.parsers.protobuf import BYTES, FIXED32, FIXED64, VARINT, Field, message, packed
from service.parsers.protobuf_message import Held, grouped, number, payload, payloads, string
from service.plain import text
from service.tree import Danger, Layer, Location, Weight

_DOUBLES, _FLOATS = 8, 4

_ARRAYS: dict[str, tuple[tuple[tuple[int, ...], str, int], ...]] = {
    "glmRegressor": (((1, 1), "weights", _DOUBLES), ((2,), "offset", _DOUBLES)),
    "glmClassifier": (((1, 1), "weights", _DOUBLES), ((2,), "offset", _DOUBLES)),
    "supportVectorRegressor": (
        ((3, 1, 1), "denseSupportVectors", _DOUBLES), ((2, 1, 1, 2), "sparseSupportVectors", _DOUBLES),
        ((4, 1), "coefficients", _DOUBLES), ((5,), "rho", _DOUBLES),
    ),
    "supportVectorClassifier": (
        ((4, 1, 1), "denseSupportVectors", _DOUBLES), ((3, 1, 1, 2), "sparseSupportVectors", _DOUBLES),
        ((5, 1), "coefficients", _DOUBLES), ((6,), "rho", _DOUBLES), ((7,), "probA", _DOUBLES),
        ((8,), "probB", _DOUBLES),
    ),
    "treeEnsembleRegressor": (
        ((1, 1, 11), "branchFeatureValue", _DOUBLES), ((1, 1, 20, 2), "evaluationValue", _DOUBLES),
        ((1, 3), "basePredictionValue", _DOUBLES),
    ),
    "treeEnsembleClassifier": (
        ((1, 1, 11), "branchFeatureValue", _DOUBLES), ((1, 1, 20, 2), "evaluationValue", _DOUBLES),
        ((1, 3), "basePredictionValue", _DOUBLES),
    ),
    "bayesianProbitRegressor": (
        ((2, 1), "bias/mean", _DOUBLES), ((2, 2), "bias/precision", _DOUBLES),
        ((3, 2, 2, 1), "features/mean", _DOUBLES), ((3, 2, 2, 2), "features/precision", _DOUBLES),
    ),
    "kNearestNeighborsClassifier": (((1, 2, 1), "floatSamples", _FLOATS),),
    "itemSimilarityRecommender": (((1, 2, 2), "similarityScore", _DOUBLES), ((1, 3), "itemScoreAdjustment", _DOUBLES)),
    "scaler": (((1,), "shiftValue", _DOUBLES), ((2,), "scaleValue", _DOUBLES)),
    "imputer": (((1,), "imputedDoubleValue", _DOUBLES), ((4, 1), "imputedDoubleArray", _DOUBLES)),
}  # fmt: skip
"""Per type: the fields that lead to each array, its name, and bytes per value. Default values are not stored."""

_PREPROCESSING = frozenset(
    ("scaler", "imputer", "oneHotEncoder", "featureVectorizer", "dictVectorizer", "categoricalMapping", "normalizer",
     "arrayFeatureExtractor", "soundAnalysisPreprocessing")
)  # fmt: skip
_OPAQUE = {"textClassifier": 100, "wordTagger": 100, "gazetteer": 100, "wordEmbedding": 100}
"""Types whose parameters are bytes of a private form, and their field."""


def add_other(building: Building, kind: str, where: Field, path: str, inputs: tuple[str, ...]) -> None:
    """Add the model in `where`, which is of the type `kind`, as one layer at `path`."""
    held = grouped(message(building.source, where), MAX_FIELDS)
    weights = tuple(_arrays(building, kind, where)) + tuple(_opaque(kind, held))
    building.add(
        Layer(
            path=path, name=path.rpartition("/")[2], parent=path.rpartition("/")[0] or None, type=kind,
            kind="preprocessing" if kind in _PREPROCESSING else "custom", config=_config(building, kind, held),
            inputs=inputs, weights=weights, notes=_notes(kind),
        )
    )  # fmt: skip
    _judge(building, kind, held, path)


def _arrays(building: Building, kind: str, where: Field) -> Iterator[Weight]:
    for fields, name, size in _ARRAYS.get(kind, ()):
        length, place = _stored(building, where, fields, size)
        if length:
            count = length // size
            yield Weight(
                name=name, role="parameter", shape=(count,), dtype="float64" if size == _DOUBLES else "float32",
                count=count, bytes=length, group="unknown", trainable=None, trainable_source="unknown",
                location=place,
            )  # fmt: skip


def _stored(building: Building, where: Field, fields: tuple[int, ...], size: int) -> tuple[int, Location | None]:
    """Bytes of all values that `fields` lead to, and their place if they lie in one piece."""
    holders = [where]
    for which in fields[:-1]:
        holders = [
            inner
            for one in holders
            for inner in message(building.source, one)
            if inner.number == which and inner.wire == BYTES
        ]
    values = [
        one
        for holder in holders
        for one in message(building.source, holder)
        if one.number == fields[-1] and one.wire in (BYTES, FIXED64, FIXED32)
    ]
    length = sum(one.length // size * size for one in values)
    alone = len(values) == 1 and values[0].wire == BYTES and values[0].length == length
    place = Location(member=building.member, offset=values[0].offset, length=length) if alone else None
    return length, place


def _opaque(kind: str, held: Held) -> Iterator[Weight]:
    field = payload(held, _OPAQUE.get(kind, 0))
    if field is not None and field.length:
        yield Weight(
            name="modelParameterData", role="parameter", shape=None, dtype=None, count=None, bytes=field.length,
            group="unknown", trainable=None, trainable_source="unknown",
        )  # fmt: skip


def _config(building: Building, kind: str, held: Held) -> dict[str, Any]:
    if kind.startswith("treeEnsemble"):
        return _trees(building, held)
    if kind == "customModel":
        names = {10: "className", 40: "description"}
        return {name: text(string(building.source, held, which, MAX_TEXT)) for which, name in names.items()}
    if kind == "kNearestNeighborsClassifier":
        index = payload(held, 1)
        inner = grouped(message(building.source, index), MAX_FIELDS) if index is not None else {}
        return {"numberOfDimensions": number(inner, 1), "samples": len(payloads(inner, 2))}
    if kind == "supportVectorClassifier":
        counts = [value for one in held.get(2, []) for value in packed(building.source, one, 10_000)]
        return {"numberOfSupportVectorsPerClass": counts[:1000]}
    return {}


def _trees(building: Building, held: Held) -> dict[str, Any]:
    """Nodes, leaves and trees are counted: trees are told by the numbers that the nodes give."""
    inner = payload(held, 1)
    nodes = leaves = outputs = 0
    trees: set[int] = set()
    for one in message(building.source, inner) if inner is not None else ():
        if one.number == 2 and one.wire == VARINT:
            outputs = one.value
        if one.number != 1 or one.wire != BYTES:
            continue
        nodes += 1
        tree = 0
        for part in message(building.source, one):
            tree = part.value if part.number == 1 else tree
            leaves += part.number == 3 and part.value == _LEAF
        trees.add(tree)
    return {"trees": len(trees), "nodes": nodes, "leaves": leaves, "numPredictionDimensions": outputs}


_LEAF = 6


def _notes(kind: str) -> tuple[Any, ...]:
    if kind in _OPAQUE:
        return (
            msg("The parameters of this model are in a form that Apple does not publish: only their bytes are told."),
        )
    if kind in ("visionFeaturePrint", "audioFeaturePrint"):
        return (msg("The network behind this model is part of Apple's systems and not in the file."),)
    if kind.startswith("treeEnsemble"):
        return (
            msg("The values are thresholds of branches and values of leaves; a value of 0 is not always stored and "
                "then not counted."),
        )  # fmt: skip
    return ()


def _judge(building: Building, kind: str, held: Held, path: str) -> None:
    if kind == "customModel":
        name = string(building.source, held, 10, MAX_TEXT)
        building.dangers.append(
            Danger(
                code="coreml_custom_model", severity="medium", path=path, member=building.member,
                detail=text(name, 500),
                what=msg(
                    "The model needs code that the file does not hold: the application's class {name}. Whoever runs it "
                    "decides what that code does.", name=text(name, 200),
                ),
                reference="https://developer.apple.com/documentation/coreml/mlcustommodel",
            )
        )  # fmt: skip
    if kind == "linkedModel":
        building.dangers.append(
            Danger(
                code="coreml_linked_model", severity="medium", path=path, member=building.member,
                what=msg("The model is only a link: loading it opens another model file that it names."),
            )
        )  # fmt: skip
