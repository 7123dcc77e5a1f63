"""Core ML's `.mlpackage`: a folder with a manifest, the model's protobuf and its weights in blob storage.

Knows the manifest and how a program names its weights. Compiled models (`.mlmodelc`) are recognised and refused.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from posixpath import dirname, join, normpath
from typing import Any

import msgspec

from service.catalog.coreml_constants import File
from service.catalog.coreml_model import describe_model, looks_like_model
from service.errors import InputError, LimitExceeded, MalformedFile, UnsupportedFeature
from service.formats import Format, Upload
from service.language import msg
from service.parsers.json_text import parse_object
from service.plain import text
from service.source import Source
from service.tree import Danger, Model, ModelInfo

FORMAT = Format(
    id="coreml_package",
    framework="coreml",
    title=msg("Core ML package (.mlpackage)"),
    extensions=(".mlpackage",),
    reads=msg(
        "programs with their weights in blob storage, and all that a .mlmodel may hold: operations, graph, settings, "
        "every array's shape, type and compression, checked against the weight file"
    ),
    leaves=msg(
        "the weights' values, unless statistics or a comparison of values ask for them; compiled models (.mlmodelc), "
        "whose form Apple does not publish"
    ),
    priority=35,
)

_MANIFEST = "Manifest.json"
_DATA = "Data"
_COMPILED = "coremldata.bin"
_MODEL_PATH = "@model_path/"
_MAX_MANIFEST = 1 << 20
_MEMBERS_KEPT = 1000
_MAX_ITEMS = 1000


def _normal(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """The files of each package, and of each compiled model, among the parts."""
    names = {_normal(name): name for name in upload.parts}
    ordered = sorted(names)
    found = []
    for normal in ordered:
        root, _, last = normal.rpartition("/")
        lead = f"{root}/" if root else ""
        if last == _MANIFEST:
            own = _below(ordered, f"{lead}{_DATA}/")
            if own:
                found.append(frozenset(names[other] for other in (normal, *own)))
        elif last == _COMPILED and (f"{lead}metadata.json" in names or f"{lead}model.mil" in names):
            found.append(frozenset(names[other] for other in _below(ordered, lead)))
    return tuple(found)


def _below(ordered: Sequence[str], lead: str) -> Sequence[str]:
    """Those of the sorted names that begin with `lead`."""
    return ordered[bisect_left(ordered, lead) : bisect_left(ordered, f"{lead}\U0010ffff")]


def accept(upload: Upload) -> bool:
    """Parts that are one package or one compiled model, or a program's protobuf with its weights beside it."""
    if upload.single is not None:
        return False
    if any(len(names) == len(upload.parts) for names in find(upload)):
        return True
    return _loose(upload) is not None


def _loose(upload: Upload) -> str | None:
    """The protobuf of files that were sent without their manifest: one model, and weights in blob storage."""
    models = []
    for name, source in upload.parts.items():
        last = _normal(name).rpartition("/")[2]
        if last.endswith(".mlmodel") and _is_model(source):
            models.append(name)
        elif not last.endswith((".bin", ".json")):
            return None
    return models[0] if len(models) == 1 else None


def _is_model(source: Source) -> bool:
    try:
        return looks_like_model(source)
    except InputError:
        return False


def read(upload: Upload) -> Model:
    """The model in the package.

    Raises:
        UnsupportedFeature: A compiled model.
        MalformedFile: The manifest names no model, or one that is not there.
    """
    parts = {_normal(name): (name, source) for name, source in upload.parts.items()}
    if any(name.rpartition("/")[2] == _COMPILED for name in parts):
        raise UnsupportedFeature(
            msg("This is a compiled Core ML model, whose form Apple does not publish."),
            hint=msg("Send the .mlmodel or .mlpackage that it was compiled from."),
        )
    manifest = next((name for name in parts if name.rpartition("/")[2] == _MANIFEST), None)
    dangers: list[Danger] = []
    if manifest is None:
        loose = _loose(upload)
        if loose is None:
            raise MalformedFile(msg("The package has no {name}.", name=_MANIFEST), member=_MANIFEST)
        return _model(parts, _normal(loose), dangers, None)
    document = _manifest(*parts[manifest], upload)
    target = _root(document, manifest, dangers)
    version = document.get("fileFormatVersion")
    return _model(parts, target, dangers, version if isinstance(version, str) else None)


def _manifest(name: str, source: Source, upload: Upload) -> dict[str, Any]:
    if source.size > _MAX_MANIFEST:
        raise LimitExceeded("json_bytes", _MAX_MANIFEST, msg("The manifest is too large to be one."), member=name)
    data = source.read_at(0, source.size)
    return parse_object(data, max_bytes=_MAX_MANIFEST, max_depth=upload.limits.json_depth, member=name)


def _root(document: dict[str, Any], manifest: str, dangers: list[Danger]) -> str:
    """The name of the part with the model; paths that lead out of the package are told and never followed."""
    items = document.get("itemInfoEntries")
    items = items if isinstance(items, dict) else {}
    for item in list(items.values())[:_MAX_ITEMS]:
        path = item.get("path") if isinstance(item, dict) else None
        if isinstance(path, str) and _inside(path) is None:
            dangers.append(_outside(path, manifest))
    wanted = document.get("rootModelIdentifier")
    root = items.get(wanted) if isinstance(wanted, str) else None
    path = root.get("path") if isinstance(root, dict) else None
    if not isinstance(path, str):
        raise MalformedFile(msg("The manifest does not say which of its items is the model."), member=manifest)
    inner = _inside(path)
    if inner is None:
        raise MalformedFile(
            msg("The manifest says that the model is {path}, outside the package.", path=text(path, 200)),
            member=manifest,
        )
    return normpath(join(dirname(manifest), _DATA, inner))


def _inside(path: str) -> str | None:
    """The path as it is below its folder; None if it is absolute or leads out of it."""
    plain = path.replace("\\", "/")
    if plain.startswith("/") or ":" in plain.split("/")[0] or "\x00" in plain or ".." in plain.split("/"):
        return None
    return normpath(plain)


def _outside(path: str, member: str) -> Danger:
    return Danger(
        code="path_outside", severity="high", member=member, detail=text(path, 500),
        what=msg("A path leads out of the package: {path}. It was not followed.", path=text(path, 200)),
    )  # fmt: skip


def _model(
    parts: Mapping[str, tuple[str, Source]], target: str, dangers: list[Danger], version: str | None
) -> Model:
    if target not in parts:
        raise MalformedFile(
            msg("The manifest says that the model is {path}, which is not among the files.", path=text(target, 200)),
            member=text(target, 500),
        )
    name, source = parts[target]

    def open_file(wanted: str) -> File | None:
        below = _inside(wanted.removeprefix(_MODEL_PATH))
        if below is None:
            dangers.append(_outside(wanted, name))
            return None
        return parts.get(normpath(join(dirname(target), below)))

    info = ModelInfo(
        format=FORMAT.id,
        framework=FORMAT.framework,
        members=tuple(text(part, 500) for part, _ in list(parts.values())[:_MEMBERS_KEPT]),
    )
    try:
        model = describe_model(source, name, info, open_file)
    except InputError as error:
        raise (error if error.info.member is not None else error.within(name)) from None
    tags = model.info.tags if version is None else {**model.info.tags, "package_version": text(version, 100)}
    return msgspec.structs.replace(
        model, security=(*model.security, *dangers), info=msgspec.structs.replace(model.info, tags=tags)
    )
