"""Core ML's `.mlmodel`: one protobuf with the description and, but for programs, the weights; values are never read."""

from __future__ import annotations

from service.catalog.coreml_model import describe_model, looks_like_model
from service.errors import InputError, MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.tree import Model, ModelInfo

FORMAT = Format(
    id="coreml",
    framework="coreml",
    title=msg("Core ML model (.mlmodel)"),
    extensions=(".mlmodel",),
    reads=msg(
        "neural networks, programs, pipelines and classical models: layers, graph, settings, every array's shape, type "
        "and quantisation; which weights may be updated on the device; custom layers"
    ),
    leaves=msg(
        "the weights' values, unless statistics or a comparison of values ask for them; text and vision models whose "
        "parameters Apple keeps in a private form"
    ),
    priority=72,
)


def accept(upload: Upload) -> bool:
    """A protobuf message with nothing but the fields of Core ML's Model."""
    source = upload.single
    try:
        return source is not None and looks_like_model(source)
    except InputError:
        return False


def read(upload: Upload) -> Model:
    """The model.

    Raises:
        InputError: The protobuf is broken, cut, or larger than the limits.
    """
    source = upload.single
    if source is None:
        raise MalformedFile(msg("A Core ML model of this kind is a single file."))
    info = ModelInfo(format=FORMAT.id, framework=FORMAT.framework)
    return describe_model(source, None, info, lambda _: None)
