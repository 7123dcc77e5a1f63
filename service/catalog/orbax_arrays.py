"""What the JSON files of an Orbax checkpoint say of its arrays; knows their keys, reads no file itself.

`_METADATA` has the tree: the keys of each value, its type, and in newer versions `write_shape`, the sizes of what one
process wrote. That is the whole array where it lies on one device; `_sharding` tells. zarr's own metadata has sizes and
element type of the whole array. Source: orbax.checkpoint's metadata/tree.py, array_metadata_store.py; the zarr
specifications 2 and 3.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.json_streams import Routes, parse_each
from service.plain import text

Sizes = tuple[int, ...]
_MAX_RANK = 64
_SHARDING_CHARACTERS = 100_000
_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex"}
_ARRAYS = frozenset({"jax.Array", "np.ndarray", "numpy.ndarray", "jax.random.key"})
_SCALARS = frozenset({"scalar", "int", "float", "np.generic"})


class Node(NamedTuple):
    """One value of the tree: the keys that lead to it, what it is, and the sizes that were written."""

    path: tuple[str, ...]
    type: str
    written: Sizes | None
    skipped: bool

    @property
    def name(self) -> str:
        """As the other files of the checkpoint call it."""
        return ".".join(self.path)

    @property
    def is_array(self) -> bool:
        """Whether it holds numbers: an array or a scalar, rather than a text or nothing."""
        return self.type in _ARRAYS or self.type in _SCALARS

    @property
    def is_scalar(self) -> bool:
        """Whether it is a single number."""
        return self.type in _SCALARS


class Zarr(NamedTuple):
    """A zarr array: sizes, element type, and how many chunk files it has when all are there."""

    shape: Sizes
    dtype: str | None
    chunks: int | None


def tree_of(data: bytes, limits: Limits, member: str | None = None) -> dict[str, Any]:
    """The document `_METADATA`, with its nodes in the place of the tree.

    Raises:
        MalformedFile: There is no tree, or an entry is none.
        LimitExceeded: More values than one analysis may describe.
    """
    routes: Routes = {("tree_metadata",): _Tree(limits, member).node}
    found = parse_each(data, routes, max_bytes=limits.json_bytes, max_depth=limits.json_depth, member=member)
    if not isinstance(found, dict) or not isinstance(found.get("tree_metadata"), tuple):
        raise _no_tree(member)
    return found


def _no_tree(member: str | None) -> MalformedFile:
    return MalformedFile(msg("The file has no tree_metadata: it is no metadata of Orbax."), member=member)


class _Tree:
    """The nodes of one tree; of steps and types there are few, in very many paths."""

    def __init__(self, limits: Limits, member: str | None) -> None:
        self._limits = limits
        self._member = member
        self._count = 0
        self._steps: dict[str | int, str] = {}

    def node(self, key: str | None, entry: Any) -> Node:
        """One entry of the tree."""
        if key is None:
            raise _no_tree(self._member)
        most = self._limits.weights
        self._count += 1
        if self._count > most:
            what = msg("The file holds more than {weights} tensors.", weights=most)
            raise LimitExceeded("weights", most, what, member=self._member)
        keys = entry.get("key_metadata") if isinstance(entry, dict) else None
        value = entry.get("value_metadata") if isinstance(entry, dict) else None
        try:
            path = tuple([self._steps[step["key"]] for step in keys])  # type: ignore[union-attr]
        except (KeyError, TypeError):
            path = self._path(keys)
        if not isinstance(value, dict) or not path:
            raise MalformedFile(
                msg("The entry {key} of the tree has no keys or no value.", key=text(key, 100)),
                member=self._member, pointer=text(key, 200),
            )  # fmt: skip
        kind = value.get("value_type")
        return Node(
            path, text(kind, 100) if isinstance(kind, str) else "", sizes(value.get("write_shape"), self._limits),
            value.get("skip_deserialize") is True,
        )  # fmt: skip

    def _path(self, keys: Any) -> tuple[str, ...]:
        """Steps not all of which were met before; empty where one is neither a text nor a number."""
        steps = [step.get("key") for step in keys if isinstance(step, dict)] if isinstance(keys, list) else []
        named = [step for step in steps if isinstance(step, str | int)]
        if len(named) != len(steps):
            return ()
        known = self._steps
        return tuple([known.get(step) or known.setdefault(step, text(str(step), 500)) for step in named])


def sizes(value: Any, limits: Limits) -> Sizes | None:
    """A list of sizes; None for anything else."""
    if not isinstance(value, list) or len(value) > _MAX_RANK:
        return None
    known = all(type(size) is int and 0 <= size <= limits.dimension for size in value)
    return tuple(value) if known else None


def written_shapes(document: Mapping[str, Any], limits: Limits) -> dict[str, Sizes]:
    """Name -> sizes one process wrote, from `array_metadatas/process_<n>`."""
    found: dict[str, Sizes] = {}
    entries = document.get("array_metadatas")
    for entry in entries if isinstance(entries, list) else []:
        held = entry.get("array_metadata") if isinstance(entry, dict) else None
        name = held.get("param_name") if isinstance(held, dict) else None
        shape = sizes(held.get("write_shape"), limits) if isinstance(held, dict) else None
        if isinstance(name, str) and shape is not None:
            found.setdefault(name, shape)
    return found


def whole_names(document: Mapping[str, Any]) -> dict[str, bool]:
    """Name -> whether its array lies on one device, so that what was written is all of it; from `_sharding`."""
    found: dict[str, bool] = {}
    for key, value in document.items():
        try:
            name = base64.b64decode(key, validate=True).decode("utf-8")
            sharding = json.loads(value) if isinstance(value, str) and len(value) < _SHARDING_CHARACTERS else value
        except (binascii.Error, ValueError, RecursionError):
            continue
        found[name] = isinstance(sharding, dict) and _is_whole(sharding)
    return found


def _is_whole(sharding: Mapping[str, Any]) -> bool:
    if sharding.get("sharding_type") == "SingleDeviceSharding":
        return True
    mesh = sharding.get("shape")
    return isinstance(mesh, list) and all(size == 1 for size in mesh)


# zarr


def zarr_of(document: Mapping[str, Any], limits: Limits) -> Zarr | None:
    """Sizes and element type by `.zarray` (version 2) or `zarr.json` (version 3); None where they are not told."""
    shape = sizes(document.get("shape"), limits)
    if shape is None:
        return None
    if "data_type" in document:
        dtype = document["data_type"]
        return Zarr(shape, _plain_type(dtype), _chunks(shape, _grid(document), limits))
    return Zarr(shape, _numpy_type(document.get("dtype")), _chunks(shape, document.get("chunks"), limits))


def _grid(document: Mapping[str, Any]) -> Any:
    grid = document.get("chunk_grid")
    configuration = grid.get("configuration") if isinstance(grid, dict) else None
    return configuration.get("chunk_shape") if isinstance(configuration, dict) else None


def _chunks(shape: Sizes, chunk: Any, limits: Limits) -> int | None:
    found = sizes(chunk, limits)
    if found is None or len(found) != len(shape) or 0 in found:
        return None
    return prod(-(-size // step) for size, step in zip(shape, found, strict=True))


def _numpy_type(value: Any) -> str | None:
    """`<f4`, `|b1` as NumPy writes them, or a name such as `bfloat16`."""
    if not isinstance(value, str):
        return None
    if value[:1] not in "<>|=" or len(value) < 3:
        return _plain_type(value)
    kind, width = value[1], value[2:]
    if kind == "b":
        return "bool"
    name = _KINDS.get(kind)
    return f"{name}{int(width) * 8}" if name and width.isdigit() and len(width) < 3 else text(value, 40)


def _plain_type(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return text(value, 40)
