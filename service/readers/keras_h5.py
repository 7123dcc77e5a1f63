"""Legacy Keras HDF5 files: whole models and weights alone, of Keras 0.x to 3 and tf.keras.

Knows their root attributes and groups. Configuration and names become layers in `service.catalog`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from service.catalog.keras_config import Spec, parse_model
from service.catalog.keras_model import from_names
from service.catalog.keras_pickles import dangers_of_config
from service.catalog.keras_stored import read_names
from service.config import Limits
from service.errors import MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.parsers.hdf5 import Group, Hdf5, peek_hdf5, read_hdf5
from service.parsers.hdf5_attributes import text_of
from service.parsers.hdf5_pages import find_hdf5
from service.parsers.json_text import parse_object
from service.plain import output_tags, text
from service.source import Source
from service.tree import Danger, Model, ModelInfo, Weight

FORMAT = Format(
    id="keras_h5",
    framework="keras",
    title=msg("Keras legacy HDF5 (model.h5)"),
    extensions=(".h5", ".hdf5", ".keras"),
    reads=msg(
        "Layers, graph and configuration; every weight's name, shape and type; optimizer variables. From headers."
    ),
    leaves=msg(
        "Weight values, unless statistics or a comparison of values ask for them; in files with weights alone: classes "
        "and trainability, which they do not record."
    ),
    priority=40,
)

_SAMPLE = 1024
"""Bytes compared to tell a shared layer, which legacy files store again, from one that only has the same names."""
_MARKS = frozenset({"model_config", "layer_names", "layer_names0", "nb_layers"})


def accept(upload: Upload) -> bool:
    """An HDF5 file whose root carries Keras' attributes; also one too broken to tell, to say where it breaks."""
    source = upload.single
    if source is None or find_hdf5(source) is None:
        return False
    peek = peek_hdf5(source)
    return peek is None or bool(_MARKS & peek.attributes) or "model_weights" in peek.children


def read(upload: Upload) -> Model:
    """The model in a legacy file. Raises InputError."""
    source = upload.single
    if source is None:
        raise MalformedFile(msg("A legacy Keras model is a single file."))
    return _model(read_hdf5(source), source, upload.limits)


def _model(file: Hdf5, source: Source, limits: Limits) -> Model:
    root = file.root
    document = _json(root, "model_config", limits)
    training = _json(root, "training_config", limits)
    spec = parse_model(document, limits.layers, "model_config") if document is not None else None
    weights = root.group("model_weights") or root
    parts = from_names(
        spec, read_names(weights, root.group("optimizer_weights")), training, limits, partial(_same_values, source)
    )
    return Model(
        info=_info(root, weights, spec),
        layers=parts.layers,
        states=parts.states,
        findings=parts.findings,
        complete=parts.complete,
        notes=parts.notes,
        security=(*_dangers(document, training, limits), *file.dangers),
    )


def _same_values(source: Source, first: Weight, second: Weight) -> bool:
    """Whether two weights of one shape hold the same values, as far as a sample from their beginning tells."""
    places = [
        weight.location.offset for weight in (first, second) if weight.location and weight.location.offset is not None
    ]
    size = min(_SAMPLE, first.bytes or 0)
    return len(places) == 2 and source.read_at(places[0], size) == source.read_at(places[1], size)


def _json(root: Group, name: str, limits: Limits) -> dict[str, Any] | None:
    value = root.attributes.get(name)
    if not isinstance(value, bytes):
        return None
    return parse_object(value, max_bytes=limits.json_bytes, max_depth=limits.json_depth, member=name)


def _dangers(document: dict[str, Any] | None, training: dict[str, Any] | None, limits: Limits) -> tuple[Danger, ...]:
    found: list[Danger] = []
    for name, value in (("model_config", document), ("training_config", training)):
        if value is not None:
            found.extend(dangers_of_config(value, name, limits))
    return tuple(found)


def _info(root: Group, weights: Group, spec: Spec | None) -> ModelInfo:
    version = text_of(root.attributes, "keras_version") or text_of(weights.attributes, "keras_version")
    backend = text_of(root.attributes, "backend") or text_of(weights.attributes, "backend")
    return ModelInfo(
        format=FORMAT.id,
        framework="keras",
        name=spec.name if spec is not None else None,
        type=spec.class_name if spec is not None else None,
        format_version="model" if spec is not None else "weights",
        framework_version=text(version, 64) if version else None,
        tags={
            **({"backend": text(backend, 64)} if backend else {}),
            **output_tags(found.layer for found in (spec.outputs if spec is not None else ())),
        },
    )
