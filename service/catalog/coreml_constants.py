"""Constants of Core ML's programs as weights: where they lie, whether they fit, how compressed ones are stored.

Knows values and blob storage; must not know which operation uses a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import NamedTuple, TypeVar

from service.catalog.coreml_arrays import beside
from service.catalog.coreml_building import Building, check_shape
from service.catalog.integrity import Extent, check_extents, listed, wrong_size
from service.catalog.learning import learning
from service.errors import InputError
from service.language import msg
from service.parsers import coreml_blobs
from service.parsers.coreml_values import Type, Value, place
from service.plain import text
from service.source import Source
from service.tree import Finding, Location, Weight, element_count

File = tuple[str | None, Source]
Opener = Callable[[str], File | None]
"""A file of blob storage by its name in the program: its part name and its bytes; None if it was not uploaded."""


class Constant(NamedTuple):
    """A constant that operations refer to.

    Attributes:
        name: Of the value in the program.
        type: Element type and sizes that the operations see.
        value: What is stored: of a compressed one the codes.
        extras: What else is stored to turn the codes back: name, role, value.
    """

    name: str
    type: Type
    value: Value
    extras: tuple[tuple[str, str, Value], ...] = ()

    @property
    def identity(self) -> Hashable:
        """Equal for constants that are the same bytes."""
        return self.name if self.value.file is None else (self.value.file, self.value.offset)


@dataclass(slots=True)
class Stored:
    """Constants of one model: their files, and who first used which.

    Attributes:
        open: Finds a file of blob storage.
        owners: Full name of the first weight of each identity.
        extents: Where arrays lie, by member.
    """

    building: Building
    open: Opener
    owners: dict[Hashable, str] = field(default_factory=dict)
    files: dict[str, File | None] = field(default_factory=dict)
    extents: dict[str, list[Extent]] = field(default_factory=dict)
    misfits: list[Finding] = field(default_factory=list)

    def weights(self, constant: Constant, path: str, name: str, role: str, layout: str | None) -> Iterator[Weight]:
        """The constant as weight `name` of the layer at `path`, and what belongs to how it is stored."""
        full = f"{path}/{name}"
        owner = self.owners.setdefault((constant.identity, None), full)
        shape = constant.type.shape
        check_shape(shape, self.building.limits)
        dtype, length, location = self._place(constant.value, full, fresh=owner == full)
        group, trainable, source = learning(role, dtype, logical=constant.type.dtype)
        count = _count(constant.type)
        stored = _count(constant.value.type)
        yield Weight(
            name=name, stored_as=text(constant.name), role=role, shape=shape, dtype=dtype, count=count,
            stored_count=stored if stored != count else None, bytes=length, layout=layout, group=group,
            trainable=trainable, trainable_source=source, tied_to=None if owner == full else owner,
            location=location if stored == count and not _is_packed(dtype) else None,
        )  # fmt: skip
        if owner == full:
            yield from self._beside(constant, path, name)

    def _beside(self, constant: Constant, path: str, name: str) -> Iterator[Weight]:
        for what, role, value in constant.extras:
            check_shape(value.type.shape, self.building.limits)
            dtype, length, location = self._place(value, f"{path}/{name}.{what}", fresh=True)
            fits = location is not None and not _is_packed(dtype)
            yield beside(f"{name}.{what}", role, value.type.shape or (), dtype, length, location if fits else None)

    def _place(self, value: Value, full: str, *, fresh: bool) -> tuple[str | None, int | None, Location | None]:
        """Element type, bytes and place of a value. What is wrong with the place is noted once."""
        if value.file is None:
            return self._immediate(value)
        file = self._file(value.file)
        needed = _bytes(value.type)
        if file is None:
            return value.type.dtype, needed, None
        member, source = file
        if value.offset > source.size - coreml_blobs.METADATA:
            end = value.offset + coreml_blobs.METADATA + (needed or 0)
            self._extent(member, Extent(full, value.offset, end), fresh)
            return value.type.dtype, needed, None
        found = _blob(member, source, value.offset)
        self._extent(member, Extent(full, found.offset, found.offset + found.length), fresh)
        if fresh and needed is not None and found.length != needed:
            self.misfits.append(wrong_size(full, found.length, needed))
        elif fresh and found.dtype != value.type.dtype and not _same_bits(found.dtype, value.type.dtype):
            self.misfits.append(_wrong_type(full, found.dtype, value.type.dtype))
        location = Location(member=member, offset=found.offset, length=found.length)
        whole = found.offset + found.length <= source.size and found.length == needed
        return value.type.dtype, found.length, location if whole else None

    def _immediate(self, value: Value) -> tuple[str | None, int | None, Location | None]:
        at = place(self.building.source, value)
        if at is None:
            return value.type.dtype, _bytes(value.type), None
        fits = at.length == _bytes(value.type)
        location = Location(member=self.building.member, offset=at.offset, length=at.length) if fits else None
        return value.type.dtype, at.length, location

    def _file(self, name: str) -> File | None:
        if name not in self.files:
            file = self.files[name] = self.open(name)
            if file is None:
                self.building.missing.setdefault(text(name, 500))
            elif file[1].size >= coreml_blobs.HEADER:
                _check_header(*file)
        return self.files[name]

    def _extent(self, member: str | None, extent: Extent, fresh: bool) -> None:
        if fresh:
            self.extents.setdefault(member or "", []).append(extent)

    def findings(self) -> list[Finding]:
        """Arrays that are not where they should be, or are something else."""
        sizes = {file[0] or "": file[1].size for file in self.files.values() if file is not None}
        found = listed("data_wrong_size", self.misfits) if self.misfits else []
        for member, extents in self.extents.items():
            found.extend(check_extents(extents, sizes[member], member=member or None, holes=False))
        return found


_T = TypeVar("_T")


def _within(member: str | None, look: Callable[[], _T]) -> _T:
    try:
        return look()
    except InputError as error:
        raise (error.within(member) if member is not None else error) from None


def _check_header(member: str | None, source: Source) -> None:
    _within(member, lambda: coreml_blobs.count(source))


def _blob(member: str | None, source: Source, offset: int) -> coreml_blobs.Blob:
    return _within(member, lambda: coreml_blobs.blob(source, offset))


@cache
def bits_of(dtype: str | None) -> int | None:
    """Bits of one element; None where its size is not fixed or not known."""
    digits = (dtype or "").split("_")[0].lstrip("bfloatuin")
    return 8 if dtype == "bool" else int(digits) if digits.isdigit() else None


@lru_cache(maxsize=4096)
def _bytes(kind: Type) -> int | None:
    bits, count = bits_of(kind.dtype), _count(kind)
    return None if bits is None or count is None else (bits * count + 7) // 8


def _count(kind: Type) -> int | None:
    return element_count(kind.shape)


def _is_packed(dtype: str | None) -> bool:
    return (bits_of(dtype) or 8) < 8


def _same_bits(one: str | None, other: str | None) -> bool:
    """Booleans are kept as bytes."""
    return {one, other} == {"bool", "uint8"}


def _wrong_type(name: str, found: str | None, declared: str | None) -> Finding:
    return Finding(
        rule="data_wrong_type", severity="high", path=text(name),
        what=msg("{name} is {declared} in the program, but its data says {found}.", name=text(name, 200),
                 declared=declared or "?", found=found or "?"),
    )  # fmt: skip
