"""ggml's blocks as the numbers that the gguf package makes of them, to the last bit; what is not read says why."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np
import pytest

from service.compare.compare import compare
from service.config import Limits
from service.errors import InputError, LimitExceeded
from service.source import BytesSource, Meter
from service.values.base import CHUNK_BYTES, ValuesUnavailable
from service.values.blocks import blocks
from service.values.measure import measure
from service.values.opening import open_values
from service.values.pair import PairOfValues
from tests import builders
from tests.service.values.formats import drawn, measured, reasons, statistics, upload
from tests.service.values.opened import opened, streamed, weights

Type = gguf.GGMLQuantizationType
READ = (
    "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4",
    "NVFP4", "TQ1_0", "TQ2_0",
)  # fmt: skip
UNREAD = ("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S", "IQ1_M", "Q8_1", "Q8_K")
WRITTEN = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "TQ1_0", "TQ2_0", "MXFP4")
"""Those that the package can also write."""
RANDOM = np.random.default_rng(17)


def codes(name: str, rows: int, width: int) -> np.ndarray:
    """Rows of blocks of any bits; what their scales are comes out of that, too: infinite, NaN, denormal."""
    elements, size = gguf.GGML_QUANT_SIZES[Type[name]]
    return RANDOM.integers(0, 256, (rows, width // elements * size), dtype=np.uint8)


def theirs(data: np.ndarray, name: str) -> np.ndarray:
    """What the gguf package makes of blocks."""
    with np.errstate(all="ignore"):
        return gguf.quants.dequantize(data, Type[name])


def source(data: bytes) -> BytesSource:
    return BytesSource(data, Meter(Limits()))


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """The same bits, any NaN being as good as another."""
    numbers = np.ascontiguousarray(one), np.ascontiguousarray(other)
    equal = numbers[0].view(np.uint32) == numbers[1].view(np.uint32)
    return one.dtype == other.dtype == np.float32 and bool((equal | (np.isnan(one) & np.isnan(other))).all())


def file(path: Path, tensors: Mapping[str, tuple[np.ndarray, str | None]], **more: object) -> bytes:
    """A GGUF file of arrays, or of blocks of a type."""
    writer = gguf.GGUFWriter(path / "m.gguf", "llama", **more)  # type: ignore[arg-type]
    for name, (array, kind) in tensors.items():
        writer.add_tensor(name, array, raw_dtype=None if kind is None else Type[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return (path / "m.gguf").read_bytes()


@pytest.mark.parametrize("name", READ)
def test_any_bits_are_the_numbers_that_ggml_makes_of_them(name):
    """Two hundred blocks of random bits, in three axes, behind seven other bytes."""
    data = codes(name, 10, 5120)
    wanted = theirs(data, name).reshape(2, 5, 5120)
    held = blocks(source(bytes(7) + data.tobytes()), 7, name.lower(), (2, 5, 5120))
    assert same(held.box((0, 0, 0), (2, 5, 5120)), wanted)
    assert held.bytes == data.nbytes


@pytest.mark.parametrize("name", ["Q4_0", "Q6_K", "NVFP4"])
def test_a_box_may_begin_and_end_inside_blocks(name):
    """Any part along any axis, and a single number."""
    data = codes(name, 6, 1280)
    wanted = theirs(data, name)
    held = blocks(source(data.tobytes()), 0, name.lower(), (6, 1280))
    for start, stop in (((0, 0), (6, 1280)), ((1, 3), (4, 1001)), ((5, 640), (6, 641)), ((2, 255), (3, 257))):
        assert same(held.box(start, stop), wanted[start[0] : stop[0], start[1] : stop[1]])


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_that_the_package_wrote(tmp_path, name):
    """Chunks, the whole and its statistics are those of the dequantised array."""
    packed = gguf.quants.quantize(drawn(6, 512), Type[name])
    wanted = theirs(packed, name)
    model, values = opened(file(tmp_path, {"a.weight": (packed, name)}))
    layer, weight = weights(model)["a.weight"]
    held = values.of(layer, weight)
    assert (held.shape, held.dequantised, held.bytes) == ((6, 512), True, packed.nbytes)
    assert same(streamed(held), wanted)
    assert same(held.array(), wanted)
    assert same(held.block(1, 3), wanted[1:3])
    found = statistics({"m.gguf": (tmp_path / "m.gguf").read_bytes()})["a.weight"]
    assert (found.status, found.count, found.min, found.max) == ("complete", 3072, wanted.min(), wanted.max())
    assert found.mean == pytest.approx(wanted.astype(np.float64).mean(), rel=1e-9)


def test_statistics_say_that_they_are_of_dequantised_numbers(tmp_path):
    """By a mark on each, and by a note that names the types; numbers that are stored as they are have neither."""
    q8, q4 = (gguf.quants.quantize(drawn(2, 256), Type[name]) for name in ("Q8_0", "Q4_0"))
    tensors = {"a.weight": (q8, "Q8_0"), "b.weight": (q4, "Q4_0"), "c.weight": (drawn(2, 4), None)}
    model = measured({"m.gguf": file(tmp_path, tensors)})
    assert {name: one.dequantised for name, one in statistics(model).items()} == {
        "a.weight": True, "b.weight": True, "c.weight": False,
    }  # fmt: skip
    assert str(model.notes[0]) == (
        "The statistics of 2 weights are of the numbers that their blocks (q4_0 and q8_0) stand for, dequantised to"
        " single precision as ggml does, not of the codes that are stored."
    )


@pytest.mark.parametrize("name", UNREAD)
def test_types_that_are_not_read_say_why(name):
    """Grids are ggml's own tables; the others occur in no file."""
    elements, size = gguf.GGML_QUANT_SIZES[Type[name]]
    with pytest.raises(ValuesUnavailable, match="grid of vectors" if name.startswith("IQ") else "are not read"):
        blocks(source(bytes(size)), 0, name.lower(), (1, elements))


def test_a_file_of_grids_has_reasons(tmp_path):
    """The place of the blocks is told all the same."""
    data = codes("IQ2_XS", 2, 512)
    given = {"m.gguf": file(tmp_path, {"a.weight": (data, "IQ2_XS")})}
    assert reasons(given) == {
        "Values of the type iq2_xs are not read: its codes are places in a grid of vectors that is not here."
    }
    weight = measured(given).layers[-1].weights[0]
    assert weight.location is not None
    assert weight.location.length == data.nbytes


def test_bytes_in_the_other_order_are_not_read(tmp_path):
    """A big-endian file has other blocks."""
    packed = gguf.quants.quantize(drawn(2, 64), Type.Q8_0)
    data = file(tmp_path, {"a.weight": (packed, "Q8_0")}, endianess=gguf.GGUFEndian.BIG)
    assert {one.status for one in statistics({"m.gguf": data}).values()} == {"unavailable"}


@pytest.mark.parametrize(
    ("offset", "shape"), [(0, (1, 48)), (0, ()), (0, (3, 64)), (1, (2, 64)), (-1, (2, 64)), (0, (2**40, 64))]
)
def test_places_that_cannot_be(offset, shape):
    """Rows of broken blocks, no rows, more blocks than there are: unavailable, not an error of ours."""
    with pytest.raises(ValuesUnavailable):
        blocks(source(bytes(4 * 34)), offset, "q8_0", shape)


def test_a_cut_file_has_what_is_left(tmp_path):
    """Of two tensors the one that is cut off has a reason."""
    packed = gguf.quants.quantize(drawn(8, 64), Type.Q8_0)
    data = file(tmp_path, {"a.weight": (packed, "Q8_0"), "b.weight": (packed, "Q8_0")})
    found = statistics({"m.gguf": data[:-100]})
    assert {name: one.status for name, one in found.items()} == {"a.weight": "complete", "b.weight": "unavailable"}


def test_values_are_counted_as_they_are_stored(tmp_path):
    """A limit of bytes is one of the file's, not of what its blocks are made into; progress ends at the whole."""
    packed = gguf.quants.quantize(drawn(64, 4096), Type.Q4_0)
    data = file(tmp_path, {"a.weight": (packed, "Q4_0")})
    seen: list[tuple[int, int]] = []
    given = upload({"m.gguf": data})
    given.meter.most = len(data) * 2
    model = opened(data)[0]
    found = measure(given, model, lambda done, total: seen.append((done, total)))
    assert statistics(found)["a.weight"].status == "complete"
    assert len(seen) > 1
    assert seen[-1] == (packed.nbytes, packed.nbytes)
    assert all(before <= after for (before, _), (after, _) in pairwise(seen))
    assert given.meter.values == packed.nbytes
    small = upload({"m.gguf": data})
    small.meter.most = packed.nbytes - 1
    with pytest.raises((LimitExceeded, InputError)):
        list(open_values(small, model).of(*weights(model)["a.weight"]).chunks())


def test_pieces_are_bounded():
    """A long row comes in chunks, whatever its blocks."""
    held = blocks(source(codes("Q4_K", 1, 1 << 20).tobytes()), 0, "q4_k", (1, 1 << 20))
    assert held.box((0, 100), (1, 100 + CHUNK_BYTES // 4)).nbytes == CHUNK_BYTES


def test_blocks_beside_the_numbers_they_were_made_of(tmp_path):
    """Not equal, and not called a mistake: how far apart they are is told; against themselves they are equal."""
    array = drawn(16, 64)
    packed = gguf.quants.quantize(array, Type.Q8_0)
    exact = file(tmp_path, {"output.weight": (array, None)})
    small = file(tmp_path, {"output.weight": (packed, "Q8_0")})

    def held(left: bytes, right: bytes) -> tuple[str, float | None]:
        sides = [opened(one) for one in (left, right)]
        reports = [builders.report(measured({"m.gguf": one})) for one in (left, right)]
        found = compare(reports[0], reports[1], PairOfValues(sides[0][1], sides[1][1]))
        differences = [weight.difference for pair in found.layers for weight in pair.weights if weight.difference]
        assert not found.problems
        return differences[0].verdict, differences[0].cosine

    verdict, cosine = held(exact, small)
    assert verdict == "unknown"
    assert cosine is not None
    assert cosine > 0.999
    assert held(small, small) == ("equal", pytest.approx(1))
