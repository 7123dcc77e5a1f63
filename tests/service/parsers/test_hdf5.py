"""The HDF5 reader against the HDF5 library itself, over every way the library has of storing a tree."""

from __future__ import annotations

import io
from typing import Any

import h5py
import numpy as np
import pytest

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile
from service.parsers.hdf5 import Group, merge, peek_hdf5, read_hdf5
from service.parsers.hdf5_attributes import text_of, texts
from service.source import BytesSource, Meter
from tests.corpus import corpus_dir

VERSIONS = ("earliest", "v108", "v110", "v112", "latest")


def source(data: bytes, limits: Limits | None = None) -> BytesSource:
    """Bytes as the reader takes them."""
    return BytesSource(data, Meter(limits or Limits()))


def ours(data: bytes) -> dict[str, Any]:
    """Path -> (attributes, names of children) of a group, (shape, type, offset) of a dataset."""
    found: dict[str, Any] = {}
    open_groups = [read_hdf5(source(data)).root]
    while open_groups:
        group = open_groups.pop()
        found[group.path] = (group.attributes, sorted(group.children))
        for child in group.children.values():
            if isinstance(child, Group):
                open_groups.append(child)
            else:
                found[child.path] = (child.shape, child.dtype, child.offset)
    return found


def library(data: bytes) -> dict[str, Any]:
    """The same from h5py."""
    with h5py.File(io.BytesIO(data)) as file:
        found: dict[str, Any] = {"": (_attributes(file), sorted(file))}
        file.visititems(lambda name, item: found.__setitem__(name, _describe(item)))
    return found


def _describe(item: Any) -> Any:
    if isinstance(item, h5py.Group):
        return _attributes(item), sorted(item)
    kind = item.dtype
    name = "string" if kind.kind in "OS" else "opaque" if kind.kind == "V" and kind.names is None else kind.name
    if name == "opaque" and "dtype" in item.attrs:
        name = item.attrs["dtype"]
    return item.shape, name, item.id.get_offset() if item.size else None


def _attributes(item: Any) -> dict[str, Any]:
    return {name: _plain(value) for name, value in item.attrs.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, np.ndarray):
        items = [item.encode() if isinstance(item, str) else item for item in value.ravel().tolist()]
        return tuple(items) if not items or isinstance(items[0], bytes | int) else None
    plain = value.item() if isinstance(value, np.generic) else value
    return plain if isinstance(plain, bytes | int) and not isinstance(plain, bool) else None


def built(version: str = "earliest", user_block: int = 0, groups: int = 40, many: int = 60) -> bytes:
    """A file with small and large groups, all kinds of attributes and types, written for a library version."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=version, userblock_size=user_block) as file:
        for number in range(groups):
            child = file.create_group(f"group{number}")
            child.attrs["name"] = f"name {number}"
            child["0"] = np.ones((number % 5 + 1, 2), "float32")
        wide = file.create_group("wide")
        for number in range(many):
            wide[f"data{number}"] = np.float16(number)
            wide.attrs[f"attribute{number}"] = number
        for depth in range(1, 20):
            file.create_group("deep" + "/deeper" * depth)
        file.attrs["long"] = "x" * 70_000
        file.attrs["texts"] = ["a", "", "ünï"]
        file.attrs["fixed"] = np.array([b"ab", b"c"])
        file.attrs["number"], file.attrs["numbers"] = -5, [1, 2, 3]
        file.attrs["float"], file.attrs["nothing"] = 1.5, h5py.Empty("f4")
        file.attrs["reference"] = file["wide"].ref
        for name in ("u1", "i8", "<f2", ">f4", "f8", "c8", "c16", "?", "S5", "V2"):
            file[f"type_{name.strip('<>?')}_{name == '?'}"] = np.ones(2, name)
        file["text"] = ["a", "b"]
        file["scalar"] = np.int64(7)
        file.create_dataset("packed", (100, 100), "f4", chunks=(10, 10), compression="gzip")
        file["brain"] = np.ones(3, "V2")
        file["brain"].attrs["dtype"] = "bfloat16"
    return buffer.getvalue()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("user_block", [0, 512, 2048])
def test_a_tree_is_what_the_library_sees(version: str, user_block: int) -> None:
    """Groups, attributes, shapes, types and offsets agree, whichever library version wrote the file."""
    data = built(version, user_block)
    assert ours(data) == library(data)


def test_large_groups_of_every_kind() -> None:
    """Thousands of names in one group: symbol tables, and dense storage with a B-tree of several levels."""
    for version in ("earliest", "v110"):
        data = built(version, groups=0, many=1500)
        assert ours(data) == library(data)


@pytest.mark.parametrize("name", ["trained.h5", "trained.weights.h5", "recurrent.h5", "mixed_precision.weights.h5"])
def test_files_of_keras_are_what_the_library_sees(name: str) -> None:
    """The same for files that Keras wrote."""
    data = (corpus_dir("keras_files") / name).read_bytes()
    assert ours(data) == library(data)


def test_only_headers_are_read() -> None:
    """Of a file with 40 MB of data some kilobytes are read."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for number in range(10):
            file[f"layers/{number}/vars/0"] = np.zeros((1000, 1000), "float32")
    meter = Meter(Limits())

    class Counted(BytesSource):
        def read_at(self, offset: int, length: int) -> bytes:
            meter.add_read(length)
            return super().read_at(offset, length)

    read_hdf5(Counted(buffer.getvalue(), meter))
    assert meter.read < 400_000


def test_other_links_are_reported_and_left() -> None:
    """Soft and external links, second names of one object, external and virtual data: reported by path, not read."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["data"] = np.zeros(3)
        group = file.create_group("group")
        group["same"], group["up"] = file["data"], file["/"]
        file["soft"], file["outside"] = h5py.SoftLink("/data"), h5py.ExternalLink("other.h5", "/x")
        file.create_dataset("elsewhere", (10,), "u1", external=[("/etc/passwd", 0, 10)])
        layout = h5py.VirtualLayout(shape=(4,), dtype="i4")
        layout[:] = h5py.VirtualSource("other.h5", "q", shape=(4,))
        file.create_virtual_dataset("virtual", layout)
    found = read_hdf5(source(buffer.getvalue()))
    assert {(danger.code, danger.path, danger.detail) for danger in found.dangers} == {
        ("hdf5_soft_link", "soft", "/data"), ("hdf5_external_link", "outside", "other.h5:/x"),
        ("hdf5_hard_link", "group/same", "data"), ("hdf5_hard_link", "group/up", "/"),
        ("hdf5_external_storage", "elsewhere", "/etc/passwd"), ("hdf5_virtual_dataset", "virtual", None)}  # fmt: skip
    assert found.root.datasets["virtual"].shape is None
    assert found.root.group("group") is not None


def test_a_ladder_of_hard_links_ends() -> None:
    """Each object is met once: 40 groups that each hold the next one twice are 40 groups, not 2^40 paths."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        group = file
        for _ in range(40):
            following = group.create_group("a")
            group["b"] = following
            group = following
    assert len(read_hdf5(source(buffer.getvalue())).dangers) == 40


def test_cut_files_and_broken_addresses_name_the_place() -> None:
    """A cut file is truncated; an address that leads outside is malformed, with the object's path and an offset."""
    data = built()
    with pytest.raises(TruncatedFile, match=f"{len(data):,}"):
        read_hdf5(source(data[:-10]))
    with pytest.raises(MalformedFile) as caught:
        read_hdf5(source(data.replace(b"SNOD", b"SNOT")))
    assert caught.value.info.offset is not None


def test_a_free_heap_object_without_size_is_no_endless_loop() -> None:
    """The HDF5 library never comes back from this; here it ends the heap."""
    data = bytearray(built(groups=3, many=3))
    at = data.index(b"GCOL") + 16
    data[at : at + 16] = bytes(16)
    with pytest.raises(InputError):
        read_hdf5(source(bytes(data)))


def test_lengths_are_held_against_the_heap() -> None:
    """A text that claims more than its heap object holds is refused; the library copies what lies beyond."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["name"] = "abcdefgh"
    data = buffer.getvalue()
    where = data.index(b"GCOL").to_bytes(8, "little")
    at = data.index(where, data.index(b"name")) - 4
    with pytest.raises(MalformedFile):
        read_hdf5(source(data[:at] + b"\xff\xff\xff\x7f" + data[at + 4 :]))


@pytest.mark.parametrize(
    ("limits", "limit"),
    [
        (Limits(hdf5_objects=20), "hdf5_objects"),
        (Limits(hdf5_depth=10), "hdf5_depth"),
        (Limits(hdf5_attribute_bytes=1000), "hdf5_attribute_bytes"),
    ],
)
def test_limits_are_held(limits: Limits, limit: str) -> None:
    """Too many objects, too deep, too many attribute bytes: refused with the limit's name."""
    with pytest.raises(LimitExceeded) as caught:
        read_hdf5(source(built(), limits))
    assert caught.value.info.extra["limit"] == limit


def test_shards_become_one_tree() -> None:
    """Groups of one path are united."""
    parts = []
    for number in range(2):
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            file[f"layers/dense/vars/{number}"] = np.zeros(number + 1)
        parts.append(read_hdf5(source(buffer.getvalue())))
    layers = merge(parts).root.group("layers")
    assert layers is not None
    dense = layers.group("dense")
    assert dense is not None
    assert list(dense.children["vars"].datasets) == ["0", "1"]  # type: ignore[union-attr]


def test_peeking_reads_names_only() -> None:
    """Names at the root; None for what cannot be opened."""
    found = peek_hdf5(source(built()))
    assert found is not None
    assert "wide" in found.children
    assert "texts" in found.attributes
    assert peek_hdf5(source(built()[:100])) is None


def test_attribute_helpers() -> None:
    """Lists of text, lists in pieces, single texts, and what is not text."""
    assert texts({"a": (b"x", b"y")}, "a") == ("x", "y")
    assert texts({"a0": (b"x",), "a1": (b"y",)}, "a") == ("x", "y")
    assert texts({}, "a") is None
    assert text_of({"a": b"x"}, "a") == "x"
    assert text_of({"a": 5}, "a") is None
    with pytest.raises(MalformedFile):
        texts({"a": 5}, "a")
