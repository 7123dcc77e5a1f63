"""TensorFlow SavedModels: `saved_model.pb` with its variables, metadata and assets, or any part of them.

Knows the files' names and which of them says what; messages are read in `parsers`, layers made in `catalog`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from service.catalog.tf_bundle import Data, Shard, is_data_file, shards_of
from service.catalog.tf_files import base, folder, normal, normal_name
from service.catalog.tf_saved import Described, SavedFiles, describe_saved
from service.catalog.tf_signatures import tags_of
from service.errors import InputError, MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.parsers.protobuf import Blocks
from service.parsers.tensorflow_bundle import read_index
from service.parsers.tensorflow_graph import MetaGraph, looks_like_saved_model, saved_model
from service.parsers.tensorflow_objects import read_keras_metadata
from service.plain import text
from service.source import Source
from service.tree import Model, ModelInfo

FORMAT = Format(
    id="tf_savedmodel",
    framework="tensorflow",
    title=msg("TensorFlow SavedModel"),
    extensions=(".pb",),
    reads=msg(
        "Models of Keras 2 and 3, plain modules and graphs of TF 1: layers with classes and configuration where they "
        "are recorded, every variable's shape and type held against the checkpoint, optimizer slots apart, "
        "signatures, and operations that touch files or run code, in the graph and in all functions."
    ),
    leaves=msg(
        "Weight values, unless statistics or a comparison of values ask for them. What functions compute. Files of "
        "assets, which are listed by name. SavedModels written as text."
    ),
    priority=25,
)

_MAIN, _METADATA, _FINGERPRINT, _INDEX = "saved_model.pb", "keras_metadata.pb", "fingerprint.pb", "variables.index"
_FOLDERS = ("variables/", "assets/", "assets.extra/")
_DATA = "variables."
_MAX_MEMBERS = 1000


class _Parts(NamedTuple):
    """The files of one SavedModel by what they are; names as they were uploaded."""

    main: tuple[str, Source]
    metadata: tuple[str, Source] | None
    table: tuple[str, Source] | None
    shards: dict[int, Shard]


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """Each `saved_model.pb` with what belongs to it below and beside it."""
    names = {normal_name(name): name for name in upload.parts}
    ordered = sorted(names)
    found: list[frozenset[str]] = []
    for name in names:
        if base(name) == _MAIN:
            here = folder(name)
            below = (_below(ordered, f"{here}{lead}") for lead in (*_FOLDERS, _DATA))
            own = [one for one in chain.from_iterable(below) if _belongs(one, here)]
            beside = [f"{here}{one}" for one in (_MAIN, _METADATA, _FINGERPRINT, _INDEX)]
            found.append(frozenset(names[one] for one in (*own, *beside) if one in names))
    return found


def _below(ordered: Sequence[str], lead: str) -> Sequence[str]:
    """Those of the sorted names that begin with `lead`."""
    return ordered[bisect_left(ordered, lead) : bisect_left(ordered, f"{lead}\U0010ffff")]


def _belongs(name: str, here: str) -> bool:
    """Whether a name that begins as one of the folders, or as a data file, is one."""
    rest = name[len(here) :]
    return rest.startswith(_FOLDERS) or is_data_file(rest)


def accept(upload: Upload) -> bool:
    """Whether the file, or one called `saved_model.pb`, begins as a SavedModel does."""
    if upload.single is not None:
        return looks_like_saved_model(Blocks(upload.single))
    main = _main(normal(upload.parts))
    return main is not None and looks_like_saved_model(Blocks(main[1]))


def _main(parts: Mapping[str, Source]) -> tuple[str, Source] | None:
    found = sorted((name for name in parts if base(name) == _MAIN), key=len)
    return (found[0], parts[found[0]]) if found else None


def read(upload: Upload) -> Model:
    """The model's layers. Raises InputError."""
    parts = _parts(upload)
    name, source = parts.main
    several = upload.single is None
    blocks = Blocks(source)
    try:
        version, graphs = saved_model(blocks)
        if not graphs:
            raise MalformedFile(msg("The SavedModel holds no graph."), offset=0)
        if version != 1:
            raise MalformedFile(msg("The SavedModel has schema version {version}; there is only 1.", version=version))
        found = describe_saved(blocks, graphs, _saved_files(parts, upload), upload.limits)
    except InputError as error:
        raise error.within(name) if several and error.info.member is None else error from None
    return Model(
        info=_info(upload, graphs, found),
        layers=found.layers,
        states=found.states,
        security=found.security,
        findings=found.findings,
        complete=found.complete,
        notes=found.notes,
    )


def _parts(upload: Upload) -> _Parts:
    if upload.single is not None:
        return _Parts(("", upload.single), None, None, {})
    parts = normal(upload.parts)
    main = _main(parts)
    if main is None:
        raise MalformedFile(msg("No saved_model.pb is among the files."))
    given = {normal_name(name): name for name in upload.parts}
    here = folder(main[0])
    index = next((one for one in (f"{here}variables/{_INDEX}", f"{here}{_INDEX}") if one in parts), None)
    metadata = f"{here}{_METADATA}"
    shards = shards_of(parts, index.removesuffix(".index")) if index is not None else {}
    return _Parts(
        main=(given[main[0]], main[1]),
        metadata=(given[metadata], parts[metadata]) if metadata in parts else None,
        table=(given[index], parts[index]) if index is not None else None,
        shards={number: Shard(given[one.member], one.source) for number, one in shards.items()},
    )


def _saved_files(parts: _Parts, upload: Upload) -> SavedFiles:
    data = None
    if parts.table is not None:
        name, source = parts.table
        try:
            data = Data(read_index(source, upload.limits), parts.shards)
        except InputError as error:
            raise error.within(name) from None
    metadata: dict[int, Any] = {}
    blocks = None
    if parts.metadata is not None:
        name, source = parts.metadata
        blocks = Blocks(source)
        try:
            metadata = read_keras_metadata(blocks, upload.limits)
        except InputError as error:
            raise error.within(name) from None
    return SavedFiles(data=data, metadata=metadata, metadata_source=blocks, main=parts.main[0] or None)


def _info(upload: Upload, graphs: Sequence[MetaGraph], found: Described) -> ModelInfo:
    version = graphs[0].version
    return ModelInfo(
        format=FORMAT.id,
        framework=found.framework,
        name=found.name,
        type=found.type,
        format_version="1",
        framework_version=text(version, 64) if version else None,
        members=tuple(text(name, 200) for name in list(upload.parts)[:_MAX_MEMBERS]) if upload.single is None else (),
        tags=tags_of(graphs),
    )
