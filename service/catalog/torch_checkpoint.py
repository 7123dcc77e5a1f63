"""Takes a saved object apart: models, averaged copies, optimizers, schedulers, other tensors, plain values.

Told apart by structure (a mapping of tensors, an `nn.Module`, `state` beside `param_groups`); key names only
decide what structure cannot: which of two like models is the averaged copy. Knows no file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from service.catalog.anatomy import sounds_averaged
from service.catalog.torch_modules import is_module
from service.catalog.torch_packed import is_opaque
from service.catalog.torch_state import metadata_of
from service.catalog.torch_tensors import is_tensor, tensor_of
from service.catalog.torch_values import attributes_of, key_text, mapping_of, sequence_of
from service.errors import LimitExceeded
from service.language import msg
from service.parsers.pickle_types import Instance

What = Literal["module", "state_dict", "optimizer", "scheduler", "tensors", "plain"]
_MAX_DEPTH = 6
_MAX_PARTS = 10_000
_MAX_PLAIN = 1000
_SEARCH_NODES = 3_000_000
"""Most values looked at in one file in search of tensors."""
_SCHEDULER_KEYS = {"base_lrs", "_step_count", "_last_lr", "_get_lr_called_within_step"}


@dataclass(frozen=True, slots=True)
class Part:
    """One thing in the file: `key` is the way to it (`optimizer_states[0]`), `""` for the saved object itself."""

    key: str
    what: What
    value: Any


@dataclass(slots=True)
class Contents:
    """The parts of a saved object, each kind in the order of the file."""

    models: list[Part] = field(default_factory=list)
    averaged: list[Part] = field(default_factory=list)
    optimizers: list[Part] = field(default_factory=list)
    schedulers: list[Part] = field(default_factory=list)
    tensors: list[Part] = field(default_factory=list)
    plain: list[Part] = field(default_factory=list)


def split(value: Any) -> Contents:
    """The parts of what was saved."""
    contents = Contents()
    shelves = {"module": contents.models, "state_dict": contents.models, "optimizer": contents.optimizers,
               "scheduler": contents.schedulers, "tensors": contents.tensors, "plain": contents.plain}  # fmt: skip
    parts = 0
    for part in _walk(value):
        parts += part.what != "plain"
        if parts > _MAX_PARTS:
            raise LimitExceeded(
                "checkpoint_parts",
                _MAX_PARTS,
                msg("The file holds more than {max_parts} models and states.", max_parts=_MAX_PARTS),
            )
        if part.what != "plain" or len(contents.plain) < _MAX_PLAIN:
            shelves[part.what].append(part)
    _set_averaged_apart(contents)
    return contents


def _walk(root: Any) -> Iterator[Part]:
    pending: list[tuple[str, Any, int]] = [("", root, 0)]
    seen: set[int] = set()
    search = _Search()
    while pending:
        key, value, depth = pending.pop()
        what = _classify(value, depth, search)
        if what is not None:
            yield Part(key, what, value)
            if what == "state_dict":
                pending.extend(_nested(key, value, depth, search))
            continue
        if id(value) not in seen:
            seen.add(id(value))
            inside = _inside(value)
            yield from _strays(key, inside)
            pending.extend(
                (_join(key, name), item, depth + 1) for name, item in reversed(inside) if not is_tensor(item)
            )


def _nested(key: str, state: Any, depth: int, search: _Search) -> list[tuple[str, Any, int]]:
    """What else lies among the tensors of a state_dict: another mapping of tensors, say."""
    odd = [(name, item) for name, item in _inside(state) if not is_tensor(item) and not _is_packed(item)]
    return [
        (_join(key, name), item, depth + 1) for name, item in reversed(odd) if _keys(item) and _holds_more(item, search)
    ]


def _classify(value: Any, depth: int, search: _Search) -> What | None:
    """What a value is, or None if its inside has to be looked at."""
    if is_module(value):
        return "module"
    keys = _keys(value)
    if {"state", "param_groups"} <= keys:
        return "optimizer"
    if "last_epoch" in keys and keys & _SCHEDULER_KEYS:
        return "scheduler"
    mapping = mapping_of(value)
    if mapping and _is_state_dict(value, mapping, search):
        return "state_dict"
    if is_tensor(value):
        return "tensors"
    if depth >= _MAX_DEPTH or not _holds_more(value, search):
        return "plain"
    return None


def _keys(value: Any) -> set[str]:
    """Names in a mapping or, for a whole pickled optimizer or scheduler, among an object's attributes."""
    held = mapping_of(value)
    if held is None:
        held = attributes_of(value) or {}
    return {key for key in held if isinstance(key, str)}


def _is_state_dict(value: Any, mapping: dict[Any, Any], search: _Search) -> bool:
    """A mapping whose own values are tensors: with dotted names or `_metadata`, or with nothing deeper inside."""
    names = [key for key, item in mapping.items() if is_tensor(item) or _is_packed(item)]
    if not names:
        return bool(metadata_of(value)) and not any(_holds_more(item, search) for item in mapping.values())
    if metadata_of(value) or any(isinstance(name, str) and "." in name for name in names):
        return True
    if any(_holds_more(item, search) for item in mapping.values() if not is_tensor(item)):
        return False
    return any(_rank(mapping[name]) for name in names)


def _is_packed(value: Any) -> bool:
    """Whether a state_dict's value holds its tensors packed: a tuple that starts with one, or an opaque object."""
    return is_opaque(value) or (isinstance(value, tuple) and bool(value) and is_tensor(value[0]))


def _rank(value: Any) -> int:
    tensor = tensor_of(value)
    return len(tensor.shape) if tensor is not None and tensor.shape is not None else 1


def _inside(value: Any) -> list[tuple[str, Any]]:
    """Named items of a mapping, a sequence or an object."""
    held = mapping_of(value)
    if held is None:
        items = sequence_of(value)
        if items is not None:
            return [(f"[{index}]", item) for index, item in enumerate(items)]
        held = attributes_of(value) or {}
    return [(key_text(key), item) for key, item in held.items()]


def _strays(key: str, inside: list[tuple[str, Any]]) -> Iterator[Part]:
    """Tensors that lie between other things: a random state, a mean; together those of one list."""
    tensors = {name: item for name, item in inside if is_tensor(item)}
    if tensors and all(name.startswith("[") for name in tensors):
        yield Part(key, "tensors", tensors)
        return
    for name, item in tensors.items():
        yield Part(_join(key, name), "tensors", item)


def _join(key: str, name: str) -> str:
    return f"{key}{name}" if name.startswith("[") or not key else f"{key}.{name}"


@dataclass(slots=True)
class _Search:
    """What looking for tensors has shown and may still cost: containers (by identity) that hold none, visits left."""

    barren: set[int] = field(default_factory=set)
    left: int = _SEARCH_NODES


def _holds_more(value: Any, search: _Search) -> bool:
    """Whether a tensor, a module, an optimizer or a scheduler is anywhere inside."""
    pending = [value]
    visited: set[int] = set()
    while pending and search.left > 0:
        item = pending.pop()
        search.left -= 1
        if type(item) in (list, tuple):  # by the million in a hostile file, and never anything in themselves
            if item and id(item) not in visited and id(item) not in search.barren:
                visited.add(id(item))
                pending.extend(item)
            continue
        if is_tensor(item) or is_module(item):
            return True
        held = isinstance(item, (dict, list, tuple, set, frozenset, Instance))
        if not held or id(item) in visited or id(item) in search.barren:
            continue
        visited.add(id(item))
        keys = _keys(item)
        if {"state", "param_groups"} <= keys or ("last_epoch" in keys and keys & _SCHEDULER_KEYS):
            return True
        pending.extend(inner for _, inner in _inside(item))
    search.barren.update(visited)
    return False


# Averaged copies


def _set_averaged_apart(contents: Contents) -> None:
    """Move the models that are averaged copies of another model of the file out of `models`."""
    named = [part for part in contents.models if sounds_averaged(part.key)]
    others = [_names(part) for part in contents.models if part not in named]
    for part in named:
        names = _names(part)
        if any(names and len(names & other) * 2 >= len(names) for other in others):
            contents.models.remove(part)
            contents.averaged.append(part)


def _names(part: Part) -> set[str]:
    """Weight names of a model, without the wrapper that data-parallel training and averaging put around it."""
    if part.what == "module":
        return _module_names(part.value)
    found = {key_text(key).removeprefix("module.") for key in mapping_of(part.value) or {}}
    return found - {"n_averaged"}


def _module_names(root: Any) -> set[str]:
    names: set[str] = set()
    pending: list[tuple[str, Any]] = [("", root)]
    seen: set[int] = set()
    while pending:
        path, value = pending.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        held = attributes_of(value) or {}
        names.update(
            f"{path}{key_text(key)}".removeprefix("module.") for key in mapping_of(held.get("_parameters")) or {}
        )
        pending.extend(
            (f"{path}{key_text(key)}.", item) for key, item in (mapping_of(held.get("_modules")) or {}).items()
        )
    return names
