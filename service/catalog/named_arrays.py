"""What named arrays are before anybody says what they mean: name, sizes, type, place; knows no layer, no file."""

from __future__ import annotations

from collections.abc import Hashable

import msgspec

from service.basis import Group
from service.tree import Location

Sizes = tuple[int, ...]
Blob = bytes


class Stored(msgspec.Struct, frozen=True, gc=False):
    """One array as a file has it.

    Attributes:
        name: Its full name; steps are separated by dots.
        shape: Logical sizes in the order of the framework that made the names; None where not told.
        dtype: Element type as `Weight.dtype` spells it.
        bytes: Stored size, None if unknown.
        location: Where its bytes lie.
        stored_as: The full key in the file where that is not `name`.
        identity: Equal for arrays that are the same bytes (tied weights); None for one of its own.
        stored_count: Elements as stored, where blocks or packing make it differ from the product of `shape`.
        trainable: As recorded, None where the file does not say.
        statistic: Whether the file itself says that it is no parameter (a buffer, `batch_stats`).
        role: What it is, where the file itself says so; else it is concluded.
        group: Who learns it, where the file itself says so.
        content: Its bytes, where it is small and describes another array (bitsandbytes' `quant_state`,
            compressed-tensors' `weight_shape`) and the reader has read it.
    """

    name: str
    shape: Sizes | None
    dtype: str | None
    bytes: int | None = None
    location: Location | None = None
    stored_as: str | None = None
    identity: Hashable = None
    stored_count: int | None = None
    trainable: bool | None = None
    statistic: bool | None = None
    role: str | None = None
    group: Group | None = None
    content: Blob | None = None
