"""A checkpoint's index with its data files: variables with their places, and findings on what is not all there.

Knows shards, slices and sizes; must not know what a variable is for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import NamedTuple

from service.catalog.integrity import Extent, check_extents, listed, wrong_size
from service.catalog.tf_variables import Variable, byte_count
from service.language import Message, msg
from service.parsers.tensorflow_bundle import OBJECT_GRAPH, Bundle, Stored
from service.parsers.tensorflow_slices import Extent as Range
from service.parsers.tensorflow_slices import sizes
from service.plain import text
from service.source import Source
from service.tree import Finding, Location, Shape, element_count

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
_SHARD = re.compile(r"(?P<prefix>.*)\.data-(?P<number>\d{5})-of-(?P<count>\d{5})")


class Shard(NamedTuple):
    """One data file that was uploaded."""

    member: str
    source: Source


class Data:
    """A bundle and those of its data files that are there, by number."""

    def __init__(self, bundle: Bundle, shards: Mapping[int, Shard]) -> None:
        self.bundle = bundle
        self.shards = dict(shards)

    @cached_property
    def slices(self) -> dict[str, list[tuple[tuple[Range, ...], Stored]]]:
        """The stored slices by the name of the tensor they belong to."""
        found: dict[str, list[tuple[tuple[Range, ...], Stored]]] = {}
        for (name, extents), stored in self.bundle.slices.items():
            found.setdefault(name, []).append((extents, stored))
        return found

    def variable(self, key: str, name: str | None = None, trainable: bool | None = None) -> Variable:
        """The tensor under `key`, its slices put together."""
        stored = self.bundle.tensors[key]
        single, shapes, size = self.bundle.shards is None, _listed_shapes(stored), stored.size
        parts = self.slices.get(key) if stored.slices else None
        if parts:
            shapes = tuple(sizes(extents, stored.shape) for extents, _ in parts)
            size = sum(part.size for _, part in parts)
        return Variable(
            name=name or key,
            key=key,
            shape=stored.shape,
            dtype=stored.dtype,
            trainable=trainable,
            bytes=byte_count(stored.shape, stored.dtype) if single else size,
            location=None if single or stored.slices else self._location(stored),
            slices=shapes,
        )

    def _location(self, stored: Stored) -> Location | None:
        shard = self.shards.get(stored.shard)
        if shard is None or self.bundle.big_endian or stored.dtype == "string":
            return None
        if stored.offset + stored.size > shard.source.size:
            return None
        return Location(member=shard.member, offset=stored.offset, length=stored.size)

    @property
    def missing(self) -> list[int]:
        """Numbers of the data files that were not uploaded; none of a single file."""
        return [number for number in range(self.bundle.shards or 0) if number not in self.shards][:1000]

    def note(self) -> Message | None:
        """What to say where no values can be read, because no data file is there."""
        if not self.missing or self.shards:
            return None
        return msg(
            "The data files were not uploaded: names, shapes and types come from the index, the values are not here."
        )

    def findings(self) -> list[Finding]:
        """Missing and cut data files, overlaps, slices that do not fit, tensors of a wrong size, numbers of shards."""
        if self.bundle.shards is None:
            return []
        stored = list(self._stored())
        found = self._missing_files(stored) if self.shards else []
        extents: dict[int, list[Extent]] = {number: [] for number in sorted(self.shards)}
        for name, one in stored:
            if one.shard in extents:
                extents[one.shard].append(Extent(name, one.offset, one.offset + one.size))
        for number, held in extents.items():
            shard = self.shards[number]
            found += check_extents(held, shard.source.size, member=shard.member, holes=False)
        found += listed("data_wrong_size", list(_wrong_sizes(stored)))
        found += listed("slices_incomplete", list(self._slice_findings()))
        beyond = [name for name, one in stored if one.shard >= self.bundle.shards]
        return [*found, *listed("shard_unknown", [_beyond(name, self.bundle.shards) for name in beyond])]

    def _missing_files(self, stored: list[tuple[str, Stored]]) -> list[Finding]:
        inside: dict[int, list[int]] = {}
        for _, one in stored:
            inside.setdefault(one.shard, []).append(one.size)
        missing = [_missing(one, self.bundle.shards or 0, inside.get(one, [])) for one in self.missing]
        return listed("shard_missing", missing)

    def _stored(self) -> Iterable[tuple[str, Stored]]:
        """Everything that has bytes of its own."""
        yield from ((name, one) for name, one in self.bundle.tensors.items() if not one.slices)
        yield from ((name, one) for (name, _), one in self.bundle.slices.items())

    def _slice_findings(self) -> Iterable[Finding]:
        for key, stored in self.bundle.tensors.items():
            if stored.slices:
                there = {extents for extents, _ in self.slices.get(key, [])}
                total = sum(element_count(sizes(extents, stored.shape)) or 0 for extents in there)
                if there != set(stored.slices) or total != element_count(stored.shape):
                    yield _incomplete(key, len(there), len(stored.slices))


def shards_of(parts: Mapping[str, Source], prefix: str) -> dict[int, Shard]:
    """The data files of the checkpoint whose index is `prefix` + `.index`, among `parts` by normal name."""
    found: dict[int, Shard] = {}
    for name, source in parts.items():
        match = _SHARD.fullmatch(name)
        if match and match["prefix"] == prefix:
            found[int(match["number"])] = Shard(name, source)
    return found


def is_data_file(name: str) -> bool:
    """Whether a name is that of a checkpoint's data file."""
    return _SHARD.fullmatch(name) is not None


def tensor_keys(bundle: Bundle) -> list[str]:
    """The keys of tensors, without the graph of objects."""
    return [key for key in bundle.tensors if key != OBJECT_GRAPH]


def _listed_shapes(stored: Stored) -> tuple[Shape | None, ...]:
    """In a single file of V1 the slices are only listed."""
    return () if not stored.slices else tuple(sizes(extents, stored.shape) for extents in stored.slices)


def _wrong_sizes(stored: Iterable[tuple[str, Stored]]) -> Iterable[Finding]:
    for name, one in stored:
        expected = byte_count(one.shape, one.dtype)
        if expected is not None and expected != one.size:
            yield wrong_size(name, one.size, expected)


def _missing(number: int, count: int, inside: list[int]) -> Finding:
    return Finding(
        rule="shard_missing",
        severity="high",
        what=msg(
            "Data file {number} of {count} is missing: {n} tensors with {size} bytes lie in it.",
            number=number + 1, count=count, n=len(inside), size=sum(inside),
        ),
        action=msg("Upload it together with the others."),
    )  # fmt: skip


def _incomplete(name: str, there: int, declared: int) -> Finding:
    return Finding(
        rule="slices_incomplete",
        severity="high",
        path=text(name),
        what=msg(
            "{name} is said to be stored in {declared} slices; the {there} that are there do not make up the whole.",
            name=text(name, 200), declared=declared, there=there,
        ),
    )  # fmt: skip


def _beyond(name: str, count: int) -> Finding:
    return Finding(
        rule="shard_unknown",
        severity="high",
        path=text(name),
        what=msg("{name} is said to lie in a data file after the last of {count}.", name=text(name, 200), count=count),
    )
