"""The weights manifest of TensorFlow.js: names, shapes, types and quantization, and how they lie in the shards.

Knows the JSON of `weightsManifest`; must not know layers or graphs.
Source: tfjs-core/src/io/types.ts and io_utils.ts (WeightsManifestConfig, decodeWeights).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any, NamedTuple

from service.catalog.integrity import truncated
from service.catalog.tf_variables import Variable, byte_count
from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.language import Message, msg
from service.plain import text
from service.source import Source
from service.tree import Danger, Finding, Location, Shape, element_count

_STORED = frozenset({"uint8", "uint16", "float16"})
_KINDS = frozenset(
    {
        "float32",
        "int32",
        "bool",
        "string",
        "uint8",
        "uint16",
        "float16",
        "complex64",
        "int64",
        "float64",
        "int8",
        "int16",
    }
)
_MAX_PATHS = 10_000
_MAX_WORDS = 100_000
"""Most strings whose lengths are looked at: they tell where the weights behind them lie."""


class Entry(NamedTuple):
    """One weight as listed. `dtype` is as stored; `meant` what it stands for where it is quantized."""

    name: str
    shape: Shape
    dtype: str
    meant: str | None
    optimizer: bool


class Group(NamedTuple):
    """Weights that lie one after the other in the files `paths`, which follow one another too."""

    paths: tuple[str, ...]
    entries: tuple[Entry, ...]


class Laid(NamedTuple):
    """The weights with their places, what is missing or wrong, and what to say."""

    variables: list[Variable]
    optimizer: list[Variable]
    findings: list[Finding]
    notes: list[Message]
    complete: bool


def read_manifest(value: Any, limits: Limits, pointer: str = "/weightsManifest") -> tuple[Group, ...]:
    """The groups of a manifest; MalformedFile with the pointer of what cannot be."""
    if not isinstance(value, list):
        raise MalformedFile(msg("A weights manifest is a list of groups."), pointer=pointer)
    groups: list[Group] = []
    room = limits.weights
    for index, item in enumerate(value):
        group = _group(item, f"{pointer}/{index}", limits)
        room -= len(group.entries)
        if room < 0:
            raise LimitExceeded("weights", limits.weights, msg("The manifest lists too many weights."))
        groups.append(group)
    return tuple(groups)


def path_dangers(groups: Iterable[Group], member: str | None) -> tuple[Danger, ...]:
    """Paths that a loader would follow out of the model's folder."""
    found = []
    for group in groups:
        for path in group.paths:
            steps = path.replace("\\", "/").split("/")
            if ".." in steps or steps[0] == "" or "://" in path or steps[0].endswith(":"):
                found.append(
                    Danger(
                        code="tfjs_path",
                        severity="high",
                        what=msg(
                            "The manifest names a weights file outside the model's folder, which a loader would fetch."
                        ),
                        member=member,
                        detail=text(path, 500),
                    )
                )
    return tuple(found[:100])


def lay_out(groups: Iterable[Group], files: Mapping[str, tuple[str, Source]]) -> Laid:
    """Where each weight lies, as far as the files are there: `files` are name and source of the paths that are."""
    laid = Laid([], [], [], [], True)
    complete = True
    for group in groups:
        there = [files.get(path) for path in group.paths]
        missing = [path for path, one in zip(group.paths, there, strict=True) if one is None]
        complete = complete and not missing
        known = [one for one in there if one is not None]
        if missing and files:
            laid.findings.extend(_missing(path) for path in missing[:50])
        whole = _Files(known if not missing else [])
        needed = _place(group, whole, laid)
        if not missing:
            laid.findings.extend(_length(needed, group, whole))
    if not complete and not files:
        laid.notes.append(
            msg(
                "The weights files were not uploaded: names, shapes and types come from the manifest, the values are "
                "not here."
            )
        )
    quantized = [entry for group in groups for entry in group.entries if entry.meant is not None]
    if quantized:
        laid.notes.append(
            msg(
                "{n} weights are stored quantized as {dtypes}, with a scale and a minimum or at half precision; a "
                "loader turns them back.",
                n=len(quantized),
                dtypes=tuple(sorted({entry.dtype for entry in quantized})),
            )
        )
    return laid._replace(complete=complete)


def _group(item: Any, pointer: str, limits: Limits) -> Group:
    paths = item.get("paths", []) if isinstance(item, dict) else None
    weights = item.get("weights") if isinstance(item, dict) else None
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths) or not isinstance(weights, list):
        raise MalformedFile(msg("A group of the weights manifest has no lists of paths and weights."), pointer=pointer)
    if len(paths) > _MAX_PATHS:
        raise LimitExceeded("paths", _MAX_PATHS, msg("The manifest names too many files."), value=len(paths))
    entries = tuple(_entry(one, f"{pointer}/weights/{index}", limits) for index, one in enumerate(weights))
    return Group(tuple(paths), entries)


def _entry(item: Any, pointer: str, limits: Limits) -> Entry:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise MalformedFile(msg("A weight of the manifest has no name."), pointer=pointer)
    shape, dtype = item.get("shape"), item.get("dtype")
    if (
        not isinstance(shape, list)
        or len(shape) > 64
        or not all(type(size) is int and 0 <= size <= limits.dimension for size in shape)
    ):
        raise MalformedFile(msg("A weight of the manifest has no shape."), pointer=f"{pointer}/shape")
    if not isinstance(dtype, str) or dtype not in _KINDS:
        raise MalformedFile(
            msg("A weight of the manifest has the type {dtype}, which does not exist.", dtype=text(str(dtype), 100)),
            pointer=f"{pointer}/dtype",
        )
    stored = _stored(item.get("quantization"), pointer)
    return Entry(
        name=text(item["name"].removesuffix(":0")),
        shape=tuple(shape),
        dtype=stored or dtype,
        meant=dtype if stored is not None else None,
        optimizer=item.get("group") == "optimizer",
    )


def _stored(quantization: Any, pointer: str) -> str | None:
    """The type that a quantized weight is stored as, None for one that is not."""
    if not isinstance(quantization, dict):
        return None
    dtype = quantization.get("dtype")
    if not isinstance(dtype, str) or dtype not in _STORED:
        raise MalformedFile(
            msg("A weight is quantized to the type {dtype}, which is not known.", dtype=text(str(dtype), 100)),
            pointer=f"{pointer}/quantization/dtype",
        )
    return dtype


class _Files:
    """The files of one group as if they were one."""

    def __init__(self, files: list[tuple[str, Source]]) -> None:
        self.files = files
        self.ends = list(accumulate(source.size for _, source in files))
        self._room = _MAX_WORDS

    def place(self, begin: int, length: int) -> Location | None:
        """Where `length` bytes from `begin` lie, if they lie in one file."""
        number = bisect_right(self.ends, begin)
        if number == len(self.ends) or begin + length > self.ends[number]:
            return None
        name, source = self.files[number]
        return Location(member=name, offset=begin - (self.ends[number] - source.size), length=length)

    def words(self, begin: int, count: int) -> int | None:
        """Bytes of `count` strings from `begin`, each behind its length; None where that cannot be told."""
        at = begin
        self._room -= count
        if self._room < 0:
            return None
        for _ in range(count):
            place = self.place(at, 4)
            if place is None or place.offset is None:
                return None
            source = self.files[bisect_right(self.ends, at)][1]
            at += 4 + int.from_bytes(source.read_at(place.offset, 4), "little")
        return at - begin


def _place(group: Group, files: _Files, laid: Laid) -> int | None:
    """Append the group's weights with their places; the bytes that they need, None where that cannot be told."""
    at: int | None = 0
    for entry in group.entries:
        size = byte_count(entry.shape, entry.dtype)
        if size is None and at is not None:
            size = files.words(at, element_count(entry.shape) or 0)
        location = files.place(at, size) if at is not None and size else None
        target = laid.optimizer if entry.optimizer else laid.variables
        target.append(
            Variable(
                name=entry.name,
                key=entry.name,
                shape=entry.shape,
                dtype=entry.dtype,
                bytes=size,
                location=location if entry.dtype != "string" else None,
                meant=entry.meant,
            )
        )
        at = None if at is None or size is None else at + size
    return at


def _length(needed: int | None, group: Group, files: _Files) -> Iterable[Finding]:
    """Whether the files have as many bytes as the weights need."""
    there = files.ends[-1] if files.ends else 0
    least = sum(byte_count(entry.shape, entry.dtype) or 0 for entry in group.entries) if needed is None else needed
    if there < least:
        yield truncated(least, there, ", ".join(text(name, 100) for name, _ in files.files[:5]))
    elif needed is not None and there > needed:
        yield Finding(
            rule="data_hole",
            severity="low",
            path=text(files.files[-1][0], 200),
            what=msg("The weights files have {n} bytes more than their weights need.", n=there - needed),
        )


def _missing(path: str) -> Finding:
    return Finding(
        rule="shard_missing",
        severity="high",
        path=text(path, 500),
        what=msg("The weights file {path} is missing.", path=text(path, 200)),
        action=msg("Upload it together with the others."),
    )
