"""TensorFlow Lite / LiteRT models (.tflite): one flatbuffer, with label files packed behind it or not."""

from __future__ import annotations

from service.catalog.tflite_model import describe
from service.errors import MalformedFile, UnsupportedFeature
from service.formats import Format, Upload
from service.language import msg
from service.parsers.flatbuffer import identifier
from service.parsers.tflite import MAGIC, OLD_MAGICS
from service.source import head
from service.tree import Model

FORMAT = Format(
    id="tflite",
    framework="tflite",
    title=msg("TensorFlow Lite / LiteRT model"),
    extensions=(".tflite", ".lite", ".task"),
    reads=msg(
        "operators with their options, weights by operator input, quantization, all subgraphs, variables, signatures, "
        "ties, where BatchNormalization was folded, metadata and the names of packed label files; each model of a "
        ".task bundle"
    ),
    leaves=msg(
        "the weights' values, unless statistics or a comparison of values ask for them; the options of custom "
        "operators; weights that lie in other files"
    ),
    priority=20,
)
_BUNDLE = b"LITERTLM"


def accept(upload: Upload) -> bool:
    """A flatbuffer that calls itself TFL3 or one of the first schemas; or a bundle of such for LiteRT-LM."""
    source = upload.single
    if source is None:
        return False
    start = head(source, 8)
    return identifier(start) in (MAGIC, *OLD_MAGICS) or start == _BUNDLE


def read(upload: Upload) -> Model:
    """The model inside.

    Raises:
        UnsupportedFeature: A schema before version 3.
        MalformedFile: The flatbuffer is broken; TruncatedFile where it ends too early.
    """
    source = upload.single
    if source is None:
        raise MalformedFile(msg("A TensorFlow Lite model is a single file."))
    start = head(source, 8)
    if start == _BUNDLE:
        raise UnsupportedFeature(
            msg("This is a LiteRT-LM bundle (.litertlm): a language model's parts in a container of its own."),
            hint=msg("Unpack it with LiteRT-LM's own tools and send the .tflite files that are in it."),
        )
    magic = identifier(start)
    if magic != MAGIC:
        raise UnsupportedFeature(
            msg("The model calls itself {magic}; TFL3 is read, which all converters since 2018 write.",
                magic=magic.decode("ascii", errors="replace")),
            hint=msg("Convert the original model again with a current converter."),
        )  # fmt: skip
    return describe(source, upload.limits, FORMAT.id)
