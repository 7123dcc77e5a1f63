"""The tree of an HDF5 file: groups, attributes, and each dataset's shape, type and place. Never its data.

Knows the HDF5 library's low-level interface; must not know what the groups mean. Links that leave the file,
external storage, virtual datasets and foreign filters are seen in the headers, reported, and never followed.
The walk is iterative, meets each object address once, and stops at the limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Union

import h5py
import msgspec
from h5py import h5a, h5d, h5f, h5fd, h5g, h5l, h5o, h5p

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile
from service.parsers.hdf5_attributes import AttributeBudget, Value, attributes_of, type_name
from service.parsers.hdf5_file import PagedFile
from service.plain import text
from service.source import Source
from service.tree import Danger, Shape

SIGNATURE = b"\x89HDF\r\n\x1a\n"
SEARCHED_USER_BLOCKS = (0, 512, 1024, 2048, 4096)
"""Where the signature may stand: at 0 or at a power of two from 512 on."""

EXPANSION_FLOOR = 4 << 30
EXPANSION = 1000
"""Keras refuses datasets that declare more than 4 GiB and over 1000 times what is stored; we report them."""

_STANDARD_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
"""deflate, shuffle, fletcher32, szip, nbit, scaleoffset, and the lzf that h5py brings."""

_LIBRARY_ERRORS = (OSError, KeyError, RuntimeError, ValueError, TypeError, SystemError, AttributeError,
                   OverflowError, NotImplementedError, MemoryError, UnicodeError, IndexError)
"""What h5py raises on a file the library does not understand."""


class Dataset(msgspec.Struct, frozen=True):
    """One array: `shape` and `dtype` as the header says, `offset` and `stored` bytes where it lies in one piece.

    `shape` is None for a null or virtual dataset, `offset` is None for one that is chunked, compact, external,
    virtual or was never written; `stored` is what it occupies in the file.
    """

    path: str
    shape: Shape | None
    dtype: str | None
    itemsize: int | None
    offset: int | None
    stored: int | None
    attributes: dict[str, Value]


class Group(msgspec.Struct, frozen=True):
    """One group: its attributes and its children by name, in name order."""

    path: str
    attributes: dict[str, Value]
    children: dict[str, Union[Group, Dataset]]  # noqa: UP007 - evaluated before the class exists

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


def find_hdf5(source: Source) -> int | None:
    """Offset of the HDF5 signature (a user block may stand before it), or None."""
    for start in SEARCHED_USER_BLOCKS:
        if start + len(SIGNATURE) <= source.size and source.read_at(start, len(SIGNATURE)) == SIGNATURE:
            return start
    return None


def peek_hdf5(source: Source) -> Peek | None:
    """The names at the root, None if the library cannot open the file. Reads a few pages."""
    try:
        root = _open(PagedFile(source))
        children: list[bytes] = []
        root.links.iterate(children.append)
        attributes = [h5a.open(root, index=index).name for index in range(h5a.get_num_attrs(root))]
    except (InputError, *_LIBRARY_ERRORS):
        return None
    return Peek(frozenset(name.decode("utf-8", "replace") for name in attributes),
                frozenset(name.decode("utf-8", "replace") for name in children))


def read_hdf5(source: Source) -> Hdf5:
    """The whole tree of an HDF5 file.

    Raises:
        MalformedFile, TruncatedFile: the library cannot make sense of it; `member` is the object path.
        LimitExceeded: too many objects, too deep, or too many bytes of attributes.
    """
    file = PagedFile(source)
    walk = _Walk(source, source.meter.limits)
    try:
        root = walk.run(_open(file))
    except InputError:
        raise
    except _LIBRARY_ERRORS as error:
        raise (file.failure or _translate(error, walk.at)) from None
    return Hdf5(root, tuple(walk.dangers))


def _open(file: PagedFile) -> h5g.GroupID:
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_fileobj_driver(h5fd.fileobj_driver, file)
    return h5g.open(h5f.open(b"upload", h5f.ACC_RDONLY, access), b"/")


def merge(files: list[Hdf5]) -> Hdf5:
    """One tree from the shards of one: groups of the same path are united, the first of two datasets stays."""
    root = Group("", {}, {})
    for file in files:
        open_pairs = [(root, file.root)]
        while open_pairs:
            target, source = open_pairs.pop()
            target.attributes.update({key: value for key, value in source.attributes.items()
                                      if key not in target.attributes})
            for name, child in source.children.items():
                there = target.children.get(name)
                if isinstance(child, Group) and there is None:
                    there = target.children[name] = Group(child.path, {}, {})
                if isinstance(child, Group) and isinstance(there, Group):
                    open_pairs.append((there, child))
                elif there is None:
                    target.children[name] = child
    return Hdf5(root, tuple(danger for file in files for danger in file.dangers))


class _Walk:
    """One pass over a file; `at` is the path being read, for errors."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._budget = AttributeBudget(limits.hdf5_attribute_bytes)
        self._seen: dict[int, str] = {}
        self._objects = 0
        self.dangers: list[Danger] = []
        self.at = "/"

    def run(self, root: h5g.GroupID) -> Group:
        """The group tree below `root`, depth first without recursion."""
        top = self._group(root, "")
        open_groups = [(root, top, 1)]
        self._seen[h5o.get_info(root).addr] = "/"
        while open_groups:
            handle, group, depth = open_groups.pop()
            if depth > self._limits.hdf5_depth:
                raise LimitExceeded("hdf5_depth", self._limits.hdf5_depth, "Groups are nested too deeply.",
                                    member=group.path)
            for name, child in self._members(handle, group):
                open_groups.extend(self._enter(child, name, group, depth))
        return top

    def _enter(self, child: Any, name: str, group: Group, depth: int) -> Iterator[tuple[Any, Group, int]]:
        path = f"{group.path}/{name}" if group.path else name
        if isinstance(child, h5g.GroupID):
            entered = group.children[name] = self._group(child, path)
            yield child, entered, depth + 1
        elif isinstance(child, h5d.DatasetID):
            group.children[name] = self._dataset(child, path)

    def _members(self, handle: h5g.GroupID, group: Group) -> Iterator[tuple[str, Any]]:
        """Name and open handle of each hard link not met before; the others are reported."""
        found: list[tuple[bytes, int, int]] = []
        self.at = group.path or "/"
        handle.links.iterate(lambda name, info: found.append((name, info.type, info.u)), info=True)
        self._objects += len(found)
        if self._objects > self._limits.hdf5_objects:
            raise LimitExceeded("hdf5_objects", self._limits.hdf5_objects, "The file holds too many objects.")
        for raw, kind, address in found:
            name = text(raw.decode("utf-8", errors="replace"))
            self.at = path = f"{group.path}/{name}" if group.path else name
            if kind != h5l.TYPE_HARD:
                self.dangers.append(_link_danger(handle, raw, kind, path))
            elif address in self._seen:
                self.dangers.append(_repeated(path, self._seen[address]))
            else:
                self._seen[address] = path
                yield name, h5o.open(handle, raw)

    def _group(self, handle: h5g.GroupID, path: str) -> Group:
        return Group(path, attributes_of(handle, self._budget), {})

    def _dataset(self, handle: h5d.DatasetID, path: str) -> Dataset:
        offset = handle.get_offset()
        attributes = attributes_of(handle, self._budget)
        if offset is None and self._is_elsewhere(handle, path):
            return Dataset(path, None, None, None, None, None, attributes)
        shape, kind, stored = handle.shape, handle.get_type(), handle.get_storage_size()
        itemsize = kind.get_size()
        if offset is not None and offset + stored > self._source.size:
            raise TruncatedFile(f"The data of {path} reach {offset + stored - self._source.size} bytes past the end.",
                                member=path, offset=offset)
        self._check_size(path, shape, itemsize, stored)
        return Dataset(path, shape, type_name(kind, attributes), itemsize, offset, stored, attributes)

    def _is_elsewhere(self, handle: h5d.DatasetID, path: str) -> bool:
        """Whether a dataset's header points outside; asked before its shape, which would open a virtual source."""
        creation = handle.get_create_plist()
        foreign = [code for code in (creation.get_filter(i)[0] for i in range(creation.get_nfilters()))
                   if code not in _STANDARD_FILTERS]
        if foreign:
            self.dangers.append(Danger(
                code="hdf5_custom_filter", severity="medium", path=path, detail=f"filter {foreign[0]}",
                what="Reading this dataset would load a filter plugin from the machine."))
        if creation.get_layout() == h5d.VIRTUAL:
            self.dangers.append(_outside("hdf5_virtual_dataset", path, "takes its data from other files"))
            return True
        if creation.get_external_count():
            name = creation.get_external(0)[0].decode("utf-8", errors="replace")
            self.dangers.append(_outside("hdf5_external_storage", path, "keeps its data in another file", name))
            return True
        return False

    def _check_size(self, path: str, shape: Shape | None, itemsize: int, stored: int) -> None:
        declared = itemsize
        for size in shape or ():
            declared *= size or 0
        if declared > EXPANSION_FLOOR and declared > EXPANSION * stored:
            self.dangers.append(Danger(
                code="hdf5_declared_size", severity="high", path=path, detail=f"{declared} declared, {stored} stored",
                what="This dataset declares over 1000 times what is stored; loading it would exhaust memory.",
                reference="CVE-2026-0897"))


def _link_danger(handle: h5g.GroupID, raw: bytes, kind: int, path: str) -> Danger:
    if kind == h5l.TYPE_EXTERNAL:
        file, target = handle.links.get_val(raw)
        detail = f"{file.decode('utf-8', 'replace')}:{target.decode('utf-8', 'replace')}"
        return _outside("hdf5_external_link", path, "is a link into another file", detail)
    if kind == h5l.TYPE_SOFT:
        target = handle.links.get_val(raw).decode("utf-8", errors="replace")
        return Danger(code="hdf5_soft_link", severity="medium", path=path, detail=text(target, 200),
                      what="This is a soft link; Keras refuses files that have one. It was not followed.")
    return Danger(code="hdf5_user_link", severity="high", path=path, what="This is a link of a user-defined kind.")


def _repeated(path: str, first: str) -> Danger:
    return Danger(code="hdf5_hard_link", severity="medium", path=path, detail=text(first, 200),
                  what="This is a second name of an object met before; it was not read again.")


def _outside(code: str, path: str, does: str, detail: str | None = None) -> Danger:
    return Danger(code=code, severity="high", path=path, detail=detail and text(detail, 200),
                  what=f"This object {does}. It was not followed.", reference="CVE-2026-1669")


def _translate(error: Exception, path: str) -> MalformedFile:
    """Our error for the library's; its message names sizes when the file was cut."""
    message = str(error)
    cut = re.search(r"truncated file: eof = (\d+).*stored_eof = (\d+)", message)
    if cut:
        return TruncatedFile(f"The HDF5 file should have {cut[2]} bytes and has {cut[1]}.", offset=int(cut[1]))
    reason = message.split("(", 1)[-1].rstrip(")") if "(" in message else message
    return MalformedFile(f"The HDF5 library cannot read {path}: {text(reason, 200)}.", member=None if path == "/" else path)


VERSION: str = h5py.version.hdf5_version
"""Version of the HDF5 library in use."""
