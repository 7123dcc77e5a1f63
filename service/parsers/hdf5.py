"""The tree of an HDF5 file: groups, attributes, and each dataset's shape, type and place. Never its data.

Written from the HDF5 File Format Specification 3.0 and nothing else: the HDF5 library, made for files one trusts,
loops or reads out of bounds on damaged ones (a bit flipped in a heap is enough) and follows links into other files.
Here every address is checked before it is read, every object is met once, the walk is iterative and bounded, and what
points outside the file is seen in the headers, reported, and never followed. Must not know what the groups mean.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile
from service.language import Message as Sentence
from service.language import msg
from service.parsers.hdf5_attributes import Attributes, Value, text_of
from service.parsers.hdf5_links import EXTERNAL, HARD, SOFT, Link, external_name, is_group, links
from service.parsers.hdf5_messages import (
    DATASPACE,
    DATATYPE,
    EXTERNAL_FILES,
    FILTERS,
    LAYOUT,
    Message,
    Place,
    foreign_filter,
    messages,
    place_of,
    shape_of,
)
from service.parsers.hdf5_pages import Pages, open_pages
from service.parsers.hdf5_types import OPAQUE, ElementType, type_of
from service.plain import text
from service.source import Source
from service.tree import Danger, Severity, Shape, element_count

EXPANSION_FLOOR = 64 << 20
EXPANSION = 1000
"""Keras refuses datasets that declare more than 4 GiB and over 1000 times what is stored; we report them."""

_RAW_TYPES = frozenset({"bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "uint4"})
"""Types that Keras stores as raw bytes and names in an attribute `dtype`."""


class Dataset(msgspec.Struct, frozen=True):
    """One array: `shape` and `dtype` as the header says, `offset` and `stored` bytes where it lies in one piece.

    `shape` is None for a null, external or virtual dataset; `offset` is None for one that is chunked, compact,
    external, virtual or was never written; `stored` is what it occupies in the file, None if that is not in its header.
    `header` is the address of its object header, for `service.parsers.hdf5_data`.
    """

    path: str
    shape: Shape | None
    dtype: str | None
    itemsize: int | None
    offset: int | None
    stored: int | None
    header: int = 0


class Group(msgspec.Struct, frozen=True):
    """One group: its attributes and its children in order of their names."""

    path: str
    attributes: dict[str, Value]
    children: dict[str, Group | Dataset]

    def group(self, name: str) -> Group | None:
        """The child group `name`, or None."""
        child = self.children.get(name)
        return child if isinstance(child, Group) else None

    @property
    def groups(self) -> dict[str, Group]:
        """The children that are groups."""
        return {name: child for name, child in self.children.items() if isinstance(child, Group)}

    @property
    def datasets(self) -> dict[str, Dataset]:
        """The children that are datasets."""
        return {name: child for name, child in self.children.items() if isinstance(child, Dataset)}


class Peek(msgspec.Struct, frozen=True):
    """Names at the root: enough to tell whose file it is."""

    attributes: frozenset[str]
    children: frozenset[str]


class Hdf5(msgspec.Struct, frozen=True):
    """A file's tree and what in it reaches outside or looks forged."""

    root: Group
    dangers: tuple[Danger, ...]


def peek_hdf5(source: Source) -> Peek | None:
    """The names at the root, None if they cannot be read. Reads a few pages."""
    limits = source.meter.limits
    try:
        pages, address = open_pages(source)
        found = messages(pages, address)
        children = frozenset(link.name for link in links(pages, found, limits.hdf5_objects))
        attributes = Attributes(pages, limits.hdf5_attribute_bytes).of(found)
    except InputError:
        return None
    return Peek(frozenset(attributes), children)


def read_hdf5(source: Source) -> Hdf5:
    """The whole tree of an HDF5 file.

    Raises:
        MalformedFile, TruncatedFile: A structure is broken; `member` is the object's path, `offset` the place.
        UnsupportedFeature: A storage form that no version of Keras writes.
        LimitExceeded: Too many objects, too deep, or too many bytes of attributes.
    """
    pages, address = open_pages(source)
    walk = _Walk(pages, source)
    try:
        root = walk.run(address)
    except InputError as error:
        raise (error.within(walk.at) if walk.at else error) from None
    return Hdf5(root, tuple(walk.dangers))


class _Walk:
    """One pass over a file; `at` is the path being read, for errors."""

    def __init__(self, pages: Pages, source: Source) -> None:
        self._pages = pages
        self._size = source.size
        self._limits: Limits = source.meter.limits
        self._attributes = Attributes(pages, self._limits.hdf5_attribute_bytes)
        self._seen: dict[int, str] = {}
        self._room = self._limits.hdf5_objects
        self.dangers: list[Danger] = []
        self.at = ""

    def run(self, address: int) -> Group:
        """The group tree from the object at `address`, depth first without recursion."""
        self._seen[address] = "/"
        found = messages(self._pages, address)
        top = Group("", self._attributes.of(found), {})
        open_groups = [(found, top, 1)]
        while open_groups:
            found, group, depth = open_groups.pop()
            self.at = group.path
            if depth > self._limits.hdf5_depth:
                raise LimitExceeded("hdf5_depth", self._limits.hdf5_depth, msg("Groups are nested too deeply."))
            for link, path in self._members(found, group):
                self.at = path
                child = messages(self._pages, link.address)
                if is_group(child):
                    entered = group.children[link.name] = Group(path, self._attributes.of(child), {})
                    open_groups.append((child, entered, depth + 1))
                elif any(message.kind == LAYOUT for message in child):
                    group.children[link.name] = self._dataset(child, path, link.address)
        return top

    def _members(self, found: list[Message], group: Group) -> Iterator[tuple[Link, str]]:
        """Hard links to objects not met before, with their paths; the others are reported."""
        for link in links(self._pages, found, self._room):
            self._room -= 1
            if self._room < 0:
                raise LimitExceeded("hdf5_objects", self._limits.hdf5_objects, msg("The file holds too many objects."))
            path = f"{group.path}/{text(link.name)}" if group.path else text(link.name)
            if link.kind != HARD:
                self.dangers.append(_link_danger(link, path))
            elif link.address in self._seen:
                self.dangers.append(_repeated(path, self._seen[link.address]))
            else:
                self._seen[link.address] = path
                yield link, path

    def _dataset(self, found: list[Message], path: str, header: int) -> Dataset:
        by_kind = {message.kind: message for message in found}
        place = place_of(by_kind[LAYOUT])
        if self._is_elsewhere(by_kind, place, path):
            return Dataset(path, None, None, None, None, None, header)
        if DATASPACE not in by_kind or DATATYPE not in by_kind:
            raise MalformedFile(msg("A dataset without shape or type."), offset=by_kind[LAYOUT].address)
        shape, kind = shape_of(by_kind[DATASPACE]), type_of(by_kind[DATATYPE])
        offset = None if place.address is None else place.address + self._pages.start
        declared = (element_count(shape) or 0) * kind.size
        self._check(place, declared, path)
        stored = declared if place.size is None and offset is not None else place.size
        return Dataset(path, shape, self._type_name(kind, found), kind.size, offset, stored, header)

    def _type_name(self, kind: ElementType, found: list[Message]) -> str:
        if kind.kind == OPAQUE:
            named = text_of(self._attributes.of(found), "dtype")
            if named in _RAW_TYPES:
                return named
        return kind.name

    def _is_elsewhere(self, found: dict[int, Message], place: Place, path: str) -> bool:
        """Whether the header points outside the file; foreign filters are reported on the way."""
        foreign = foreign_filter(found[FILTERS]) if FILTERS in found else None
        if foreign is not None:
            what = msg("Reading this dataset would load a filter plugin from the machine.")
            self._report("hdf5_custom_filter", "medium", what, path, f"filter {foreign}", None)
        if place.layout == "virtual":
            self.dangers.append(_outside("hdf5_virtual_dataset", path, _VIRTUAL))
            return True
        if EXTERNAL_FILES in found:
            name = external_name(self._pages, found[EXTERNAL_FILES])
            self.dangers.append(_outside("hdf5_external_storage", path, _EXTERNAL, name))
            return True
        return False

    def _check(self, place: Place, declared: int, path: str) -> None:
        """That contiguous data lie in the file; a report if far more is declared than the file can hold."""
        if place.address is not None:
            end = place.address + max(place.size or 0, declared) + self._pages.start
            if end > self._size:
                raise TruncatedFile(
                    msg("The data reach {n} bytes past the end.", n=end - self._size), offset=self._size
                )
        stored = self._size if place.size is None else place.size
        if declared > EXPANSION_FLOOR and declared > EXPANSION * stored:
            what = msg("This dataset declares over 1000 times what is stored; loading it would exhaust memory.")
            self._report("hdf5_declared_size", "high", what, path, f"{declared} bytes declared", "CVE-2026-0897")

    def _report(
        self, code: str, severity: Severity, what: Sentence, path: str, detail: str, reference: str | None
    ) -> None:
        self.dangers.append(
            Danger(code=code, severity=severity, what=what, path=path, detail=detail, reference=reference)
        )


def merge(files: list[Hdf5]) -> Hdf5:
    """One tree from the shards of one: groups of the same path are united, the first of two datasets stays."""
    root = Group("", {}, {})
    for file in files:
        open_pairs = [(root, file.root)]
        while open_pairs:
            target, source = open_pairs.pop()
            target.attributes.update(
                {key: value for key, value in source.attributes.items() if key not in target.attributes}
            )
            for name, child in source.children.items():
                there = target.children.get(name)
                if isinstance(child, Group) and there is None:
                    there = target.children[name] = Group(child.path, {}, {})
                if isinstance(child, Group) and isinstance(there, Group):
                    open_pairs.append((there, child))
                elif there is None:
                    target.children[name] = child
    return Hdf5(root, tuple(danger for file in files for danger in file.dangers))


def _link_danger(link: Link, path: str) -> Danger:
    detail = text(link.target, 200)
    if link.kind == EXTERNAL:
        return _outside("hdf5_external_link", path, _LINK, detail)
    if link.kind == SOFT:
        what = msg("This is a soft link; Keras refuses files that have one. It was not followed.")
        return Danger(code="hdf5_soft_link", severity="medium", path=path, detail=detail, what=what)
    return Danger(code="hdf5_user_link", severity="high", path=path, what=msg("This is a link of a user-defined kind."))


def _repeated(path: str, first: str) -> Danger:
    what = msg("This is a second name of an object met before; it was not read again.")
    return Danger(code="hdf5_hard_link", severity="medium", path=path, detail=text(first, 200), what=what)


_VIRTUAL = msg("This object takes its data from other files. It was not followed.")
_EXTERNAL = msg("This object keeps its data in another file. It was not followed.")
_LINK = msg("This object is a link into another file. It was not followed.")


def _outside(code: str, path: str, what: Sentence, detail: str | None = None) -> Danger:
    return Danger(code=code, severity="high", path=path, detail=detail, what=what, reference="CVE-2026-1669")
