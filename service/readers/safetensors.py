"""safetensors: one file, shards with or without their index, an index alone, and the folder of a Hugging Face model.

Reads headers only. What the files say of each other is held against one another in the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from service.catalog.hf_folder import Folder, Kind, folders, whole
from service.catalog.hf_model import Weights, assemble, read_documents
from service.catalog.hf_tensors import Described, describe_file
from service.catalog.shards import read_index
from service.errors import MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.parsers.safetensors import resembles
from service.tree import Model, ModelInfo

FORMAT = Format(
    id="safetensors",
    framework="torch, tensorflow, jax or mlx",
    title=msg("safetensors"),
    extensions=(".safetensors", ".safetensors.index.json"),
    reads=msg(
        "Every array's name, shape, element type and place, in one file, in shards with their index, or in a Hugging "
        "Face folder with its config.json, which are held against one another; the header or the index alone too."
    ),
    leaves=msg("the weights' values, unless statistics or a comparison of values ask for them"),
    priority=30,
)

_KIND = Kind(".safetensors", re.compile(r".+", re.DOTALL), resembles)


def accept(upload: Upload) -> bool:
    """A safetensors file, an index of such files, or files that together are one model."""
    if upload.single is not None and resembles(upload.single):
        return True
    return whole(upload, _KIND) is not None


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """Each index with its shards, each series of shards, each other file; with the documents in its folder."""
    return [folder.parts for folder in folders(upload, _KIND)]


def read(upload: Upload) -> Model:
    """The model inside.

    Raises:
        TruncatedFile: A file ends within its header.
        MalformedFile: A header or the index breaks the format's rules.
        LimitExceeded: It is more than one analysis may describe.
    """
    folder = whole(upload, _KIND) or _single(upload)
    index = None if folder.index is None else read_index(upload.parts[folder.index], upload.limits, folder.index)
    several = len(upload.parts) > 1
    files = {
        file: describe_file(upload.parts[part], upload.limits, part if several else None)
        for file, part in sorted(folder.weights.items())
    }
    return assemble(
        _info(list(files.values())), folder, index, _weights(files), read_documents(upload, folder), upload.limits
    )


def _single(upload: Upload) -> Folder:
    """The only file of an upload, whatever it is called."""
    if upload.single is None:
        raise MalformedFile(msg("These files together are no model that is read here."))
    name = next(iter(upload.parts))
    return Folder({name: name}, missing=(), unnamed=(), index=None, documents={})


def _weights(files: Mapping[str, Described]) -> Weights:
    total = sum(one.bytes for one in files.values())
    truths = sum(one.bytes or 0 for file in files.values() for one in file.arrays if one.dtype == "bool")
    return Weights(
        arrays=[array for one in files.values() for array in one.arrays],
        held={file: one.names for file, one in files.items()},
        sizes=(total, total - truths + truths // 8),  # some tools count a truth value as an eighth of a byte
        findings=[finding for one in files.values() for finding in one.findings],
        notes=[note for one in files.values() for note in one.notes],
        complete=all(one.complete for one in files.values()),
    )


def _info(files: Sequence[Described]) -> ModelInfo:
    frameworks = {one.framework for one in files} - {"unknown"}
    metadata = {key: value for one in reversed(files) for key, value in one.metadata.items()}
    return ModelInfo(
        format=FORMAT.id,
        framework=frameworks.pop() if len(frameworks) == 1 else "unknown",
        name=metadata.get("modelspec.title"),
        type=metadata.get("modelspec.architecture"),
        tags=dict(metadata),
    )
