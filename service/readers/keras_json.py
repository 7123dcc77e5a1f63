"""Recognises the JSON that Keras writes of a model's architecture; must not know how a layer is built.

`model.to_json()` of Keras 1, 2, `tf.keras` and 3 is `{"class_name", "config", ...}`; `model.get_config()` is the inner
`config` alone; Keras 1 and 2.0 wrote a Sequential's config as the bare list of its layers.
"""

from __future__ import annotations

from typing import Any

from service.catalog.keras_pickles import dangers_of_config
from service.errors import InvalidSpec
from service.formats import BuildRequest, Format, Upload
from service.language import msg
from service.readers import spec_json

FORMAT = Format(
    id="keras_json",
    framework="keras",
    title=msg("Keras architecture JSON"),
    extensions=(".json",),
    reads=msg(
        "Sequential and functional models as model.to_json() or get_config() of Keras 1, 2 and 3 write them, nested "
        "and shared layers too: every layer's weights and shapes as Keras itself builds them, without allocating any."
    ),
    leaves=msg("Values of weights, which it does not hold. Custom layers and Lambdas are named, not built."),
    priority=40,
)


def accept(upload: Upload) -> bool:
    """Whether the content is a Keras architecture, or begins like one and breaks off."""
    source = upload.single
    if source is None or not spec_json.begins_like_json(upload):
        return False
    if not spec_json.mentions(source, (b"class_name",), upload.limits.spec_bytes):
        return False
    document = spec_json.peek(upload)
    if document is None:
        return spec_json.hints(upload, b"class_name", b"config") and not spec_json.hints(upload, b"modelTopology")
    return _envelope(document) is not None


def read(upload: Upload) -> BuildRequest:
    """The architecture for the Keras builder. Raises MalformedJson, LimitExceeded or InvalidSpec."""
    envelope = _envelope(spec_json.load(upload))
    if envelope is None:
        raise InvalidSpec(msg("This JSON is not the architecture of a Keras model."))
    dangers = dangers_of_config(envelope, None, upload.limits)
    return BuildRequest(kind="keras", dialect="keras_config", spec=envelope, dangers=dangers)


def _envelope(document: Any) -> dict[str, Any] | None:
    """`document` as `{"class_name", "config"}`; None if it is no Keras architecture."""
    if _is_layer_list(document):
        return {"class_name": "Sequential", "config": {"layers": document}}
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("class_name"), str) and isinstance(document.get("config"), dict | list):
        return document
    if not _is_layer_list(document.get("layers")):
        return None
    kind = "Functional" if "output_layers" in document else "Sequential"
    return {"class_name": kind, "config": document}


def _is_layer_list(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and isinstance(item.get("class_name"), str) for item in value)
    )
