"""The attributes of a graph's node as plain values: numbers, words, types, shapes and lists of these.

Knows AttrValue; must not know operations. Tensors and functions among the attributes are left out.
Source: tensorflow/core/framework/attr_value.proto.
"""

from __future__ import annotations

import math
import struct
from functools import lru_cache
from typing import Any

from service.config import Limits
from service.parsers.protobuf import BYTES, Field, message, packed, signed, text_of
from service.parsers.tensorflow_nodes import Node
from service.parsers.tensorflow_types import dtype_name, shape_of
from service.source import BytesSource, Meter, Source
from service.tree import Shape

_LIST, _TEXT, _INT, _FLOAT, _BOOL, _TYPE, _SHAPE = 1, 2, 3, 4, 5, 6, 7
_SHAPES = b"\n\x0e_output_shapes"
_MAX_TEXT = 1 << 10
_MAX_NAME = 1 << 12
_MAX_LIST = 1 << 10
_LEFT_OUT = frozenset({"T", "Tparams", "Tidx", "Tindices", "Tshape", "Tdim", "Tpaddings", "Tperm", "Taxis", "N", "U"})
"""Types of inputs, which say nothing of what a node does."""


def settings(source: Source, node: Node) -> dict[str, Any]:
    """The attributes of a node that set what it does, JSON values only; nodes with equal ones share the answer."""
    if not node.places:
        return _settings(node.attributes)
    found = dict(_settings(node.attributes))
    for place in node.places:
        key, value = _attribute(source, place)
        if value is not None and key[:1] != "_" and key not in _LEFT_OUT:
            plain = _value(source, value)
            if plain is not None:
                found[key] = plain
    return _by_name(found)


@lru_cache(maxsize=1 << 14)
def _settings(entries: tuple[bytes, ...]) -> dict[str, Any]:
    found = {}
    for entry in entries:
        source, key, value = _written(entry)
        if value is not None and key[:1] != "_" and key not in _LEFT_OUT:
            plain = _value(source, value)
            if plain is not None:
                found[key] = plain
    return _by_name(found)


def _by_name(found: dict[str, Any]) -> dict[str, Any]:
    """A node's attributes are in a map, which is written in any order."""
    return dict(sorted(found.items()))


def _written(entry: bytes) -> tuple[Source, str, Field | None]:
    """Name and value of a short attribute, and what holds them."""
    source = BytesSource(entry, Meter(Limits()))
    return source, *_attribute(source, Field(5, BYTES, 0, 0, len(entry)))


def _attribute(source: Source, place: Field) -> tuple[str, Field | None]:
    """Name of an attribute, and where its value stands."""
    key, value = "", None
    for part in message(source, place):
        if part.number == 1:
            key = text_of(source, part, _MAX_NAME)
        elif part.number == 2 and part.wire == BYTES:
            value = part
    return key, value


def recorded_shapes(source: Source, node: Node) -> tuple[Shape, ...] | None:
    """The output shapes that a node has been given, None if there are none or one is unknown."""
    for entry in node.attributes:
        if entry.startswith(_SHAPES):
            return _written_shapes(entry)
    for place in node.places:
        key, value = _attribute(source, place)
        if key == "_output_shapes" and value is not None:
            return _shapes(source, value)
    return None


@lru_cache(maxsize=1 << 14)
def _written_shapes(entry: bytes) -> tuple[Shape, ...] | None:
    source, _, value = _written(entry)
    return _shapes(source, value) if value is not None else None


def _shapes(source: Source, place: Field) -> tuple[Shape, ...] | None:
    found: list[Shape] = []
    for part in message(source, place):
        if part.number == _SHAPE and part.wire == BYTES:
            shape = shape_of(source, part)
            if shape is None:
                return None
            found.append(shape)
        elif part.number == _LIST and part.wire == BYTES:
            for item in message(source, part):
                shape = shape_of(source, item) if item.number == _SHAPE and item.wire == BYTES else None
                if shape is None:
                    return None
                found.append(shape)
    return tuple(found) or None


def _value(source: Source, place: Field) -> Any:
    for part in message(source, place):
        return _list(source, part) if part.number == _LIST and part.wire == BYTES else _single(source, part)
    return None


def _single(source: Source, part: Field) -> Any:
    """One value, None for a kind that is left out."""
    if part.number == _TEXT and part.wire == BYTES:
        return text_of(source, part, _MAX_TEXT)
    if part.number == _SHAPE and part.wire == BYTES:
        shape = shape_of(source, part)
        return None if shape is None else list(shape)
    if part.number == _FLOAT and part.wire == 5:
        value: float = struct.unpack("<f", part.value.to_bytes(4, "little"))[0]
        return value if math.isfinite(value) else str(value)
    if part.number == _BOOL:
        return bool(part.value)
    if part.number == _TYPE:
        return dtype_name(part.value)
    return signed(part.value) if part.number == _INT and part.wire != BYTES else None


def _list(source: Source, place: Field) -> list[Any] | None:
    found: list[Any] = []
    for part in message(source, place):
        if part.number == _INT:
            found.extend(signed(value) for value in packed(source, part, _MAX_LIST))
        elif part.number == _TYPE and part.wire == BYTES:
            found.extend(dtype_name(value) for value in packed(source, part, _MAX_LIST))
        elif part.number in (_TEXT, _SHAPE, _FLOAT, _BOOL, _TYPE):
            found.append(_single(source, part))
        if len(found) > _MAX_LIST:
            return None
    return found
