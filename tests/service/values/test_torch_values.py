"""The values of PyTorch's files against PyTorch: every type, every kind of view, every container."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from service.errors import InputError, LimitExceeded
from service.values.base import ValuesUnavailable
from service.values.containers import Container
from service.values.measure import measure
from tests.corpus import corpus_dir
from tests.service.readers.torch_archives import archive, mapping, tensor
from tests.service.values.opened import opened, read, streamed, upload, weights

FILES = ("views.pt", "deflated.pt", "legacy.pt", "big.pt", "module.pt", "script.pt", "exported.pt2")


def expected(name: str) -> dict[str, np.ndarray]:
    """What PyTorch reads."""
    with np.load(corpus_dir("torch_values") / f"{name}.npz") as held:
        return dict(held)


@pytest.mark.parametrize("name", FILES)
def test_values_are_those_that_torch_reads(name):
    """As a stream, as a whole, and row by row; not one value is off by a bit."""
    model, values = opened(corpus_dir("torch_values") / name)
    found, wanted = weights(model), expected(name)
    assert found.keys() == wanted.keys()
    for key, truth in wanted.items():
        ours = values.of(*found[key])
        assert ours.shape == truth.shape, key
        whole = ours.array()
        for array in (whole, streamed(ours)):
            assert np.array_equal(array.view(truth.dtype) if array.dtype != truth.dtype else array, truth,
                                  equal_nan=truth.dtype.kind in "fc"), key  # fmt: skip
        if truth.ndim and len(truth):
            assert np.array_equal(ours.block(0, 1), whole[:1], equal_nan=whole.dtype.kind in "fc"), key


def test_any_box_is_the_same_part_of_the_whole():
    """Of views with strides of their own, at places that are no multiples of anything."""
    model, values = opened(corpus_dir("torch_values") / "views.pt")
    found = weights(model)
    for key in ("contiguous", "permuted", "channels_last", "sliced", "wide_transposed", "overlapping"):
        ours = values.of(*found[key])
        whole, start = ours.array(), tuple(size // 3 for size in ours.shape)
        stop = tuple(max(size - 1, first + 1) for size, first in zip(ours.shape, start, strict=True))
        assert np.array_equal(ours.box(start, stop), whole[tuple(map(slice, start, stop))]), key


def test_the_order_of_bytes_is_that_of_the_archive_around_a_storage():
    """Beside `data` and `constants`, with a folder or without, inside another archive or not."""

    def zipped(**members):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as made:
            for name, data in members.items():
                made.writestr(name.replace("__", "/"), data)
        return out.getvalue()

    big = zipped(m__data__0=b"1234", m__byteorder=b"big", m__constants__0=b"1234")
    bare = zipped(data__0=b"1234", byteorder=b"big\n")
    nested = Container(upload(zipped(a=big, b=bare, c=zipped(m__data__0=b""), data__0=b"", byteorder=b"little")))
    for name, wanted in (("a!/m/data/0", True), ("a!/m/constants/0", True), ("b!/data/0", True),
                         ("c!/m/data/0", False), ("data/0", False), ("storages", False), (None, False)):  # fmt: skip
        assert nested.is_big_endian(name) is wanted, name


def test_what_the_file_does_not_hold_as_one_array_is_told():
    """A sparse tensor, and a NumPy array inside a pickle, give a reason and no numbers."""
    model, values = opened(corpus_dir("torch_files") / "zoo_state.pt")
    missing = [(layer, weight) for layer in model.layers for weight in layer.weights if weight.location is None]
    assert missing
    for layer, weight in missing:
        with pytest.raises(ValuesUnavailable, match="do not lie in the upload as one plain array"):
            values.of(layer, weight)


@pytest.mark.parametrize(
    ("count", "shape", "stride", "offset"),
    [(4, (5,), (1,), 0), (4, (2, 2), (2, 1), 1), (4, (2,), (2**62,), 0), (4, (2**40, 2**40), (0, 1), 0)],
)
def test_a_tensor_that_reaches_past_its_storage_has_no_values(count, shape, stride, offset):
    """Whatever its pickle declares, nothing outside the member is read."""
    data = archive(mapping(w=tensor("0", count, shape, stride, offset)) + b".", {"0": 4 * count})
    model, values = opened(data)
    with pytest.raises(ValuesUnavailable, match="should end at byte"):
        values.of(*weights(model)["w"])


def test_a_member_that_is_not_there_is_told():
    """A state_dict that names a storage without a member."""
    model, values = opened(archive(mapping(w=tensor("0", 4, (4,), (1,))) + b"."))
    with pytest.raises(ValuesUnavailable):
        values.of(*weights(model)["w"])


def test_a_few_values_that_stand_for_very_many_meet_the_limit():
    """One stored number expanded to 10^18 is refused at once, and the weight after it is still read."""
    data = archive(
        mapping(a=tensor("0", 1, (10**9, 10**9), (0, 0)), b=tensor("1", 3, (3,), (1,))) + b".", {"0": 4, "1": 12}
    )
    given = upload(data, most=10**9)
    found = weights(measure(given, read(given), lambda _done, _total: None))
    assert found["a"][1].statistics.status == "unavailable"
    assert "more bytes of values" in str(found["a"][1].statistics.reason)
    assert found["b"][1].statistics.zeros == 3


def test_a_deflate_bomb_is_refused():
    """A member of 50 MB that is stored in 50 KB meets the limit of expansion; nothing is inflated."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("m/data.pkl", mapping(w=tensor("0", 12_500_000, (12_500_000,), (1,))) + b".")
        new.writestr("m/data/0", bytes(50_000_000))
    given = upload(out.getvalue())
    statistics = weights(measure(given, read(given), lambda _done, _total: None))["w"][1].statistics
    assert statistics.status == "unavailable"
    assert "unpack" in str(statistics.reason)
    assert given.meter.inflated < 1 << 20


def test_an_axis_of_nothing_beside_a_huge_one():
    """No elements, but sizes that no array may have: measured as nothing, not held as a whole."""
    data = archive(mapping(w=tensor("0", 4, (0, 2**62), (1, 1))) + b".", {"0": 16})
    model, values = opened(data)
    ours = values.of(*weights(model)["w"])
    assert list(ours.chunks()) == []
    with pytest.raises(LimitExceeded):
        ours.array()
    assert streamed_count(data) == 0


def streamed_count(data):
    """The count of the only weight's statistics."""
    given = upload(data)
    return weights(measure(given, read(given), lambda _done, _total: None))["w"][1].statistics.count


@pytest.mark.parametrize("name", ["views.pt", "deflated.pt", "legacy.pt", "exported.pt2"])
def test_flipped_bits_never_break_the_reading(name):
    """At 60 places of the file: statistics, reasons, or an InputError."""
    data = (corpus_dir("torch_values") / name).read_bytes()
    for place in np.random.default_rng(4).integers(0, len(data), 60):
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(place % 8)
        given = upload(bytes(damaged), most=1 << 26)
        try:
            measure(given, read(given), lambda _done, _total: None)
        except InputError:
            continue
