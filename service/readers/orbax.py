"""Orbax checkpoints: a folder with the tree of keys in JSON and the arrays beside it, in zarr or in an OCDBT database.

Knows the names of the files and which of them are one checkpoint. What the JSON says is read in
`service.catalog.orbax_arrays`; no array and no database is opened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.catalog.flax_collections import Found, describe_tree
from service.catalog.integrity import listed
from service.catalog.orbax_arrays import Node, Sizes, Zarr, tree_of, whole_names, written_shapes, zarr_of
from service.catalog.torch_dtypes import stored_bytes
from service.config import Limits
from service.errors import InputError, LimitExceeded
from service.formats import Format, Upload
from service.language import Message, msg
from service.parsers.json_text import parse_object
from service.plain import json_value, text
from service.source import Source, head
from service.tree import Finding, Model, ModelInfo, element_count

FORMAT = Format(
    id="orbax",
    framework="jax",
    title=msg("Orbax checkpoint (folder)"),
    extensions=("_METADATA", ".zarray", "manifest.ocdbt"),
    reads=msg(
        "The tree of keys, shapes and, with zarr, element types and sizes: from the JSON files; _METADATA alone is "
        "enough for the tree."
    ),
    leaves=msg(
        "What is inside an OCDBT database: element types, and the shapes that no JSON file tells; the arrays' values."
    ),
    priority=45,
)

TREE, STEP, SHARDING, WRITTEN = "_METADATA", "_CHECKPOINT_METADATA", "_sharding", "array_metadatas/"
_ZARR = (".zarray", "zarr.json")
_MANIFEST, _OLD = "manifest.ocdbt", "checkpoint"
_SNIFFED = 256
_MARK = b'"tree_metadata"'
_MEMBERS_KEPT = 1000
_MAX_DEPTH = 64
"""Most folders around a file that are looked at."""


@dataclass(slots=True)
class _Folder:
    """The files of one checkpoint by their names below it, and those of the folder around it."""

    root: str
    files: dict[str, Source]
    around: dict[str, Source]
    zarrs: dict[str, Zarr] = field(default_factory=dict)
    chunks: dict[str, int] = field(default_factory=dict)
    """Array -> number of its other files."""


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """Every folder with a tree, or with zarr arrays or a database that a step's metadata or an old index belongs to.

    A step that holds one of them belongs to it with all its files, one that holds several to none.
    """
    names = {_plain(name): name for name in upload.parts}
    roots = _roots(names, upload)
    steps = {_parent(root) for root in roots if _parent(root) + STEP in names and _parent(root) != root}
    held = Counter(_parent(root) for root in roots)
    several = {step for step in steps if held[step] > 1}
    owners = {**{root: root for root in roots}, **{_parent(root): root for root in roots
                                                   if _parent(root) in steps - several}}  # fmt: skip
    found: dict[str, set[str]] = {root: set() for root in roots}
    for plain, name in names.items():
        owner = next((owners[folder] for folder in _folders(plain) if folder in owners), None)
        if owner is not None:
            found[owner].add(name)
    return [frozenset(held) for held in found.values()]


def _roots(names: Mapping[str, str], upload: Upload) -> list[str]:
    """Folders that are checkpoints, as prefixes that are empty or end in `/`; none of them inside one with a tree."""
    trees = {_parent_of(name) for name in names if _last(name) == TREE and _is_tree(upload.parts[names[name]])}
    marked = {_parent_of(name) for name in names if _last(name) in (STEP, _OLD)}
    roots = set(trees)
    for name in names:
        folder = _parent_of(name)
        if _last(name) in _ZARR:
            folder = _parent(folder)
        elif _last(name) != _MANIFEST or _last(folder.rstrip("/")).startswith("ocdbt.process"):
            continue
        if folder in marked or _parent(folder) in marked:
            roots.add(folder)
    return sorted(root for root in roots if trees.isdisjoint(_folders(root.rstrip("/")) if root else ()))


def _folders(name: str) -> Iterator[str]:
    """The folders around a file, from the inmost, as prefixes; the last is empty. Of very many only the inmost."""
    end = len(name)
    for _ in range(_MAX_DEPTH):
        end = name.rfind("/", 0, end)
        if end < 0:
            break
        yield name[: end + 1]
    yield ""


def accept(upload: Upload) -> bool:
    """A tree of Orbax as JSON, or files that are all of one checkpoint."""
    source = upload.single
    if source is not None:
        return _is_tree(source)
    sets = find(upload)
    return len(sets) == 1 and len(sets[0]) == len(upload.parts)


def read(upload: Upload) -> Model:
    """The checkpoint in the upload.

    Raises:
        MalformedFile: A metadata file is no JSON, or no tree.
        LimitExceeded: A metadata file too large, more values than one analysis may describe.
    """
    folder, limits = _folder(upload), upload.limits
    _take_zarr(folder, limits)
    tree = folder.files.get(TREE)
    metadata = tree_of(_data(tree, TREE, limits), limits, TREE) if tree is not None else {}
    nodes: Sequence[Node] = metadata["tree_metadata"] if tree is not None else _by_folder(folder)
    arrays, partial = _arrays(folder, nodes, limits)
    tops = {node.path[0] for node in nodes}
    named = describe_tree(arrays, tops, limits)
    notes, complete = _notes(folder, nodes, arrays, partial=partial)
    return Model(
        info=_info(folder, metadata, limits),
        layers=named.layers,
        states=named.states,
        findings=(*named.findings, *_missing(folder, nodes, metadata)),
        complete=complete,
        notes=(*named.notes, *notes),
    )


# Files


def _plain(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _parent_of(name: str) -> str:
    """The folder of a file as a prefix: empty, or ending in `/`."""
    return name[: len(name) - len(_last(name))]


def _parent(folder: str) -> str:
    """The folder around a folder, as a prefix."""
    return _parent_of(folder.rstrip("/"))


def _is_tree(source: Source) -> bool:
    try:
        start = head(source, _SNIFFED).lstrip(b"\xef\xbb\xbf \t\r\n")
    except InputError:
        return False
    return start[:1] == b"{" and _MARK in start


def _folder(upload: Upload) -> _Folder:
    source = upload.single
    if source is not None:
        return _Folder("", {TREE: source}, {})
    names = {_plain(name): name for name in upload.parts}
    roots = _roots(names, upload)
    root = roots[0] if roots else ""
    files = {name[len(root) :]: upload.parts[given] for name, given in names.items() if name.startswith(root)}
    around = {_last(name): upload.parts[given] for name, given in names.items() if not name.startswith(root)}
    return _Folder(root, files, around)


def _json(source: Source, name: str, limits: Limits) -> dict[str, Any]:
    data = _data(source, name, limits)
    return parse_object(data, max_bytes=limits.json_bytes, max_depth=limits.json_depth, member=name)


def _data(source: Source, name: str, limits: Limits) -> bytes:
    if source.size > limits.json_bytes:
        raise LimitExceeded("json_bytes", limits.json_bytes, msg("The metadata file is too large."), member=name)
    return source.read_at(0, source.size)


def _optional(folder: _Folder, name: str, limits: Limits) -> dict[str, Any]:
    """A metadata file that may be missing, in the checkpoint or in the folder around it."""
    source = folder.files.get(name) or folder.around.get(name)
    return _json(source, name, limits) if source is not None else {}


def _take_zarr(folder: _Folder, limits: Limits) -> None:
    """The zarr arrays of the folder, and what files each of them has besides."""
    for name, source in folder.files.items():
        folder_name, _, last = name.rpartition("/")
        if last in _ZARR and folder_name:
            found = zarr_of(_json(source, name, limits), limits)
            if found is not None:
                folder.zarrs[folder_name] = found
    for name in folder.files:
        array = next((one[:-1] for one in _folders(name) if one[:-1] in folder.zarrs), None)
        if array is not None and _last(name) not in _ZARR:
            folder.chunks[array] = folder.chunks.get(array, 0) + 1


def _by_folder(folder: _Folder) -> list[Node]:
    """The arrays of a version without a tree: folders whose names are the keys, joined by dots."""
    return [Node(tuple(text(name, 1000).split(".")), "jax.Array", None, skipped=False) for name in folder.zarrs]


# Arrays


def _arrays(folder: _Folder, nodes: Iterable[Node], limits: Limits) -> tuple[list[Found], bool]:
    """The arrays of the tree; and whether a shape is only what one process wrote."""
    written: dict[str, Sizes] = {}
    for name in sorted(folder.files):
        if name.startswith(WRITTEN):
            for key, sizes in written_shapes(_json(folder.files[name], name, limits), limits).items():
                written.setdefault(key, sizes)
    known = SHARDING in folder.files
    whole = whole_names(_optional(folder, SHARDING, limits)) if known else {}
    found: list[Found] = []
    partial = False
    for node in nodes:
        if node.is_array and not node.skipped:
            shape = node.written or (written.get(node.name) if written else None)
            if known and not whole.get(node.name, node.type != "jax.Array"):
                shape = None
            one, guessed = _array(folder, node, shape, sure=known or node.type != "jax.Array")
            partial = partial or guessed
            found.append(one)
    return found, partial


def _array(folder: _Folder, node: Node, shape: Sizes | None, *, sure: bool) -> tuple[Found, bool]:
    zarr = (folder.zarrs.get(node.name) or folder.zarrs.get("/".join(node.path))) if folder.zarrs else None
    if zarr is not None:
        size = stored_bytes(zarr.dtype, element_count(zarr.shape))
        return Found(node.path, zarr.shape, zarr.dtype, size), False
    if node.is_scalar and shape is None:
        shape = ()
    return Found(node.path, shape, None, None), shape is not None and not sure and not node.is_scalar


def _missing(folder: _Folder, nodes: Iterable[Node], metadata: Mapping[str, Any]) -> list[Finding]:
    """Arrays of zarr with fewer chunk files than they have chunks; those of nothing but zeros may be left out."""
    names = {node.name for node in nodes}
    always = metadata.get("store_array_data_equal_to_fill_value") is True
    found = []
    for name, zarr in folder.zarrs.items():
        count = folder.chunks.get(name, 0)
        if name in names and always and zarr.chunks is not None and folder.chunks and count < zarr.chunks:
            found.append(
                Finding(
                    rule="data_missing",
                    severity="high",
                    path=text(name, 500),
                    what=msg("{name} has {count} of the {chunks} files that its chunks need.", name=text(name, 200),
                             count=count, chunks=zarr.chunks),
                )
            )  # fmt: skip
    return listed("data_missing", found)


def _notes(
    folder: _Folder, nodes: Sequence[Node], arrays: Sequence[Found], *, partial: bool
) -> tuple[tuple[Message, ...], bool]:
    notes: list[Message] = []
    untold = [one for one in arrays if one.shape is None]
    untyped = sum(one.dtype is None for one in arrays)
    if not nodes:
        notes.append(msg("The checkpoint has no tree of keys, and its arrays are in a database that is not opened."))
    if untold:
        notes.append(
            msg("The shapes of {n} arrays are in no JSON file: they were spread over several devices, or the version "
                "of Orbax wrote none.", n=len(untold))
        )  # fmt: skip
    if partial:
        notes.append(msg("Shapes are those that one process wrote; without the file _sharding it is not known whether "
                         "that is all of each array."))  # fmt: skip
    if untyped and any(_last(name) == _MANIFEST for name in folder.files):
        notes.append(msg("Element types are in the OCDBT database, which is not opened: sizes in bytes are unknown."))
    elif untyped:
        notes.append(msg("Element types are in files that were not sent: sizes in bytes are unknown."))
    return tuple(notes), not (untold or untyped or partial or not nodes)


def _info(folder: _Folder, metadata: Mapping[str, Any], limits: Limits) -> ModelInfo:
    step = _optional(folder, STEP, limits)
    tags = {name: json_value(step[name]) for name in ("item_handlers", "metrics", "custom_metadata") if step.get(name)}
    stored = {name: metadata[name] for name in ("use_ocdbt", "use_zarr3") if isinstance(metadata.get(name), bool)}
    version = "zarr3" if stored.get("use_zarr3") else "zarr"
    return ModelInfo(
        format=FORMAT.id,
        framework=FORMAT.framework,
        format_version=(f"ocdbt/{version}" if stored.get("use_ocdbt") else version) if stored else None,
        members=tuple(text(name, 500) for name in list(folder.files)[:_MEMBERS_KEPT]),
        tags={**stored, **tags},
    )
