"""Writes GGUF files of any version, byte order and wrongness; no expectations in here."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

CODES = {"uint8": 0, "int8": 1, "uint16": 2, "int16": 3, "uint32": 4, "int32": 5, "float32": 6, "bool": 7, "string": 8,
         "array": 9, "uint64": 10, "int64": 11, "float64": 12}  # fmt: skip
LETTERS = {"uint8": "B", "int8": "b", "uint16": "H", "int16": "h", "uint32": "I", "int32": "i", "float32": "f",
           "bool": "B", "uint64": "Q", "int64": "q", "float64": "d"}  # fmt: skip


class Tensor(NamedTuple):
    """`dims` fastest first; `offset` within the data."""

    name: str
    dims: tuple[int, ...] = (32,)
    type: int = 0
    offset: int = 0


class Writer(NamedTuple):
    """One way to write: version and byte order."""

    version: int = 3
    order: str = "<"

    def number(self, value: int) -> bytes:
        return struct.pack(self.order + ("I" if self.version == 1 else "Q"), value)

    def string(self, value: str) -> bytes:
        data = value.encode()
        return self.number(len(data)) + data

    def value(self, kind: str, value: Any) -> bytes:
        """A value without its type; an array as (type of its elements, elements)."""
        if kind == "string":
            return self.string(value)
        if kind == "array":
            inner, items = value
            start = struct.pack(self.order + "I", CODES[inner]) + self.number(len(items))
            return start + b"".join(self.value(inner, item) for item in items)
        return struct.pack(self.order + LETTERS[kind], value)

    def header(
        self, keys: Sequence[tuple[str, str, Any]] = (), tensors: Sequence[Tensor] = (), counts: Any = None
    ) -> bytes:
        """Everything before the padding; `counts` of tensors and keys, where they shall lie."""
        said = counts or (len(tensors), len(keys))
        parts = [b"GGUF", struct.pack(self.order + "I", self.version), *(self.number(count) for count in said)]
        for key, kind, value in keys:
            parts += [self.string(key), struct.pack(self.order + "I", CODES[kind]), self.value(kind, value)]
        for tensor in tensors:
            parts += [self.string(tensor.name), struct.pack(self.order + "I", len(tensor.dims))]
            parts += [self.number(size) for size in tensor.dims]
            parts.append(struct.pack(self.order + "IQ", tensor.type, tensor.offset))
        return b"".join(parts)

    def file(
        self, keys: Sequence[tuple[str, str, Any]] = (), tensors: Sequence[Tensor] = (), data: int = 0, align: int = 32
    ) -> bytes:
        """A whole file with `data` zero bytes behind the padding."""
        header = self.header(keys, tensors)
        return header + bytes(-len(header) % align) + bytes(data)
