"""Writes any flatbuffer from plain data with the official library, so that tests can make files of any schema.

A dict is a table by field number; a str a string; bytes a vector of bytes; `(code, number)` a scalar by its code in
`struct`, `(code, [numbers])` a vector of such; a list of dicts or strs a vector of tables or strings.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
from flatbuffers import number_types as kinds

_KINDS = {
    "?": kinds.BoolFlags, "b": kinds.Int8Flags, "B": kinds.Uint8Flags, "h": kinds.Int16Flags, "H": kinds.Uint16Flags,
    "i": kinds.Int32Flags, "I": kinds.Uint32Flags, "q": kinds.Int64Flags, "Q": kinds.Uint64Flags,
    "f": kinds.Float32Flags, "d": kinds.Float64Flags,
}  # fmt: skip


def write(root: dict[int, Any], identifier: bytes | None = None) -> bytes:
    """The file whose root table is `root`."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_table(builder, root), identifier)
    return bytes(builder.Output())


def _table(builder: flatbuffers.Builder, fields: dict[int, Any]) -> int:
    made = {number: _offset(builder, value) for number, value in fields.items() if not _is_scalar(value)}
    builder.StartObject(max(fields, default=-1) + 1)
    for number, value in fields.items():
        if number in made:
            builder.PrependUOffsetTRelative(made[number])
        else:
            builder.Prepend(_KINDS[value[0]], value[1])
        builder.Slot(number)
    return int(builder.EndObject())


def _is_scalar(value: Any) -> bool:
    return isinstance(value, tuple) and not isinstance(value[1], list)


def _offset(builder: flatbuffers.Builder, value: Any) -> int:
    if isinstance(value, dict):
        return _table(builder, value)
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, bytes):
        return int(builder.CreateByteVector(value))
    if isinstance(value, tuple):
        kind = _KINDS[value[0]]
        builder.StartVector(kind.bytewidth, len(value[1]), max(kind.bytewidth, 4))
        for item in reversed(value[1]):
            builder.Prepend(kind, item)
        return int(builder.EndVector())
    made = [_offset(builder, item) for item in value]
    builder.StartVector(4, len(made), 4)
    for item in reversed(made):
        builder.PrependUOffsetTRelative(item)
    return int(builder.EndVector())
