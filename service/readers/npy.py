"""A single NumPy array (.npy): type, shape and size; of an array of objects what they hold, without making any."""

from __future__ import annotations

from service.catalog.numpy_arrays import Arrays, Npy, add_array
from service.catalog.numpy_model import Contents, model_of
from service.errors import MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.parsers.npy import MAGIC, read_npy
from service.readers.plain_pickle import broken_model, read_nested
from service.source import head
from service.tree import Model, ModelInfo

FORMAT = Format(
    id="npy",
    framework="numpy",
    title=msg("NumPy array (.npy)"),
    extensions=(".npy",),
    reads=msg(
        "Type, shape and order of one array, records by their fields; arrays in pickled objects, and their dangers."
    ),
    leaves=msg("The values, unless statistics or a comparison of values ask for them."),
    priority=32,
)


def accept(upload: Upload) -> bool:
    """A file that starts as an array does."""
    source = upload.single
    return source is not None and head(source, len(MAGIC)) == MAGIC


def read(upload: Upload) -> Model:
    """The array as a layer of one weight.

    Raises:
        TruncatedFile: The file ends within its header.
        MalformedFile: The header is not one that NumPy writes.
        UnsupportedFeature: A version or an element type that is not known.
    """
    source = upload.single
    if source is None:
        raise MalformedFile(msg("A NumPy array is a single file."))
    header = read_npy(source)
    arrays = Arrays()
    add_array(arrays, Npy("array", header, source.size, None, lambda: source), upload.limits)
    info = ModelInfo(format=FORMAT.id, framework=FORMAT.framework, format_version=header.version)
    contents = Contents(arrays.stored, arrays.pickles, arrays.findings, [], arrays.notes, arrays.complete)
    for made in arrays.pickles:
        if made.broken is not None:
            return broken_model(info, made)
    return model_of(info, contents, upload.limits, read_nested(upload))
