"""A safetensors header as named arrays, and whether the bytes it speaks of are there; knows no folder and no layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from service.catalog.integrity import Extent, check_extents, fills, listed, truncated, wrong_size
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
    needed = max((one.end for one in header.arrays.values()), default=0)
    return Described(
        arrays=[*arrays, *_tied(arrays, ties)],
        names=list(header.arrays),
        bytes=sum(one.end - one.begin for one in header.arrays.values()),
        metadata={
            text(key, 200): text(value if isinstance(value, str) else str(value)[:200])
            for key, value in list(header.metadata.items())[:_MAX_TAGS]
            if key not in ties
        },
        framework=framework,
        findings=[*listed("data_wrong_size", lying), *_integrity(header, needed, member), *_metadata(header, member)],
        notes=_notes(header, needed, member),
        complete=needed <= header.size,
    )


def _arrays(
    header: Header, limits: Limits, member: str | None, framework: str, ties: Mapping[str, str]
) -> tuple[list[Stored], list[Finding]]:
    found: list[Stored] = []
    lying: list[Finding] = []
    names = _dotted(header.arrays) if framework == "tensorflow" else {}
    apart = not ties and len({one.begin for one in header.arrays.values()}) == len(header.arrays)
    total = 0
    for key, one in header.arrays.items():
        dtype, bits = ELEMENTS.get(one.dtype) or (text(one.dtype, 64), None)
        count = math.prod(one.shape)
        total += count
        if total > limits.elements:
            detail = msg("The weights add up to more elements than any model has.")
            raise LimitExceeded("elements", limits.elements, detail, member=member, pointer=text(key, 200))
        length = one.end - one.begin
        if bits is not None and length * 8 != count * bits and length != (count * bits + 7) // 8:
            lying.append(wrong_size(key, length, (count * bits + 7) // 8))
        location = Location(member=member, offset=header.start + one.begin, length=length)
        found.append(
            Stored(
                name=names.get(key, key),
                shape=one.shape,
                dtype=dtype,
                bytes=length,
                location=location if one.end <= header.size else None,
                stored_as=key,
                identity=None if apart or not length else (member, one.begin, one.end, one.dtype, one.shape),
            )
        )
    return found, lying


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
        content = source.read_at(header.start + place.begin, place.end - place.begin)
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


def _integrity(header: Header, needed: int, member: str | None) -> list[Finding]:
    if fills(((one.begin, one.end) for one in header.arrays.values()), header.size):
        return []
    extents = [Extent(name, one.begin, one.end) for name, one in header.arrays.items()]
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


def _notes(header: Header, needed: int, member: str | None) -> list[Message]:
    notes: list[Message] = []
    unknown = sorted({one.dtype for one in header.arrays.values()} - ELEMENTS.keys())
    if unknown:
        shown = [text(name, 64) for name in unknown[:10]]
        notes.append(
            msg("The element types {types} are not known here: their bytes are as the header has them.", types=shown)
        )
    if needed > header.size:
        notes.append(_cut(header, needed, member))
    return notes


def _cut(header: Header, needed: int, member: str | None) -> Message:
    name: Message | str = msg("the file") if member is None else text(member, 200)
    if not header.size:
        return msg("Only the header of {member} was sent: values cannot be looked at.", member=name)
    gone = sum(one.end > header.size for one in header.arrays.values())
    return msg(
        "The data of {member} has {size} of {needed} bytes: {gone} arrays are not, or not wholly, there.",
        member=name, size=header.size, needed=needed, gone=gone,
    )  # fmt: skip
