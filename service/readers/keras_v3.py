"""Keras 3 `.keras` models: a zip, or its unpacked folder, of configuration, metadata and weights.

Knows the member names. Configuration and weights become layers in `service.catalog`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from service.catalog.keras_config import Spec, parse_model
from service.catalog.keras_model import Parts, from_configuration, from_object_tree
from service.catalog.keras_pickles import dangers_of_config
from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile
from service.formats import Format, Upload
from service.language import Message, msg
from service.parsers.hdf5 import Hdf5, read_hdf5
from service.parsers.json_text import parse_object
from service.parsers.zip import is_zip, open_zip
from service.plain import output_tags, text
from service.source import Source, head
from service.tree import Danger, Model, ModelInfo

FORMAT = Format(
    id="keras_v3",
    framework="keras",
    title=msg("Keras 3 model (.keras)"),
    extensions=(".keras",),
    reads=msg(
        "Layers, graph, shapes and configuration; every weight's shape and type; optimizer variables. From headers."
    ),
    leaves=msg(
        "Weight values, unless statistics or a comparison of values ask for them; the vocabularies and other assets, "
        "which are listed by name."
    ),
    priority=30,
)

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
NPZ_WEIGHTS = "model.weights.npz"
_MEMBERS_KEPT = 1000
_FIRST_NAME = slice(30, 30 + len(METADATA))
"""Where a zip's first local header has its name: tells a damaged archive of ours from other zips."""


class Files(Protocol):
    """Named members to read: an archive or the files of an upload."""

    @property
    def names(self) -> tuple[str, ...]:
        """All member names."""
        ...

    def open(self, name: str) -> Source:
        """A member's bytes."""
        ...

    def read(self, name: str, limit: int) -> bytes:
        """A member's content up to `limit` bytes; LimitExceeded beyond."""
        ...


class _Folder:
    """The files of an upload, named below their common folder."""

    def __init__(self, parts: Mapping[str, Source]) -> None:
        normal = {name.replace("\\", "/").removeprefix("./"): source for name, source in parts.items()}
        config = min((name for name in normal if name.rsplit("/", 1)[-1] == CONFIG), key=len, default=CONFIG)
        prefix = config.removesuffix(CONFIG)
        self._parts = {name.removeprefix(prefix): source for name, source in normal.items() if name.startswith(prefix)}
        self.names = tuple(self._parts)

    def open(self, name: str) -> Source:
        return self._parts[name]

    def read(self, name: str, limit: int) -> bytes:
        source = self._parts[name]
        if source.size > limit:
            raise LimitExceeded("json_bytes", limit, msg("The file is too large to be a configuration."), member=name)
        return source.read_at(0, source.size)


def accept(upload: Upload) -> bool:
    """A zip, or files, with a configuration and Keras' metadata or weights beside it."""
    source = upload.single
    if source is None:
        return _is_model(_Folder(upload.parts).names)
    if not is_zip(source):
        return False
    try:
        return _is_model(open_zip(source).names)
    except InputError:
        return head(source, _FIRST_NAME.stop)[_FIRST_NAME].startswith((METADATA.encode(), CONFIG.encode()))


def find(upload: Upload) -> list[frozenset[str]]:
    """Unpacked models: a configuration with the metadata or weights in its folder, and all that is below."""
    names = {name.replace("\\", "/").removeprefix("./"): name for name in upload.parts}
    ordered = sorted(names)
    found: list[frozenset[str]] = []
    for name in names:
        if name.rpartition("/")[2] == CONFIG:
            lead = name.removesuffix(CONFIG)
            if any(f"{lead}{beside}" in names for beside in (METADATA, WEIGHTS, NPZ_WEIGHTS)):
                below = ordered[bisect_left(ordered, lead) : bisect_left(ordered, f"{lead}\U0010ffff")]
                found.append(frozenset(names[one] for one in below))
    return found


def _is_model(names: tuple[str, ...]) -> bool:
    return CONFIG in names and not {METADATA, WEIGHTS, NPZ_WEIGHTS}.isdisjoint(names)


def read(upload: Upload) -> Model:
    """The model in the archive or folder. Raises InputError."""
    source = upload.single
    if source is None:
        return _model(_Folder(upload.parts), (), upload.limits)
    archive = open_zip(source)
    return _model(archive, archive.anomalies, upload.limits)


def _model(files: Files, anomalies: tuple[Danger, ...], limits: Limits) -> Model:
    document = _json(files, CONFIG, limits)
    metadata = _json(files, METADATA, limits) if METADATA in files.names else {}
    spec = parse_model(document, limits.layers, CONFIG)
    weights = _weights(files)
    compiled = document.get("compile_config")
    parts = _parts(spec, weights, compiled if isinstance(compiled, dict) else None, limits)
    return Model(
        info=_info(spec, metadata, files.names),
        layers=parts.layers,
        states=parts.states,
        findings=parts.findings,
        complete=parts.complete,
        notes=(*parts.notes, *_npz_note(files)),
        security=(
            *dangers_of_config(document, CONFIG, limits),
            *anomalies,
            *_within(weights.dangers if weights is not None else ()),
        ),
    )


def _json(files: Files, name: str, limits: Limits) -> dict[str, Any]:
    if name not in files.names:
        raise MalformedFile(msg("The archive has no {name}.", name=name), member=name)
    data = files.read(name, limits.json_bytes)
    return parse_object(data, max_bytes=limits.json_bytes, max_depth=limits.json_depth, member=name)


def _weights(files: Files) -> Hdf5 | None:
    if WEIGHTS not in files.names:
        return None
    try:
        return read_hdf5(files.open(WEIGHTS))
    except InputError as error:
        raise error.within(WEIGHTS) from None


def _parts(spec: Spec, weights: Hdf5 | None, compiled: dict[str, Any] | None, limits: Limits) -> Parts:
    if weights is None:
        return from_configuration(spec, limits)
    return from_object_tree(spec, weights.root, compiled, WEIGHTS, limits)


def _npz_note(files: Files) -> tuple[Message, ...]:
    """Keras writes its npz weights as pickled dictionaries: nothing in them can be read without running them."""
    if NPZ_WEIGHTS not in files.names:
        return ()
    return (
        msg(
            "{npz_weights} holds pickled objects, which are never opened here. Save the model again with HDF5 weights.",
            npz_weights=NPZ_WEIGHTS,
        ),
    )


def _within(dangers: tuple[Danger, ...]) -> tuple[Danger, ...]:
    return tuple(msgspec.structs.replace(danger, member=WEIGHTS) for danger in dangers)


def _info(spec: Spec, metadata: dict[str, Any], names: tuple[str, ...]) -> ModelInfo:
    version, saved = metadata.get("keras_version"), metadata.get("date_saved")
    tags = {"date_saved": text(saved, 64)} if isinstance(saved, str) else {}
    return ModelInfo(
        format=FORMAT.id,
        framework="keras",
        name=spec.name,
        type=spec.class_name,
        format_version="3",
        framework_version=text(version, 64) if isinstance(version, str) else None,
        members=tuple(text(name, 200) for name in names[:_MEMBERS_KEPT]),
        tags={**tags, **output_tags(found.layer for found in spec.outputs)},
    )
