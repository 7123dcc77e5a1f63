"""torch.export archives (.pt2): the program as JSON, weights by name; current and 2.1 to 2.7 layouts; never a loader.

Current: `models/<name>.json` with `data/weights` and `data/constants`. Older: `serialized_exported_program.json`
with the weights in `serialized_state_dict.pt` (or `.json`, which is the same thing), itself a torch.save zip.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from service.catalog.torch_dangers import dangers_of
from service.catalog.torch_dtypes import EXPORT_TYPES
from service.catalog.torch_graph import shape_of
from service.catalog.torch_model import Description
from service.catalog.torch_program import describe_program, meta_of, specs_of
from service.catalog.torch_report import build
from service.catalog.torch_storage import Storage, persistent
from service.catalog.torch_tensors import Tensor, tensor_of, view
from service.catalog.torch_values import key_text, mapping_of
from service.catalog.torch_weights import Place, Weigher
from service.config import Limits
from service.errors import InputError, MalformedFile
from service.formats import Format, Upload
from service.language import Message, msg
from service.parsers.json_text import parse_object
from service.parsers.pickle_opcodes import run
from service.parsers.zip import ZipArchive, is_zip, open_zip
from service.plain import text
from service.source import head
from service.tree import Danger, Model, ModelInfo, Shape

FORMAT = Format(
    id="torch_export",
    framework="torch",
    title=msg("PyTorch exported program (torch.export)"),
    extensions=(".pt2",),
    reads=msg("layers, classes, parameters and buffers, requires_grad, ties, output shapes and edges from the graph"),
    leaves=msg(
        "the weights' values, unless statistics or a comparison of values ask for them; compiled code (AOTInductor), "
        "which is only listed"
    ),
    priority=40,
)

_PROGRAM = re.compile(r"(?P<prefix>(?:[^/]+/)?)models/(?P<name>[^/]+)\.json\Z")
_OLD_PROGRAM = "serialized_exported_program.json"
_FIRST_ENTRY = re.compile(rb"[^/]+/(?:data/(?:weights|constants)/|archive_format|models/)|serialized_exported_program")
_NATIVE = re.compile(r".*\.(?:so|o|dylib|dll|pyd|cubin|spv|metallib)\Z")
_MAX_PICKLE = 64 << 20
_MAX_SMALL = 256
_ELF = b"\x7fELF"


def accept(upload: Upload) -> bool:
    """A zip with an exported program in JSON; or one too broken to open that starts as they do."""
    source = upload.single
    if source is None or not is_zip(source):
        return False
    try:
        archive = open_zip(source)
    except InputError:
        return bool(_FIRST_ENTRY.match(head(source, 1024)[30:]))
    return _OLD_PROGRAM in archive or any(True for _ in _programs(archive))


def _programs(archive: ZipArchive) -> Iterator[tuple[str, str, str]]:
    """(member, prefix, model name) of every program of the current layout, where the archive says it is one."""
    for name in archive.names:
        found = _PROGRAM.match(name)
        if found and f"{found['prefix']}archive_format" in archive:
            yield name, found["prefix"], found["name"]


@dataclass(slots=True)
class _Archive:
    """The archive, what its pickles and libraries could do, and where the weights of inner archives lie."""

    zip: ZipArchive
    limits: Limits
    dangers: list[Danger]
    places: dict[str, Place]

    def json(self, member: str) -> dict[str, Any]:
        """A JSON member as an object."""
        data = self.zip.read(member, self.limits.json_bytes)
        return parse_object(
            data, max_bytes=self.limits.json_bytes, max_depth=self.limits.json_depth, member=text(member)
        )

    def saved(self, member: str) -> Any:
        """The object in an inner torch.save file; its storages get keys of their own. None if it is not one."""
        inner = open_zip(self.zip.open(member))
        name = next((name for name in inner.names if name.endswith("data.pkl")), None)
        if name is None:
            return None
        prefix = name.removesuffix("data.pkl")
        full = f"{member}!/{name}"

        def hook(persistent_id: Any, offset: int) -> Any:
            found = persistent(persistent_id, offset)
            if not isinstance(found, Storage):
                return found
            held = inner.members.get(f"{prefix}data/{found.key}")
            key = f"{member}!/{prefix}data/{found.key}"
            if held is not None:
                self.places[key] = Place(text(key), 0, held.size)
            return replace(found, key=key)

        pickle = inner.open(name)
        trace = run(pickle, 0, self.limits, hook)
        self.dangers.extend(dangers_of(trace, pickle, self.limits, text(full)))
        if trace.broken is not None:
            raise trace.broken.within(full)
        return trace.value


def read(upload: Upload) -> Model:
    """The program inside.

    Raises:
        MalformedJson: The program is not JSON.
        MalformedFile: It has no graph, or describes weights that cannot be.
    """
    source = upload.single
    if source is None:
        raise MalformedFile(msg("An exported program is a single file."))
    found = open_zip(source)
    archive = _Archive(found, upload.limits, [*found.anomalies], {})
    archive.dangers.extend(_native(found))
    programs = list(_programs(found))
    info = ModelInfo(
        format=FORMAT.id, framework=FORMAT.framework, members=tuple(text(name, 500) for name in found.names[:1000])
    )
    weigher = Weigher(lambda storage: archive.places.get(str(storage.key)), upload.limits)
    versions: dict[str, Any] = {}

    def look() -> tuple[Description, list[Danger]]:
        described = _current(archive, programs, weigher, versions) if programs else _old(archive, weigher, versions)
        return described, [*archive.dangers, *weigher.dangers]

    model = build(info, None, archive.dangers, look)
    known = msgspec.structs.replace(
        model.info, format_version=versions.get("schema"), framework_version=versions.get("torch")
    )
    return msgspec.structs.replace(model, info=known)


# The current layout


def _current(
    archive: _Archive, programs: list[tuple[str, str, str]], weigher: Weigher, versions: dict[str, Any]
) -> Description:
    joined = Description()
    for member, prefix, name in programs:
        program = archive.json(member)
        versions.update(_versions(program))
        tensors = dict(_stored(archive, prefix, name, program))
        one = describe_program(program, tensors, weigher, archive.limits, name if len(programs) > 1 else "")
        joined.type = one.type if len(programs) == 1 else None
        joined.layers.extend(one.layers)
        joined.notes.extend(note for note in one.notes if note not in joined.notes)
        joined.tags.update({name: one.tags} if len(programs) > 1 else one.tags)
        joined.findings = one.findings
        _scan(archive, f"{prefix}data/sample_inputs/{name}.pt")
    return joined


def _versions(program: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    schema, version = program.get("schema_version"), program.get("torch_version")
    if isinstance(schema, dict):
        yield "schema", text(f"{schema.get('major')}.{schema.get('minor')}", 50)
    if isinstance(version, str):
        yield "torch", text(version, 50)


def _stored(archive: _Archive, prefix: str, name: str, program: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Full name -> tensor, from the two configurations that map names to raw members, or an inner torch.save file."""
    metas = {spec.name: meta_of(program, spec) for spec in specs_of(program)}
    for folder, what in (("weights", "weights"), ("constants", "constants")):
        config = f"{prefix}data/{folder}/{name}_{what}_config.json"
        saved = f"{prefix}data/{folder}/{name}.pt"
        if config in archive.zip:
            entries = archive.json(config).get("config")
            for full, entry in entries.items() if isinstance(entries, dict) else ():
                tensor = _entry(archive, f"{prefix}data/{folder}/", entry, metas.get(full))
                if tensor is not None:
                    yield full, tensor
        elif saved in archive.zip:
            yield from _of_saved(archive, saved, metas)


def _entry(archive: _Archive, folder: str, entry: Any, meta: Mapping[str, Any] | None) -> Tensor | None:
    """A weight from its payload's meta data; None for a custom object."""
    if not isinstance(entry, dict) or not isinstance(entry.get("path_name"), str):
        raise MalformedFile(msg("A weight of the program names no payload."), member=text(folder))
    member = f"{folder}{entry['path_name']}"
    if entry.get("use_pickle"):
        _scan(archive, member)
    stored = entry.get("tensor_meta") or meta
    if not isinstance(stored, dict):
        return None
    held = archive.zip.members.get(member)
    if held is not None:
        archive.places[member] = Place(text(member), 0, held.size)
    return _tensor(stored, Storage(member, "bytes", held.size if held is not None else None), meta)


def _tensor(stored: Mapping[str, Any], storage: Storage, meta: Mapping[str, Any] | None) -> Tensor:
    shape = _fixed(shape_of(stored))
    strides = shape_of({"sizes": stored.get("strides")})
    offset = stored.get("storage_offset")
    start = offset.get("as_int") if isinstance(offset, dict) else 0
    kind = stored.get("dtype")
    dtype = EXPORT_TYPES.get(kind) if isinstance(kind, int) else None
    flags = [held.get("requires_grad") for held in (meta, stored) if held]
    flag = next((flag for flag in flags if isinstance(flag, bool)), None)
    steps = strides if strides is not None and None not in strides else _contiguous(shape)
    try:
        return view(storage, start if start is not None else 0, shape, steps, requires_grad=flag, dtype=dtype)
    except ValueError as error:
        raise MalformedFile(
            msg("A weight's description cannot be: {error}.", error=Message(str(error))), member=text(str(storage.key))
        ) from None


def _fixed(shape: Shape | None) -> tuple[int, ...]:
    if shape is None or any(size is None for size in shape):
        raise MalformedFile(msg("A weight's sizes are not numbers."))
    return tuple(size for size in shape if size is not None)


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    steps: list[int] = []
    step = 1
    for size in reversed(shape):
        steps.append(step)
        step *= max(size, 1)
    return tuple(reversed(steps))


# The older layouts


def _old(archive: _Archive, weigher: Weigher, versions: dict[str, Any]) -> Description:
    program = archive.json(_OLD_PROGRAM)
    versions.update(_versions(program))
    metas = {spec.name: meta_of(program, spec) for spec in specs_of(program)}
    tensors: dict[str, Tensor] = {}
    for what in ("state_dict", "constants"):
        for ending in ("pt", "json"):
            member = f"serialized_{what}.{ending}"
            if member in archive.zip:
                tensors.update(_of_saved(archive, member, metas))
    for ending in ("pt", "json"):
        _scan(archive, f"serialized_example_inputs.{ending}")
    return describe_program(program, tensors, weigher, archive.limits)


def _of_saved(archive: _Archive, member: str, metas: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Tensor]]:
    """Weights of an inner torch.save file; who learns stands in the program."""
    if not is_zip(archive.zip.open(member)):
        return
    for key, value in (mapping_of(archive.saved(member)) or {}).items():
        tensor = tensor_of(value)
        if tensor is not None:
            name = key_text(key)
            flag = metas.get(name, {}).get("requires_grad")
            yield name, replace(tensor, requires_grad=flag if isinstance(flag, bool) else tensor.requires_grad)


# What could run


def _scan(archive: _Archive, member: str) -> None:
    """Note what a pickle beside the program would do when loaded; a damaged one is not needed."""
    if member not in archive.zip or archive.zip.members[member].size < 4 or not is_zip(archive.zip.open(member)):
        return
    try:
        archive.saved(member)
    except InputError as error:
        archive.dangers.append(
            Danger(
                code="pickle_broken",
                severity="medium",
                what=error.info.detail,
                member=text(member),
                offset=error.info.offset,
            )
        )


def _native(archive: ZipArchive) -> Iterator[Danger]:
    """Compiled code in the archive, which a loader would map into its process."""
    for name in archive.names:
        compiled = _NATIVE.match(name) is not None
        if not compiled and not name.endswith(".json") and archive.members[name].size > len(_ELF):
            compiled = archive.members[name].method == 0 and archive.open(name).read_at(0, 4) == _ELF
        if compiled:
            yield Danger(code="native_library", severity="high", member=text(name),
                         what=msg("The archive holds compiled code, which loading it would run."))  # fmt: skip
