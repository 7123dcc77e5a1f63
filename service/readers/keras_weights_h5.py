"""Keras 3 weight files (`model.weights.h5`), also in shards with their `model.weights.json`.

Knows that they hold an object tree and no configuration. The tree becomes layers in `service.catalog`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from service.catalog.keras_model import Parts, from_object_tree
from service.catalog.keras_objects import group_name
from service.catalog.keras_shelf import CONTAINERS
from service.errors import InputError, MalformedFile
from service.formats import Format, Upload
from service.language import Message, msg
from service.parsers.hdf5 import Group, Hdf5, merge, peek_hdf5, read_hdf5
from service.parsers.hdf5_pages import find_hdf5
from service.parsers.json_text import parse_object
from service.plain import text
from service.source import Source, head
from service.tree import Model, ModelInfo, Weight

FORMAT = Format(
    id="keras_weights_h5",
    framework="keras",
    title=msg("Keras 3 weights (model.weights.h5)"),
    extensions=(".weights.h5", ".weights.json"),
    reads=msg("Every variable's place in the object tree, shape and type; optimizer variables; from headers only."),
    leaves=msg(
        "Weight values, unless statistics or a comparison of values ask for them; what the file does not record: "
        "classes (concluded from names), trainability, the graph."
    ),
    priority=41,
)

_MARKS = frozenset({*CONTAINERS, "vars", "optimizer"})
_MAP_KEY = b'"weight_map"'
_MAP_HEAD = 4096
_ENDING, _MAP_ENDING = ".weights.h5", ".weights.json"


def accept(upload: Upload) -> bool:
    """HDF5 with an object tree at its root; or a weight map in JSON with HDF5 shards beside it."""
    source = upload.single
    if source is None:
        return _map_name(upload) is not None and bool(_shards(upload))
    if find_hdf5(source) is None:
        return False
    peek = peek_hdf5(source)
    return peek is not None and bool(_MARKS & peek.children)


def find(upload: Upload) -> list[frozenset[str]]:
    """A weight map and the HDF5 shards in its folder."""
    folders: dict[str, list[str]] = {}
    for name in upload.parts:
        if name.endswith((_MAP_ENDING, _ENDING)):
            folders.setdefault(_folder(name), []).append(name)
    mapped = (names for names in folders.values() if any(name.endswith(_MAP_ENDING) for name in names))
    return [frozenset(names) for names in mapped if accept(upload.only(names))]


def _folder(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[0]


def read(upload: Upload) -> Model:
    """The weights as layers. Raises InputError."""
    source = upload.single
    if source is None:
        return _sharded(upload)
    file = read_hdf5(source)
    return _model(file, from_object_tree(None, file.root, None, None, upload.limits), ())


def _sharded(upload: Upload) -> Model:
    names = _shards(upload)
    missing = _missing(upload, names)
    files = [(name, _read_shard(upload.parts[name], name)) for name in names]
    whole = merge([file for _, file in files])
    parts = from_object_tree(None, whole.root, None, None, upload.limits)
    notes = tuple(
        msg("The shard {name} was not uploaded: its weights are missing here.", name=name) for name in missing
    )
    owners = {path: name for name, file in reversed(files) for path in _datasets(file.root)}
    layers = tuple(msgspec.structs.replace(layer, weights=tuple(_placed(weight, owners) for weight in layer.weights))
                   for layer in parts.layers)  # fmt: skip
    return _model(whole, msgspec.structs.replace(parts, layers=layers), tuple(names), notes)


def _datasets(root: Group) -> Iterator[str]:
    """Paths of all datasets of one shard."""
    pending = [root]
    while pending:
        group = pending.pop()
        yield from (dataset.path for dataset in group.datasets.values())
        pending.extend(group.groups.values())


def _placed(weight: Weight, owners: Mapping[str, str]) -> Weight:
    """The weight with the shard that it is in: of two with one dataset the first, as Keras reads them."""
    member = owners.get(weight.stored_as or "")
    if weight.location is None or member is None:
        return weight
    location = msgspec.structs.replace(weight.location, member=text(member, 500))
    return msgspec.structs.replace(weight, location=location)


def _read_shard(source: Source, name: str) -> Hdf5:
    try:
        return read_hdf5(source)
    except InputError as error:
        raise error.within(name) from None


def _missing(upload: Upload, names: list[str]) -> list[str]:
    """Shards that the map names and the upload does not have, by base name."""
    map_name = _map_name(upload)
    if map_name is None:
        return []
    source, limits = upload.parts[map_name], upload.limits
    document = parse_object(
        source.read_at(0, min(source.size, limits.json_bytes + 1)),
        max_bytes=limits.json_bytes,
        max_depth=limits.json_depth,
        member=map_name,
    )
    weight_map = document.get("weight_map")
    if not isinstance(weight_map, dict):
        raise MalformedFile(msg("The map of shards has no object weight_map."), member=map_name)
    wanted: dict[str, None] = {}
    for value in weight_map.values():
        wanted.update(dict.fromkeys(str(item) for item in (value if isinstance(value, list) else [value])))
    there = {_base(name) for name in names}
    return [name for name in wanted if _base(name) not in there]


def _base(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _map_name(upload: Upload) -> str | None:
    return next((name for name, source in upload.parts.items() if _MAP_KEY in head(source, _MAP_HEAD)), None)


def _shards(upload: Upload) -> list[str]:
    return sorted(name for name, source in upload.parts.items() if find_hdf5(source) is not None)


def _model(file: Hdf5, parts: Parts, members: tuple[str, ...], notes: tuple[Message, ...] = ()) -> Model:
    return Model(
        info=ModelInfo(
            format=FORMAT.id, framework="keras", format_version="3", members=members, name=group_name(file.root)
        ),
        layers=parts.layers,
        states=parts.states,
        findings=parts.findings,
        notes=(*parts.notes, *notes),
        complete=parts.complete and not notes,
        security=file.dangers,
    )
