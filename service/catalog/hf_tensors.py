"""A safetensors header as named arrays, and whether the bytes it speaks of are there; knows no folder and no layer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from service.catalog.integrity import Extent, check_extents, listed, truncated, wrong_size
from service.catalog.named import Stored
from service.config import Limits
from service.errors import LimitExceeded
from service.language import Message, msg
from service.parsers.safetensors import ELEMENTS, Array, Header, read_header
from service.plain import text
from service.source import Source
from service.tree import Finding, Location

_FRAMEWORKS: Mapping[str, str] = {
    "pt": "torch", "tf": "tensorflow", "flax": "jax", "jax": "jax", "mlx": "mlx", "np": "numpy", "numpy": "numpy",
    "paddle": "paddle", "pd": "paddle",
}  # fmt: skip
"""`format` of `__metadata__` -> framework."""
_SIZES = (".weight_shape", ".shape")
"""Last steps of arrays that hold the sizes of a packed one (compressed-tensors, HQQ)."""
_MAX_CONTENT = 4096
_MAX_CONTENTS = 20_000
_MAX_LISTED = 50
_MAX_TAGS = 500


@dataclass(frozen=True, slots=True)
class Described:
    """One safetensors file.

    Attributes:
        arrays: Its arrays, in the header's order; the tied ones that its metadata names behind them.
        names: Names of the arrays that are really in it.
        bytes: Bytes that its arrays have by the header.
        metadata: `__metadata__` as texts, without what says which weights are tied.
        framework: Who wrote it by its metadata, `unknown` where that does not say.
        complete: Whether all arrays' bytes are there.
    """

    arrays: Sequence[Stored]
    names: Sequence[str]
    bytes: int
    metadata: Mapping[str, str]
    framework: str
    findings: Sequence[Finding]
    notes: Sequence[Message]
    complete: bool


def describe_file(source: Source, limits: Limits, member: str | None = None) -> Described:
    """What a safetensors file holds. `member` is its name where the upload has several files.

    Raises:
        TruncatedFile: It ends within its header.
        MalformedFile: Its header breaks the format's rules.
        LimitExceeded: It is more than one analysis may describe.
    """
    header = read_header(source, limits, member)
    framework = _FRAMEWORKS.get(str(header.metadata.get("format")), "unknown")
    ties = _ties(header)
    arrays, lying = _arrays(header, limits, member, framework, ties)
    arrays = _with_contents(arrays, header, source)
    return Described(
        arrays=[*arrays, *_tied(arrays, ties)],
        names=list(header.arrays),
        bytes=header.bytes,
        metadata={
            text(key, 200): text(value if isinstance(value, str) else str(value)[:200])
            for key, value in list(header.metadata.items())[:_MAX_TAGS]
            if key not in ties
        },
        framework=framework,
        findings=[*listed("data_wrong_size", lying), *_integrity(header, member), *_metadata(header, member)],
        notes=_notes(header, member),
        complete=header.needed <= header.size,
    )


class _Sort(NamedTuple):
    """What holds for all arrays of one element type and shape.

    Attributes:
        dtype: As it is spelled here.
        shape: The same object for all of them.
        elements: Of one.
        bytes: What one takes; None where the type is not known.
    """

    dtype: str
    shape: tuple[int, ...]
    elements: int
    bytes: int | None


def _sort(dtype: str, shape: tuple[int, ...]) -> _Sort:
    named, bits = ELEMENTS.get(dtype) or (text(dtype, 64), None)
    count = math.prod(shape)
    return _Sort(named, shape, count, None if bits is None else (count * bits + 7) // 8)


def _arrays(
    header: Header, limits: Limits, member: str | None, framework: str, ties: Mapping[str, str]
) -> tuple[list[Stored], list[Finding]]:
    """The arrays, and what is wrong with their sizes."""
    found: list[Stored] = []
    lying: list[Finding] = []
    sorts: dict[tuple[str, tuple[int, ...]], _Sort] = {}
    names = _dotted(header.arrays) if framework == "tensorflow" else {}
    shared = _shared(header, ties)
    start, size, most, total = header.start, header.size, limits.elements, 0
    for key, one in header.arrays.items():
        sort = sorts.get((one.dtype, one.shape))
        if sort is None:
            sort = sorts[one.dtype, one.shape] = _sort(one.dtype, one.shape)
        dtype, shape, count, needed = sort
        begin, end = one.data_offsets
        length = end - begin
        total += count
        if total > most:
            detail = msg("The weights add up to more elements than any model has.")
            raise LimitExceeded("elements", most, detail, member=member, pointer=text(key, 200))
        if length != needed and needed is not None:
            lying.append(wrong_size(key, length, needed))
        found.append(
            Stored(
                name=names.get(key, key) if names else key,
                shape=shape,
                dtype=dtype,
                bytes=length,
                location=Location(member=member, offset=start + begin, length=length) if end <= size else None,
                stored_as=key,
                identity=(member, begin, end, one.dtype, shape) if begin in shared and length else None,
            )
        )
    return found, lying


def _shared(header: Header, ties: Mapping[str, str]) -> Container[int]:
    """Where the bytes begin that may be those of several arrays."""
    if header.gapless and not ties:
        return ()
    seen = Counter(one.data_offsets[0] for one in header.arrays.values())
    kept = {header.arrays[name].data_offsets[0] for name in ties.values()}
    return kept.union(begin for begin, times in seen.items() if times > 1)


def _with_contents(arrays: list[Stored], header: Header, source: Source) -> list[Stored]:
    """The arrays, those with their bytes that hold the sizes of a packed one: a few numbers or a few words each."""
    wanted = [
        index
        for index, one in enumerate(arrays)
        if (".quant_state." in one.name or one.name.endswith(_SIZES))
        and one.location is not None
        and 0 < (one.bytes or 0) <= _MAX_CONTENT
    ]
    for index in wanted[:_MAX_CONTENTS]:
        one = arrays[index]
        place = header.arrays[one.stored_as or one.name]
        begin, end = place.data_offsets
        content = source.read_at(header.start + begin, end - begin)
        arrays[index] = msgspec.structs.replace(one, content=content)
    return arrays


def _dotted(arrays: Mapping[str, Array]) -> Mapping[str, str]:
    """TensorFlow's names, `model/layer/kernel:0`, with dots between their steps; empty where two would be the same."""
    names = {key: key.removesuffix(":0").replace("/", ".") for key in arrays}
    return names if len(set(names.values())) == len(names) else {}


def _ties(header: Header) -> Mapping[str, str]:
    """Weights that were left out as they share another's storage: `safetensors.torch.save_model` names them."""
    return {
        name: kept
        for name, kept in header.metadata.items()
        if isinstance(kept, str) and kept in header.arrays and name not in header.arrays
    }


def _tied(arrays: Sequence[Stored], ties: Mapping[str, str]) -> list[Stored]:
    if not ties:
        return []
    held = {one.stored_as: one for one in arrays}
    return [
        Stored(
            name=name,
            shape=held[kept].shape,
            dtype=held[kept].dtype,
            bytes=held[kept].bytes,
            location=held[kept].location,
            identity=held[kept].identity or held[kept].name,
        )
        for name, kept in ties.items()
    ]


def _integrity(header: Header, member: str | None) -> list[Finding]:
    needed = header.needed
    if header.gapless and needed == header.size:
        return []
    extents = [Extent(name, *one.data_offsets) for name, one in header.arrays.items()]
    if not header.size:  # a header alone: there is no end to be beyond
        return check_extents(extents, needed, member=member)
    cut = [truncated(needed, header.size, member)] if needed > header.size else []
    return [*cut, *check_extents(extents, header.size, member=member)]


def _metadata(header: Header, member: str | None) -> list[Finding]:
    odd = [key for key, value in header.metadata.items() if not isinstance(value, str)]
    found = [
        Finding(
            rule="metadata_not_text",
            severity="medium",
            path=member,
            what=msg("The value of {key} in __metadata__ is not a text.", key=text(key, 200)),
            why=msg("The format allows texts only: the safetensors library refuses the file."),
        )
        for key in odd[: _MAX_LISTED + 1]
    ]
    return listed("metadata_not_text", found)


def _notes(header: Header, member: str | None) -> list[Message]:
    notes: list[Message] = []
    unknown = sorted({one.dtype for one in header.arrays.values()} - ELEMENTS.keys())
    if unknown:
        shown = [text(name, 64) for name in unknown[:10]]
        notes.append(
            msg("The element types {types} are not known here: their bytes are as the header has them.", types=shown)
        )
    if header.needed > header.size:
        notes.append(_cut(header, member))
    return notes


def _cut(header: Header, member: str | None) -> Message:
    name: Message | str = msg("the file") if member is None else text(member, 200)
    if not header.size:
        return msg("Only the header of {member} was sent: values cannot be looked at.", member=name)
    gone = sum(one.data_offsets[1] > header.size for one in header.arrays.values())
    return msg(
        "The data of {member} has {size} of {needed} bytes: {gone} arrays are not, or not wholly, there.",
        member=name, size=header.size, needed=header.needed, gone=gone,
    )  # fmt: skip
