"""TensorFlow checkpoints: bundles of TF 1 and TF 2 (`.index`, `.data-*`, `.meta`) and single files of V1.

Knows the files' names and what each is good for; tables and messages are read in `parsers`, layers made in `catalog`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from service.catalog.tf_bundle import Data, Shard, is_data_file, shards_of, tensor_keys
from service.catalog.tf_dangers import dangers_of_graph
from service.catalog.tf_files import base, folder, normal, normal_name
from service.catalog.tf_objects import full_names, slot_keys
from service.catalog.tf_ops import VARIABLES
from service.catalog.tf_training import Trained, describe
from service.catalog.tf_uses import roles_of
from service.errors import InputError, MalformedFile
from service.formats import Format, Upload
from service.language import Message, msg
from service.parsers.protobuf import Blocks, fields, message
from service.parsers.sstable import first, is_table
from service.parsers.tensorflow_bundle import (
    OBJECT_GRAPH,
    Bundle,
    looks_like_index,
    looks_like_single,
    read_index,
    read_single,
    read_string,
)
from service.parsers.tensorflow_graph import looks_like_meta_graph, read_meta_graph, variable_names
from service.parsers.tensorflow_nodes import read_graph
from service.parsers.tensorflow_objects import Object, read_trackable
from service.plain import text
from service.source import BytesSource, Source, head
from service.tree import Danger, Model, ModelInfo

FORMAT = Format(
    id="tf_checkpoint",
    framework="tensorflow",
    title=msg("TensorFlow checkpoint"),
    extensions=(".index", ".meta", ".data-00000-of-00001", ".ckpt"),
    reads=msg(
        "Every variable's name, shape, type and place, partitioned ones put together, optimizer slots and averages "
        "apart; which variables learn and what they are for, where a .meta file says so. From the index."
    ),
    leaves=msg(
        "Weight values, unless statistics or a comparison of values ask for them. Checksums of blocks. In files of V1, "
        "where the values lie: they are compressed with the table."
    ),
    priority=26,
)

_INDEX, _META, _STATE, _MAIN = ".index", ".meta", "checkpoint", "saved_model.pb"
_MAX_OBJECT_GRAPH = 64 << 20
_STEP = re.compile(r".*-(\d{1,18})")


class _Files(NamedTuple):
    """The files of one checkpoint: table, data files, graph; `prefix` is the checkpoint's name, `name` the table's."""

    prefix: str
    name: str | None
    table: Source
    shards: dict[int, Shard]
    meta: tuple[str, Source] | None


class _Graph(NamedTuple):
    """What a `.meta` file says: of variables by name which learn, their roles and order; dangers, version."""

    trainable: dict[str, bool]
    roles: dict[str, str]
    order: dict[str, int]
    dangers: tuple[Danger, ...]
    version: str | None


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """Each index outside SavedModels, with the data files, graph and state beside it."""
    names = {normal_name(name): name for name in upload.parts}
    found: list[frozenset[str]] = []
    data: dict[str, list[str]] = {}
    for name in names:
        if is_data_file(name):
            data.setdefault(name.rpartition(".data-")[0], []).append(name)
    for name in names:
        prefix = name.removesuffix(_INDEX)
        if not name.endswith(_INDEX) or _in_saved_model(name, names):
            continue
        beside = [f"{prefix}{_META}", f"{folder(name)}{_STATE}", *data.get(prefix, [])]
        found.append(frozenset(names[one] for one in (name, *beside) if one in names))
    for name in names:
        single = name.removesuffix(_META)
        if name.endswith(_META) and single in names and not single.endswith(_INDEX):
            found.append(frozenset(names[one] for one in (single, name, f"{folder(name)}{_STATE}") if one in names))
    return found


def _in_saved_model(name: str, names: Mapping[str, str]) -> bool:
    here = folder(name)
    return base(name) == "variables.index" and (
        f"{folder(here.rstrip('/'))}{_MAIN}" in names or f"{here}{_MAIN}" in names
    )


def accept(upload: Upload) -> bool:
    """A table whose first key is empty, or what begins like one and breaks off; with data files and a graph beside."""
    source = upload.single
    if source is not None:
        return _is_checkpoint(source)
    parts = normal(upload.parts)
    if any(base(name) == _MAIN for name in parts):
        return False
    return _table(parts) is not None


def _table(parts: Mapping[str, Source]) -> str | None:
    """The name of the index, or of the single file of V1, among files by normal name."""
    listed = sorted(parts, key=lambda name: (not name.endswith(_INDEX), name))
    likely = [name for name in listed if name.endswith(_INDEX) or f"{name}{_META}" in parts]
    return next((name for name in likely if _is_checkpoint(parts[name])), None)


def _is_checkpoint(source: Source) -> bool:
    start = head(source, 16)
    if not is_table(source):
        return looks_like_index(start) and _has_header(head(source, 64))
    try:
        found = first(source)
    except InputError:
        return looks_like_index(start) or looks_like_single(start)
    return found is not None and not found[0] and found[1][:1] in (b"\x08", b"\x0a")


def _has_header(start: bytes) -> bool:
    """Whether a file without a footer begins with a bundle's header: its version comes last."""
    return b"\x1a" in start[3 : 3 + start[2]]


def read(upload: Upload) -> Model:
    """The checkpoint's variables as layers and states. Raises InputError."""
    files = _files(upload)
    limits = upload.limits
    bundle = _bundle(files, upload)
    data = Data(bundle, files.shards)
    graph = _graph(files)
    objects = _objects(data, upload)
    names = full_names(objects)
    keys = tensor_keys(bundle)
    if graph is not None:
        order = graph.order
        keys.sort(key=lambda key: order.get(key, len(order)))
    variables = [
        data.variable(key, names.get(key) or _readable(key), graph.trainable.get(key) if graph is not None else None)
        for key in keys
    ]
    roles = graph.roles if graph is not None else {}
    found = describe(variables, limits, slots=slot_keys(objects), roles=roles)
    return Model(
        info=_info(upload, files, bundle, graph),
        layers=found.layers,
        states=found.states,
        security=graph.dangers if graph is not None else (),
        findings=tuple(data.findings()),
        complete=not data.missing,
        notes=_notes(found, data, graph),
    )


def _files(upload: Upload) -> _Files:
    if upload.single is not None:
        return _Files(base(normal_name(next(iter(upload.parts)))).removesuffix(_INDEX), None, upload.single, {}, None)
    parts = normal(upload.parts)
    index = _table(parts)
    if index is None:
        raise MalformedFile(msg("No index of a checkpoint is among the files."))
    prefix = index.removesuffix(_INDEX)
    given = {normal_name(name): name for name in reversed(upload.parts)}
    shards = {number: Shard(given[one.member], one.source) for number, one in shards_of(parts, prefix).items()}
    meta = f"{prefix}{_META}"
    return _Files(prefix, index, parts[index], shards, (given[meta], parts[meta]) if meta in parts else None)


def _bundle(files: _Files, upload: Upload) -> Bundle:
    try:
        found = first(files.table)
        single = found is not None and found[1][:1] == b"\x0a"
        return read_single(files.table, upload.limits) if single else read_index(files.table, upload.limits)
    except InputError as error:
        raise error.within(files.name) if files.name else error from None


def _graph(files: _Files) -> _Graph | None:
    """What the `.meta` file says, None where there is none or it is none."""
    if files.meta is None:
        return None
    name, source = files.meta
    blocks = Blocks(source)
    if not looks_like_meta_graph(blocks):
        return None
    try:
        meta = read_meta_graph(blocks, fields(blocks))
        if meta.graph is None:
            return None
        graph = read_graph(blocks, message(blocks, meta.graph))
        found = dangers_of_graph(blocks, graph, meta, name)
        every = variable_names(blocks, meta.collections.get("variables"))
        learn = variable_names(blocks, meta.collections.get("trainable_variables"))
    except InputError as error:
        raise error.within(name) from None
    known = bool(learn) or bool(every)
    whole = {one: told.whole for one, told in {**every, **learn}.items()}
    trainable = {whole[one]: one in learn for one in whole} if known else {}
    roles = {whole.get(one, one): role for one, role in roles_of(graph.nodes).items()}
    made = [whole.get(node.name, node.name) for node in graph.nodes if node.op in VARIABLES]
    order = {one: index for index, one in reversed(list(enumerate(made)))}
    return _Graph(trainable, roles, order, found, meta.version)


def _objects(data: Data, upload: Upload) -> tuple[Object, ...]:
    """The graph of objects of TF 2, which lies in a data file; none where that is not there or it is damaged."""
    stored = data.bundle.tensors.get(OBJECT_GRAPH)
    shard = data.shards.get(stored.shard) if stored is not None else None
    if stored is None or shard is None:
        return ()
    content = read_string(shard.source, stored, _MAX_OBJECT_GRAPH)
    if content is None:
        return ()
    try:
        return read_trackable(BytesSource(content, upload.meter), upload.limits)
    except InputError:
        return ()


def _readable(key: str) -> str:
    return key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")


def _notes(found: Trained, data: Data, graph: _Graph | None) -> tuple[Message, ...]:
    notes = list(found.notes if graph is not None else ())
    if (missing := data.note()) is not None:
        notes.append(missing)
    if data.bundle.shards is None:
        notes.append(
            msg("In this form of checkpoint the values are compressed with the table: where each lies is not told.")
        )
    return tuple(notes)


def _info(upload: Upload, files: _Files, bundle: Bundle, graph: _Graph | None) -> ModelInfo:
    step = _STEP.fullmatch(base(files.prefix))
    kind = "V1" if bundle.shards is None else "TF2" if OBJECT_GRAPH in bundle.tensors else "V2"
    return ModelInfo(
        format=FORMAT.id,
        framework=FORMAT.framework,
        name=text(base(files.prefix), 200) or None,
        format_version=kind,
        framework_version=text(graph.version, 64) if graph is not None and graph.version else None,
        members=tuple(text(name, 200) for name in upload.parts) if upload.single is None else (),
        tags={"step": int(step[1])} if step else {},
    )
