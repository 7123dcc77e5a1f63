"""The attributes of a graph's node as plain values: numbers, words, types, shapes and lists of these.

Knows AttrValue; must not know operations. Tensors and functions among the attributes are left out.
Source: tensorflow/core/framework/attr_value.proto.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

from service.parsers.protobuf import BYTES, Field, message, packed, signed, text_of
from service.parsers.tensorflow_types import dtype_name, shape_of
from service.source import Source
from service.tree import Shape

_LIST, _TEXT, _INT, _FLOAT, _BOOL, _TYPE, _SHAPE = 1, 2, 3, 4, 5, 6, 7
_MAX_TEXT = 1 << 10
_MAX_LIST = 1 << 10
_LEFT_OUT = frozenset({"T", "Tparams", "Tidx", "Tindices", "Tshape", "Tdim", "Tpaddings", "Tperm", "Taxis", "N", "U"})
"""Types of inputs, which say nothing of what a node does."""


def settings(source: Source, places: Mapping[str, Field]) -> dict[str, Any]:
    """The attributes of a node that set what it does, JSON values only; `places` of all, by name."""
    found: dict[str, Any] = {}
    for name, place in places.items():
        if name[:1] != "_" and name not in _LEFT_OUT:
            value = _value(source, place)
            if value is not None:
                found[name] = value
    return found


def recorded_shapes(source: Source, places: Mapping[str, Field]) -> tuple[Shape, ...] | None:
    """The output shapes that a node has been given, None if there are none or one is unknown."""
    place = places.get("_output_shapes")
    if place is None:
        return None
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
