"""Storages as PyTorch's pickles name them, by persistent ids, and sizes along axes; knows no tensor and no file."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from service.catalog.torch_dtypes import STORAGES
from service.catalog.torch_values import sequence_of
from service.errors import LimitExceeded, MalformedFile
from service.language import mark, msg
from service.parsers.pickle_types import Global, Instance, Persistent

MAX_COUNT = 2**63 - 1
MAX_RANK = 64


@dataclass(frozen=True, slots=True)
class Storage:
    """A flat array that tensors view: `count` elements of `dtype`; `key` names it in its container.

    `base` is added to the offset of views (before 0.4 a storage could itself be a window of another).
    """

    key: Hashable
    dtype: str | None
    count: int | None
    device: str | None = None
    base: int = 0


def persistent(persistent_id: Any, offset: int) -> Any:
    """What a persistent id of PyTorch stands for: a `Storage`, a class (old module pickles), or only itself.

    ('storage', class, key, device, count[, (view key, offset, size)]) or ('module', class, file, source).
    """
    if not isinstance(persistent_id, tuple) or len(persistent_id) < 2:
        return Persistent(persistent_id, offset)
    tag = persistent_id[0].decode("latin-1") if isinstance(persistent_id[0], bytes) else persistent_id[0]
    if tag == "module":
        return persistent_id[1]
    if tag != "storage":
        return Persistent(persistent_id, offset)
    found = _storage(persistent_id[1:])
    if found is None:
        raise MalformedFile(msg("A storage is described in a way that PyTorch does not write."), offset=offset)
    return found


def _storage(described: tuple[Any, ...]) -> Storage | None:
    if len(described) < 4:
        return None
    kind, key, device, count = described[:4]
    named = isinstance(kind, Global) and kind.name is not None
    if not named or not isinstance(key, (str, int)) or not is_size(count):
        return None
    dtype = STORAGES.get(kind.name.rpartition(".")[2])
    part = described[4] if len(described) > 4 else None
    base = part[1] if isinstance(part, tuple) and len(part) == 3 and is_size(part[1]) else 0
    return Storage(str(key), dtype, count, device if isinstance(device, str) else None, base)


def storage_of(value: Any) -> Storage:
    """The storage argument of a rebuild call; ValueError if it is none. Typed wrappers are seen through."""
    if isinstance(value, Storage):
        return value
    inner = value.positional[0] if isinstance(value, Instance) and value.positional else None
    if isinstance(inner, Storage):
        return inner
    raise ValueError(mark("it refers to no storage of this file"))


def is_size(value: Any) -> bool:
    """Whether a value is a whole number that fits a signed 64-bit size."""
    return type(value) is int and 0 <= value <= MAX_COUNT


def sizes(value: Any) -> tuple[int, ...]:
    """A shape or stride; ValueError unless it is a sequence of sizes, LimitExceeded for absurd ones."""
    found = sizes_or_none(value)
    if found is None:
        raise ValueError(mark("a size is not a sequence of numbers"))
    return found


def sizes_or_none(value: Any) -> tuple[int, ...] | None:
    """As `sizes`, None for what is no sequence of sizes."""
    items = sequence_of(value)
    if items is None or not all(type(item) is int and item >= 0 for item in items):
        return None
    if len(items) > MAX_RANK:
        raise LimitExceeded("rank", MAX_RANK, msg("A tensor has {n} axes.", n=len(items)), value=len(items))
    if any(item > MAX_COUNT for item in items):
        raise LimitExceeded("dimension", MAX_COUNT, msg("A tensor's size along one axis is beyond 64 bits."))
    return tuple(items)
