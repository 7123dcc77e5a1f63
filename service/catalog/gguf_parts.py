"""The files of one GGUF model and the tensors in them, with their sizes; knows no layer and no finding."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service.catalog.gguf_types import TYPES, stored_bytes
from service.errors import MalformedFile
from service.language import msg
from service.parsers.gguf import Header, TensorInfo, Value
from service.plain import text, whole

_MAX_ELEMENTS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Part:
    """One file: its name where there are several, its size and its header."""

    name: str | None
    size: int
    header: Header

    @property
    def number(self) -> int:
        """Which part of a split model it is, from 0."""
        return whole(self.header.metadata.get("split.no")) or 0

    @property
    def count(self) -> int:
        """Of how many parts the model is, 1 where it is not split."""
        return max(whole(self.header.metadata.get("split.count")) or 1, 1)


class Held(NamedTuple):
    """One tensor. `shape` outputs first; `begin` in the file; `exact` is false where `bytes` is the room it has."""

    part: Part
    info: TensorInfo
    shape: tuple[int, ...]
    begin: int
    bytes: int | None
    exact: bool


def held_in(part: Part) -> list[Held]:
    """The tensors of one file, in its order.

    The size of a type that is not known is the distance to the next tensor or to the end, padding included.

    Raises:
        MalformedFile: Sizes that multiply to more than 64 bits can count.
    """
    found = [_held(part, info) for info in part.header.tensors]
    if all(one.exact for one in found):
        return found
    offsets = sorted({info.offset for info in part.header.tensors} | {max(0, part.size - part.header.data)})
    return [one if one.exact else one._replace(bytes=_room(offsets, one.info.offset)) for one in found]


def _held(part: Part, info: TensorInfo) -> Held:
    if math.prod(info.dims) > _MAX_ELEMENTS:
        what = msg("The sizes of {name} multiply to more than 64 bits can count.", name=text(info.name, 200))
        raise MalformedFile(what, offset=info.at, member=part.name)
    size = stored_bytes(info.type, info.dims)
    return Held(part, info, info.dims[::-1], part.header.data + info.offset, size, size is not None)


def _room(offsets: Sequence[int], offset: int) -> int | None:
    """Bytes from `offset` to the next one; None for the last, where the file ends before it."""
    following = bisect_right(offsets, offset)
    return offsets[following] - offset if following < len(offsets) else None


def unique(held: Sequence[Held]) -> list[Held]:
    """Without later tensors of a name that was there before."""
    first: dict[str, Held] = {}
    for one in held:
        first.setdefault(one.info.name, one)
    return list(first.values())


def is_told(one: Held) -> bool:
    """Whether its bytes are numbers, or blocks of them, of a type that is known, least significant byte first."""
    return one.info.type in TYPES and not one.part.header.big_endian


def merged(parts: Sequence[Part]) -> dict[str, Value]:
    """The metadata of all parts; the first part has nearly everything."""
    found: dict[str, Value] = {}
    for part in parts:
        for key, value in part.header.metadata.items():
            found.setdefault(key, value)
    return found
