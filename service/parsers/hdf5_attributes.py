"""Attribute values and type names of HDF5 objects; knows the library's types, not what an attribute means.

Only text and small numbers are read. Everything else (compounds, references, opaque) becomes None: present,
not looked into.
"""

from __future__ import annotations

from typing import Any, Union

import numpy as np
from h5py import h5a, h5t

from service.errors import LimitExceeded, MalformedFile

Value = Union[bytes, int, float, tuple[Union[bytes, int, float], ...], None]
"""Text as the bytes that are stored, a number, a flat tuple of either, or None for what is not read."""

MAX_NUMBERS = 64
"""Numeric attributes longer than this are data, not description."""

_READ = frozenset({h5t.STRING, h5t.INTEGER, h5t.FLOAT})
_RAW_TYPES = frozenset({"bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4"})
"""Types that Keras stores as raw bytes and names in an attribute `dtype`."""


class AttributeBudget:
    """Counts attribute bytes over a whole file and stops at the limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0

    def take(self, size: int) -> None:
        """Count `size` bytes; LimitExceeded past the limit."""
        self._used += size
        if self._used > self._limit:
            raise LimitExceeded("hdf5_attribute_bytes", self._limit, "The file's attributes are too large.")


def attributes_of(handle: Any, budget: AttributeBudget) -> dict[str, Value]:
    """All attributes of an open object by name."""
    count = h5a.get_num_attrs(handle)
    found: dict[str, Value] = {}
    for index in range(count):
        attribute = h5a.open(handle, index=index)
        name = attribute.name.decode("utf-8", errors="replace")
        found[name] = _value(attribute, budget)
    return found


def _value(attribute: Any, budget: AttributeBudget) -> Value:
    kind = attribute.get_type()
    shape = attribute.shape
    if shape is None or kind.get_class() not in _READ:
        return None
    elements = 1
    for size in shape:
        elements *= size
    is_text = kind.get_class() == h5t.STRING
    if elements == 0 or (not is_text and elements > MAX_NUMBERS):
        return () if is_text or elements == 0 else None
    budget.take(elements * kind.get_size())
    values = np.empty(shape, dtype=attribute.dtype)
    attribute.read(values)
    return _plain(values, budget) if is_text else _numbers(values)


def _plain(values: Any, budget: AttributeBudget) -> Value:
    """Text of a string attribute; variable-length pieces are counted once they are there."""
    pieces = tuple(_bytes(item) for item in values.ravel().tolist())
    budget.take(sum(map(len, pieces)))
    return pieces[0] if values.shape == () else pieces


def _bytes(item: Any) -> bytes:
    if isinstance(item, bytes):
        return item
    return item.encode("utf-8", errors="surrogateescape") if isinstance(item, str) else b""


def _numbers(values: Any) -> Value:
    items = values.ravel().tolist()
    return items[0] if values.shape == () else tuple(items)


def texts(attributes: dict[str, Value], name: str) -> tuple[str, ...] | None:
    """A list attribute as text, also where Keras split it into `name0`, `name1` ...; None if there is none.

    Raises:
        MalformedFile: The attribute is there and is not a list of text.
    """
    if name in attributes:
        return _texts(attributes[name], name)
    parts: list[str] = []
    number = 0
    while f"{name}{number}" in attributes:
        parts.extend(_texts(attributes[f"{name}{number}"], name))
        number += 1
    return tuple(parts) if number else None


def _texts(value: Value, name: str) -> tuple[str, ...]:
    items = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(item, bytes) for item in items):
        raise MalformedFile(f"The attribute {name} should be a list of text.")
    return tuple(item.decode("utf-8", errors="replace") for item in items if isinstance(item, bytes))


def text_of(attributes: dict[str, Value], name: str) -> str | None:
    """A text attribute, None if there is none or it is not text."""
    value = attributes.get(name)
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else None


def type_name(kind: Any, attributes: dict[str, Value]) -> str:
    """A dataset's element type: numpy's name, or what Keras notes in the attribute `dtype` beside raw bytes."""
    named = text_of(attributes, "dtype")
    if named in _RAW_TYPES:
        return named
    dtype = kind.dtype
    if dtype.kind in "OSU":
        return "string"
    return str(dtype.name) if dtype.names is None else "compound"
