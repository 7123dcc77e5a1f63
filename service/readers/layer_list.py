"""Recognises the layer-list spec (docs/spec.md); must not know any layer.

The document names a framework and lists layers by `type`; everything else is the builder's to judge.
"""

from __future__ import annotations

from typing import Any, Literal, cast

from service.catalog.keras_pickles import dangers_of_config
from service.errors import InvalidSpec
from service.formats import BuildRequest, Format, Upload
from service.language import msg
from service.readers import spec_json

FORMAT = Format(
    id="layer_list",
    framework="keras or torch",
    title=msg("Layer list (JSON)"),
    extensions=(".json",),
    reads=msg(
        "A list of the framework's own layers with its own arguments, as a chain or a graph; see docs/spec.md. "
        "Weights and output shapes come from the framework, without allocating any."
    ),
    priority=41,
)

FRAMEWORKS = ("keras", "torch")


def accept(upload: Upload) -> bool:
    """Whether the content is a layer list, or begins like one and breaks off."""
    source = upload.single
    if source is None or not spec_json.begins_like_json(upload):
        return False
    if not spec_json.mentions(source, (b"layers", b"framework"), upload.limits.spec_bytes):
        return False
    document = spec_json.peek(upload)
    if document is None:
        return spec_json.hints(upload, b"layers", b"type") or spec_json.hints(upload, b"framework", b"input_shape")
    return isinstance(document, dict) and _resembles(document)


def read(upload: Upload) -> BuildRequest:
    """The spec for the builder of its framework. Raises MalformedJson, LimitExceeded or InvalidSpec."""
    document = spec_json.load(upload)
    if not isinstance(document, dict):
        raise InvalidSpec(msg("A layer list is a JSON object."))
    framework = document.get("framework")
    if framework not in FRAMEWORKS:
        wanted = " or ".join(f'"{name}"' for name in FRAMEWORKS)
        raise InvalidSpec(msg("framework must be {wanted}.", wanted=wanted), pointer="framework")
    dangers = dangers_of_config(document, None, upload.limits) if framework == "keras" else ()
    kind = cast("Literal['keras', 'torch']", framework)
    return BuildRequest(kind=kind, dialect="layer_list", spec=document, dangers=dangers)


def _resembles(document: dict[str, Any]) -> bool:
    layers = document.get("layers")
    if isinstance(document.get("framework"), str) and ("layers" in document or "input_shape" in document):
        return True
    return isinstance(layers, list) and any(isinstance(item, dict) and "type" in item for item in layers)
