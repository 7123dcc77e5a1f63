"""Datasets of HDF5 files against the HDF5 library: every index of chunks, filters, byte orders; and what is refused."""

from __future__ import annotations

import io
import struct

import h5py
import numpy as np
import pytest

from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile
from service.parsers.hdf5 import Dataset, read_hdf5
from service.parsers.hdf5_pages import open_pages
from service.source import BytesSource, Meter
from service.values.base import ValuesUnavailable, WeightValues
from service.values.datasets import dataset
from service.values.elements import element_of
from tests.service.values.opened import PLENTY, streamed

RNG = np.random.default_rng(5)
INDEXES = {
    "old_tree": ("earliest", {"chunks": (7, 4)}),
    "old_tree_growing": ("earliest", {"chunks": (7, 4), "maxshape": (None, None)}),
    "single": ("latest", {"chunks": (50, 21)}),
    "fixed": ("latest", {"chunks": (7, 4)}),
    "fixed_larger": ("latest", {"chunks": (7, 4), "maxshape": (90, 40)}),
    "extensible": ("latest", {"chunks": (7, 4), "maxshape": (None, 21)}),
    "extensible_second": ("latest", {"chunks": (3, 2), "maxshape": (80, None)}),
    "new_tree": ("latest", {"chunks": (7, 4), "maxshape": (None, None)}),
    "new_tree_deep": ("latest", {"chunks": (1, 1), "maxshape": (None, None)}),
    "contiguous": ("latest", {}),
}
FILTERS = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "gzip_shuffle": {"compression": "gzip", "shuffle": True},
    "all": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "fletcher32": {"fletcher32": True},
}


def written(array, version="latest", **options):
    """A file with one dataset `d`."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=version) as file:
        file.create_dataset("d", data=array, **options)
    return buffer.getvalue()


def values_of(data, most=PLENTY, dtype=None, **limits):
    """The values of the dataset `d`."""
    source = BytesSource(data, Meter(Limits(**limits), most))
    found = read_hdf5(source).root.children["d"]
    assert isinstance(found, Dataset)
    element = element_of(dtype or found.dtype)
    assert element is not None
    return WeightValues(dataset(open_pages(source)[0], source, found.header, element), element, source.meter)


def check(data):
    """Stream, whole and a part against the library."""
    with h5py.File(io.BytesIO(data)) as file:
        truth = file["d"][()]
    ours = values_of(data)
    assert np.array_equal(streamed(ours), truth)
    assert np.array_equal(ours.array(), truth)
    if truth.ndim == 2 and min(truth.shape) > 5:
        assert np.array_equal(ours.box((3, 2), (truth.shape[0] - 1, 5)), truth[3:-1, 2:5])


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("filters", FILTERS)
def test_chunks_are_found_and_unpacked(index, filters):
    """Whatever index the library chose, with every combination of the filters that are read."""
    version, options = INDEXES[index]
    if index == "contiguous" and filters != "none":
        options = {"chunks": True}
    check(written(RNG.standard_normal((50, 21)).astype("f4"), version, **options, **FILTERS[filters]))


@pytest.mark.parametrize(
    "kind", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "i1", ">i2", "<i4", ">i8", "u1", "<u2", "?"]
)
@pytest.mark.parametrize("options", [{}, {"chunks": (4, 3), "compression": "gzip", "shuffle": True}])
def test_every_type_and_order_of_bytes(kind, options):
    """In one piece and in chunks."""
    check(written((RNG.standard_normal((11, 7)) * 50).astype(kind), **options))


def test_values_in_the_header_and_scalars():
    """Compact storage, made by hand as h5py does it for nobody; and a scalar."""
    buffer = io.BytesIO()
    array = RNG.standard_normal(9)
    with h5py.File(buffer, "w") as file:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(array.shape)
        h5py.h5d.create(file.id, b"d", h5py.h5t.NATIVE_DOUBLE, space, creation).write(h5py.h5s.ALL, h5py.h5s.ALL, array)
    check(buffer.getvalue())
    check(written(np.float32(3.5)))


def test_chunks_allocated_beforehand():
    """The implicit index: all chunks one after the other."""
    buffer = io.BytesIO()
    array = RNG.standard_normal((20, 9))
    with h5py.File(buffer, "w", libver="latest") as file:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk((6, 4))
        creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        space = h5py.h5s.create_simple(array.shape)
        h5py.h5d.create(file.id, b"d", h5py.h5t.NATIVE_DOUBLE, space, creation).write(h5py.h5s.ALL, h5py.h5s.ALL, array)
    check(buffer.getvalue())


@pytest.mark.parametrize("version", ["earliest", "latest"])
@pytest.mark.parametrize(
    "options", [{}, {"chunks": (5, 5)}, {"chunks": (5, 5), "maxshape": (None, 30), "compression": "gzip"}]
)
def test_what_was_never_written_is_the_fill_value(version, options):
    """Whole datasets, and the other chunks of one of which a corner was written."""
    for corner in (False, True):
        buffer = io.BytesIO()
        with h5py.File(buffer, "w", libver=version) as file:
            made = file.create_dataset("d", (30, 30), "f4", fillvalue=2.5, **options)
            if corner:
                made[28:, 28:] = 1
        check(buffer.getvalue())


def test_a_dataset_that_shrank_keeps_its_places():
    """Chunks beyond today's shape are left out; the others do not move."""
    for maximum in ((None, None), (None, 40), (60, 40)):
        buffer = io.BytesIO()
        with h5py.File(buffer, "w", libver="latest") as file:
            made = file.create_dataset("d", data=RNG.standard_normal((50, 30)), chunks=(4, 4), maxshape=maximum)
            made.resize((21, 13))
        check(buffer.getvalue())


def test_large_indexes_in_pages():
    """A fixed array of several pages, an extensible array with super blocks, trees of several levels."""
    for maximum in ((3000, 3), (None, 3), (None, None)):
        array = np.arange(9000, dtype="f4").reshape(3000, 3)
        check(written(array, chunks=(1, 1), maxshape=maximum))


def test_an_extensible_array_whose_blocks_have_pages(tmp_path):
    """Some of 400,000 chunks of one number: beyond the 131,060th their places stand in pages, few of them written."""
    path = tmp_path / "d.h5"
    with h5py.File(path, "w", libver="latest") as file:
        made = file.create_dataset("d", (400_000,), "u1", chunks=(1,), maxshape=(None,))
        for place in (3, 70, 5_000, 131_500, 163_900, 250_000, 251_100, 399_999):
            made[place] = 7
    check(path.read_bytes())


def test_a_chunk_without_some_of_its_filters():
    """The library leaves a filter out of a chunk by its mask."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        made = file.create_dataset("d", (8,), "i4", chunks=(4,), compression="gzip", shuffle=True)
        made[:] = range(8)
        made.id.write_direct_chunk((4,), np.arange(9, 13, dtype="i4").tobytes(), filter_mask=0b11)
    check(buffer.getvalue())


def refused(data):
    """The reason why a dataset has no values."""
    with pytest.raises(ValuesUnavailable) as caught:
        values_of(data, dtype="float32")
    return str(caught.value.reason)


def test_data_in_other_files_are_never_opened(tmp_path):
    """External storage and virtual datasets, with the other file lying there."""
    other = tmp_path / "other.bin"
    other.write_bytes(bytes(400))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("d", (100,), "f4", external=[(str(other), 0, 400)])
    assert "another file" in refused(buffer.getvalue())
    source = tmp_path / "source.h5"
    source.write_bytes(written(np.zeros(100, "f4")))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="latest") as file:
        layout = h5py.VirtualLayout((100,), "f4")
        layout[:] = h5py.VirtualSource(str(source), "d", (100,))
        file.create_virtual_dataset("d", layout)
    assert "other files" in refused(buffer.getvalue())


def test_filters_that_are_not_undone_are_named():
    """LZF and scale-offset come with h5py and are not read."""
    array = np.ones((20, 20), "f4")
    assert "filter 32000" in refused(written(array, chunks=(5, 5), compression="lzf"))
    assert "filter 6" in refused(written(array.astype("i4"), chunks=(5, 5), scaleoffset=True))


def test_numbers_in_forms_of_their_own_are_not_guessed():
    """A float whose exponent has a bias of its own, a whole number of 12 bits."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        odd = h5py.h5t.IEEE_F32LE.copy()
        odd.set_ebias(100)
        h5py.h5d.create(file.id, b"d", odd, h5py.h5s.create_simple((3,)))
    assert "form of their own" in refused(buffer.getvalue())
    data = written(np.arange(3, dtype="i4"))
    described = struct.pack("<IHH", 4, 0, 32)  # size, first bit, number of bits
    assert data.count(described) == 1
    assert "some of the bits" in refused(data.replace(described, struct.pack("<IHH", 4, 0, 12)))


def test_a_chunk_that_is_not_what_it_should_be_is_refused():
    """Random bytes, too few of them, and a bomb in the place of a deflated chunk."""
    import zlib

    for stored in (b"not deflated", zlib.compress(bytes(10)), zlib.compress(bytes(10**7))):
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            made = file.create_dataset("d", (100,), "f4", chunks=(100,), compression="gzip")
            made.id.write_direct_chunk((0,), stored)
        ours = values_of(buffer.getvalue())
        with pytest.raises(MalformedFile):
            ours.array()
        assert ours.meter.inflated < 1000


def test_a_gigantic_declared_shape_meets_the_limit():
    """A terabyte of fill values behind a file of 2 KB; chunks larger than are unpacked."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="latest") as file:
        file.create_dataset("d", (10**9, 10**3), "f4", chunks=(1000, 1000))
    ours = values_of(buffer.getvalue(), most=1 << 30)
    with pytest.raises(LimitExceeded, match="values"):
        next(ours.chunks())
    with pytest.raises(LimitExceeded, match="held at once"):
        ours.array()
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="latest") as file:
        file.create_dataset("d", (10**9, 10**3), "f4", chunks=(10**5, 10**3))
    assert "larger than" in refused(buffer.getvalue())


@pytest.mark.parametrize("index", [name for name in INDEXES if name != "new_tree_deep"])
def test_flipped_bits_never_break_the_reading(index):
    """At 150 places of a small file: the values, a reason, or an InputError."""
    version, options = INDEXES[index]
    filters = {} if index == "contiguous" else {"compression": "gzip", "shuffle": True}
    data = written(RNG.standard_normal((50, 21)).astype("f4"), version, **options, **filters)
    places = np.random.default_rng(11).integers(0, len(data), 150)
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(place % 8)
        try:
            for _ in values_of(bytes(damaged), most=1 << 24, dtype="float32").chunks():
                pass
        except (InputError, ValuesUnavailable, KeyError):
            continue


def test_a_contiguous_dataset_shorter_than_its_shape_has_no_values():
    """Its header says 400 bytes, its shape 4,000."""
    data = bytearray(written(np.arange(1000, dtype="f4"), "earliest"))
    place = data.index(struct.pack("<BBBB4xQ", 1, 1, 1, 0, 1000))
    data[place + 8 : place + 16] = struct.pack("<Q", 1000)
    size = data.rindex(struct.pack("<Q", 4000), 0, len(data) - 4000)
    data[size : size + 8] = struct.pack("<Q", 400)
    assert "should end at byte" in refused(bytes(data))
