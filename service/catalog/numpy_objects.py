"""Arrays in pickled objects, found by the way to them: attributes, keys, places in lists; knows no file's format.

What scikit-learn, joblib, Keras and plain dictionaries of arrays have in common. Objects are inert stand-ins; nothing
is imported to find out what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from service.catalog.named import Stored
from service.catalog.numpy_types import Element, pickled_element
from service.catalog.torch_storage import sizes_or_none
from service.catalog.torch_tensors import is_tensor, tensor_of
from service.catalog.torch_values import (
    NUMPY_SCALARS,
    attributes_of,
    bytes_of,
    describe,
    key_text,
    mapping_of,
    number_of,
    sequence_of,
)
from service.errors import LimitExceeded
from service.language import Message, msg
from service.parsers.pickle_joblib import Raw
from service.parsers.pickle_types import Blob, Global, Instance, extent
from service.plain import json_value, text
from service.tree import Layer, Location, element_count

_MAX_DEPTH = 64
_MAX_PATH = 300
_MAX_KEY = 100
_MAX_VISITS = 2_000_000
_MAX_REPEATS = 10_000
_MAX_NESTED = 100
_MAX_CONFIG = 100
_MAX_SETTINGS = 50_000
"""Attributes told of all objects together: what a pickle shares costs it nothing to repeat."""
_LARGE_BYTES = 1 << 16
_SKIPPED = ("numpy.random.", "numpy.dtype")
_ARRAYS = {
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct",
    "numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer",
}  # fmt: skip
SIGNS = (b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"GGUF", b"\x93NUMPY",
          *(b"\x80" + bytes([protocol]) for protocol in range(2, 6)))  # fmt: skip
"""What byte strings begin with that are models, or hold one."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """A byte string in an object: the way to it, and either itself or where it lies."""

    path: str
    value: bytes | Blob

    @property
    def length(self) -> int:
        """How many bytes."""
        return len(self.value) if isinstance(self.value, bytes) else self.value.length


@dataclass(slots=True)
class Found:
    """What lies in an object.

    Attributes:
        arrays: With the way to each as its name.
        objects: The way to each object of a class, `""` for the outermost.
        strings: Byte strings that may be models themselves, and other large ones.
        notes: What was not followed.
        pickle: Something of its own for each pickle: two places in one are the same array, in two they are not.
        begins: As `Trace.begins`.
        listed, repeats: The arrays that were listed, and how often one of them occurred again.
    """

    arrays: list[Stored] = field(default_factory=list)
    objects: dict[str, Instance] = field(default_factory=dict)
    strings: list[Bytes] = field(default_factory=list)
    notes: list[Message] = field(default_factory=list)
    pickle: object = field(default_factory=object)
    begins: Mapping[int, int] = field(default_factory=dict)
    listed: set[Hashable] = field(default_factory=set)
    repeats: int = 0


Place = Callable[[int, int], Location | None]
"""Offset and length in the pickle -> where that is; None where it cannot be told."""


def arrays_in(
    root: Any, place: Place, most: int, prefix: str = "", begins: Mapping[int, int] = MappingProxyType({})
) -> Found:
    """All arrays in an object, in the order in which they were stored.

    Args:
        root: What a pickle holds.
        place: Where bytes of the pickle lie in the upload.
        most: How many arrays may be described.
        prefix: Put before each way.
        begins: As `Trace.begins`.

    Raises:
        MalformedFile: An array's description cannot be.
        LimitExceeded: More arrays than `most`.
    """
    found = Found(begins=begins)
    pending: list[tuple[str, Any, int]] = [(prefix, root, 0)]
    seen: set[int] = set()
    deep = False
    for _ in range(_MAX_VISITS):
        if not pending:
            break
        path, value, depth = pending.pop()
        if _take(found, path, value, place):
            if len(found.arrays) > most:
                raise LimitExceeded("weights", most, msg("The file holds more than {weights} tensors.", weights=most))
            continue
        if not isinstance(value, (dict, list, tuple, set, frozenset, Instance)) or _is_seen(value, seen):
            continue
        if depth >= _MAX_DEPTH or len(path) > _MAX_PATH:
            deep = True
            continue
        pending.extend([(_join(path, name), item, depth + 1) for name, item in _inside(found, path, value)][::-1])
    if deep or pending:
        found.notes.append(msg("The objects are nested too deeply or are too many: some of them were not looked into."))
    return found


def _is_seen(value: Any, seen: set[int]) -> bool:
    """Whether a container, or what an object was made of, was looked into before; notes that it is now."""
    shared = [value, value.state, value.args] if isinstance(value, Instance) else [value]
    known = [id(one) for one in shared if isinstance(one, (dict, list, tuple, set, frozenset, Instance)) and one != ()]
    if not seen.isdisjoint(known):
        return True
    seen.update(known)
    return False


def _join(path: str, name: str) -> str:
    return ".".join(step for step in (path, name) if step)


# Values


def _take(found: Found, path: str, value: Any, place: Place) -> bool:
    """Whether `value` was something to list or to pass over, and not to look into."""
    if isinstance(value, (bytes, Blob)):
        _take_bytes(found, path, value)
        return True
    if not isinstance(value, Instance):
        return False
    if value.path in NUMPY_SCALARS or value.path.startswith(_SKIPPED):
        return True
    identity = (found.pickle, value.offset)
    if found.repeats > _MAX_REPEATS and identity in found.listed:
        return True
    stored = _array(path or "array", value, (place, found.begins, identity))
    if stored is None and is_tensor(value) and value.path not in _ARRAYS:
        tensor = tensor_of(value)
        stored = None if tensor is None else Stored(
            path or "array", tensor.shape, tensor.dtype, tensor.bytes, identity=(found.pickle, tensor.identity),
            stored_count=tensor.stored, trainable=tensor.requires_grad or None,
        )  # fmt: skip
    if stored is not None and stored.dtype != "object":  # an array of objects is what they hold, no numbers of its own
        _list(found, stored)
        return True
    data = bytes_of(value)
    if data is not None:
        _take_bytes(found, path, data)
    return data is not None


def _list(found: Found, stored: Stored) -> None:
    """List an array; one that occurs again and again only so often."""
    again = stored.identity in found.listed
    found.repeats += again
    found.listed.add(stored.identity)
    if not again or found.repeats <= _MAX_REPEATS:
        found.arrays.append(stored)
    elif found.repeats == _MAX_REPEATS + 1:
        found.notes.append(msg("Some arrays occur more than {n} times; the rest is not listed.", n=_MAX_REPEATS))


def _take_bytes(found: Found, path: str, value: bytes | Blob) -> None:
    if isinstance(value, Blob) and value.is_text:
        return
    item = Bytes(path or "bytes", value)
    known = isinstance(value, bytes) and len(value) > 64 and value.startswith(SIGNS)
    if (known or item.length >= _LARGE_BYTES) and len(found.strings) < _MAX_NESTED:
        found.strings.append(item)


def _array(path: str, value: Instance, around: _Around) -> Stored | None:
    """The array that a stand-in is, in any of the ways in which NumPy and joblib pickle it."""
    if isinstance(value.state, Raw):
        raw = value.state
        shape, element = sizes_or_none(raw.state.get("shape")), pickled_element(raw.state.get("dtype"))
        at = None if raw.length is None else (raw.offset, raw.length)
        return _stored(path, _Layout(shape, element, raw.state.get("order") == "F", at), around)
    if value.path not in _ARRAYS:
        return None
    if value.path.endswith("_frombuffer"):
        args = value.positional
        if len(args) < 4:
            return None
        data, order = args[0], args[3] == "F"
        shape, element = sizes_or_none(args[2]), pickled_element(args[1])
    else:
        state = value.state
        if not isinstance(state, tuple) or len(state) < 5:
            return None
        data, order = state[4], state[3] is True
        shape, element = sizes_or_none(state[1]), pickled_element(state[2])
    return _stored(path, _Layout(shape, element, order, extent(data, around[1])), around)


_Around = tuple[Place, Mapping[int, int], Hashable]
"""Where bytes of the pickle lie, `Trace.begins`, and what tells the array from others."""


class _Layout(NamedTuple):
    """Sizes, type and order of an array as pickled, and offset and length of its bytes where they can be told."""

    shape: tuple[int, ...] | None
    element: Element | None
    fortran: bool
    at: tuple[int, int] | None


def _stored(path: str, layout: _Layout, around: _Around) -> Stored | None:
    place, _, identity = around
    shape, element = layout.shape, layout.element
    if shape is None or element is None:
        return None
    size = None if element.size is None else (element_count(shape) or 0) * element.size
    location = place(*layout.at) if layout.at is not None and layout.at[1] == size and element.plain else None
    if location is not None and layout.fortran:
        location = msgspec.structs.replace(location, strides=fortran_strides(shape))
    return Stored(path, shape, element.name, size, location, identity=identity)


def fortran_strides(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Steps in elements of an array whose first axis is the fastest; None where that is C order too."""
    if sum(size > 1 for size in shape) < 2:
        return None
    steps, step = [], 1
    for size in shape:
        steps.append(step)
        step *= max(size, 1)
    return tuple(steps)


# What is inside


def _inside(found: Found, path: str, value: Any) -> list[tuple[str, Any]]:
    """Named items of a mapping, a sequence or an object, which is noted."""
    if not isinstance(value, Instance):
        return list(_items(value))
    if isinstance(value.state, Raw):
        return [("", value.state.value)]
    if value.path in _ARRAYS:
        return _elements(value.state)
    held = list(_items(value))
    attributes = attributes_of(value)
    if attributes is not None and attributes is not mapping_of(value):
        held.extend((_key(key), item) for key, item in attributes.items())
    elif isinstance(value.state, (tuple, list, bytes)):
        held.extend(_items(value.state) if not isinstance(value.state, bytes) else [("state", value.state)])
    if value.how == "called" and not held:
        held.extend((str(index), item) for index, item in enumerate(value.positional))
    if isinstance(value.maker, Global) and value.maker.module not in ("collections", "builtins", "copyreg", "_codecs"):
        found.objects.setdefault(path, value)
    return held


def _elements(state: Any) -> list[tuple[str, Any]]:
    """The objects of an array of objects; the only one of an array without axes is the array itself."""
    if not isinstance(state, tuple) or len(state) < 5 or not isinstance(state[4], list):
        return []
    if not sequence_of(state[1]) and len(state[4]) == 1:
        return [("", state[4][0])]
    return list(_items(state[4]))


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    held = mapping_of(value)
    if held is not None:
        yield from ((_key(key), item) for key, item in held.items())
        return
    for index, item in enumerate(sequence_of(value) or ()):
        yield str(index), item


def _key(key: Any) -> str:
    """One step of a way; a slash between steps, as Keras and JAX write names, is a dot here."""
    return text(key_text(key), _MAX_KEY).replace("/", ".").strip(".") or "_"


# Layers


def with_objects(layers: Iterable[Layer], objects: Mapping[str, Instance], root: str) -> tuple[Layer, ...]:
    """The layers, where an object is known with its class and plain attributes; a layer `root` for the outermost."""
    held = list(layers)
    if "" in objects and all(layer.path != root for layer in held):
        held.insert(0, Layer(path=root, name=root, kind="model"))
    left = _MAX_SETTINGS
    for index, layer in enumerate(held):
        value = objects.get("" if layer.path == root else layer.path)
        config = {} if value is None or left <= 0 else _config(value)
        left -= len(config)
        held[index] = _typed(layer, value, config)
    return tuple(held)


def _typed(layer: Layer, value: Instance | None, config: dict[str, Any]) -> Layer:
    if value is None or not isinstance(value.maker, Global):
        return layer
    module, name = value.maker.module or "?", value.maker.name or "?"
    kind = "custom" if layer.kind == "unknown" else layer.kind
    return msgspec.structs.replace(
        layer, type=text(name, 200), module=text(module, 200), type_source="recorded", kind=kind,
        custom=not module.startswith(("keras", "torch")), config={**layer.config, **config},
    )  # fmt: skip


def _config(value: Instance) -> dict[str, Any]:
    """Numbers, words and truth values among an object's attributes."""
    held = attributes_of(value) or {}
    plain = {
        key_text(key): item for key, item in held.items()
        if item is None or isinstance(item, (str, bool, int, float)) or number_of(item) is not None
    }  # fmt: skip
    return {text(key, _MAX_KEY): json_value(describe(plain[key])) for key in list(plain)[:_MAX_CONFIG]}
