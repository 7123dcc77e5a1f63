"""Sizes of a packed kernel as they are stored in a small array of its own; knows bytes, no layer."""

from __future__ import annotations

from typing import Any

from service.catalog.named_arrays import Sizes
from service.errors import InputError
from service.parsers.json_text import parse

_MAX_BYTES = 1 << 16
_MAX_RANK = 8
_MAX_SIZE = 2**63 - 1
_WIDTHS = {"int64": 8, "int32": 4, "uint32": 4, "uint64": 8}


def shape_in_json(content: bytes | None) -> Sizes | None:
    """`shape` in the JSON that bitsandbytes packs into `quant_state`; None where it is not that."""
    if content is None or len(content) > _MAX_BYTES:
        return None
    try:
        found: Any = parse(content, max_bytes=_MAX_BYTES, max_depth=8)
    except InputError:
        return None
    return _sizes(found.get("shape")) if isinstance(found, dict) else None


def shape_in_numbers(content: bytes | None, dtype: str | None) -> Sizes | None:
    """Sizes as the little-endian whole numbers of an array; None for anything else."""
    width = _WIDTHS.get(dtype or "")
    if content is None or width is None or not content or len(content) % width or len(content) > width * _MAX_RANK:
        return None
    return _sizes([int.from_bytes(content[at : at + width], "little", signed=True)
                   for at in range(0, len(content), width)])  # fmt: skip


def _sizes(value: Any) -> Sizes | None:
    if not isinstance(value, list) or not 0 < len(value) <= _MAX_RANK:
        return None
    return tuple(value) if all(type(size) is int and 0 <= size <= _MAX_SIZE for size in value) else None
