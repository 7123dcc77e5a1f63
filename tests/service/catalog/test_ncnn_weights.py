"""What a layer of ncnn reads, from its numbers alone: arrays in their order, and what cannot be known."""

from __future__ import annotations

import random

import pytest

from service.catalog.ncnn_types import NAMES, is_known
from service.catalog.ncnn_weights import Array, arrays_of
from service.errors import InputError, MalformedFile
from service.parsers.ncnn import Entry


def layer(kind: str, **params: float) -> Entry:
    """A layer of this type; parameters are named `p0`, `p1` and so on."""
    return Entry(kind, "l", ("in",), ("out",), {int(key[1:]): value for key, value in params.items()})


def shapes(entry: Entry) -> dict[str, tuple[int, ...]] | None:
    """Names and sizes, in their order; None where nobody knows."""
    found = arrays_of(entry)
    return None if found is None else {one.name: one.shape for one in found}


@pytest.mark.parametrize(("entry", "expected"), [
    (layer("Convolution", p0=6, p1=3, p11=2, p5=1, p6=144), {"weight": (6, 4, 2, 3), "bias": (6,)}),
    (layer("Convolution", p0=6, p1=1, p6=24, p19=1), {}),
    (layer("ConvolutionDepthWise", p0=8, p1=3, p6=72, p7=8), {"weight": (8, 1, 3, 3)}),
    (layer("Convolution1D", p0=4, p1=3, p5=1, p6=24), {"weight": (4, 2, 3), "bias": (4,)}),
    (layer("InnerProduct", p0=5, p1=1, p2=35), {"weight": (5, 7), "bias": (5,)}),
    (layer("InnerProduct", p0=4, p2=35), {"weight": (35,)}),
    (layer("Embed", p0=4, p1=9, p2=1, p3=36), {"weight": (9, 4), "bias": (4,)}),
    (layer("LayerNorm", p0=8), {"gamma": (8,), "beta": (8,)}),
    (layer("LayerNorm", p0=8, p2=0), {}),
    (layer("RMSNorm", p0=8), {"gamma": (8,)}),
    (layer("Scale", p0=-233, p1=0), {}),
    (layer("PReLU", p0=7), {"slope": (7,)}),
    (layer("LSTM", p0=6, p1=240, p2=2),
     {"weight_xc": (2, 24, 5), "bias_c": (2, 4, 6), "weight_hc": (2, 24, 6)}),
    (layer("MemoryData", p0=3, p1=4, p11=2, p2=5), {"data": (5, 2, 4, 3)}),
    (layer("Gemm", p4=1, p6=1, p7=5, p9=4, p10=1), {"A": (5, 4), "C": (5,)}),
    (layer("Gemm", p3=1, p5=1, p8=6, p9=70, p18=812),
     {"B": (6, 70), "B_data_quantize_scales": (6, 1), "B_data_input_scales": (70,)}),
    (layer("ReLU"), {}),
    (layer("Mine"), None),
    (layer("LSTM", p0=6, p1=121), None),
    (layer("Quantize", p0=0.5), None),
])  # fmt: skip
def test_arrays_follow_from_the_parameters(entry: Entry, expected: dict[str, tuple[int, ...]] | None) -> None:
    """Sizes in C order; nothing where there is none, None where a size does not divide or the layer is another's."""
    assert shapes(entry) == expected


@pytest.mark.parametrize(("bits", "stored"), [(4, 3 * 18), (6, 3 * 27), (8, 3 * 35)])
def test_rows_of_packed_values_begin_with_a_byte(bits: int, stored: int) -> None:
    """Three rows of 35 values: 140, 210 and 280 bits each, rounded up."""
    array = Array("w", "kernel", (3, 35), bits=bits)
    assert (array.count, array.stored, array.packed_as) == (105, stored, f"int{bits}")


def test_plain_values_are_stored_one_by_one() -> None:
    """Whatever they are stored as, which only the flag tells."""
    array = Array("w", "kernel", (3, 5), flagged=True)
    assert (array.count, array.stored, array.packed_as) == (15, 15, None)


@pytest.mark.parametrize(("entry", "sentence"), [
    (layer("InnerProduct", p0=5, p2=-35), "Parameter 2 of the layer l is a negative size."),
    (layer("Embed", p0=0.5, p3=3), "Parameter 0 of the layer l is no whole number."),
    (layer("PReLU", p0=2**70), "Parameter 0 of the layer l is no whole number."),
])  # fmt: skip
def test_sizes_that_cannot_be_are_refused(entry: Entry, sentence: str) -> None:
    """With the layer and the number of the parameter."""
    with pytest.raises(MalformedFile) as caught:
        arrays_of(entry)
    assert str(caught.value.info.detail) == sentence
    assert caught.value.info.pointer == f"l/{sentence.split()[1]}"


def test_any_numbers_give_arrays_or_an_error() -> None:
    """Random parameters of every type: sizes are never negative, and nothing else is raised."""
    draw = random.Random(20261121)  # noqa: S311 - a corpus, not a secret
    for kind in NAMES:
        for _ in range(60):
            entry = Entry(kind, "l", (), (), {draw.randrange(31): draw.choice((0, 1, 2, 3, 7, 64, 101, 411, 0.5, -1))
                                              for _ in range(draw.randrange(8))})  # fmt: skip
            try:
                found = arrays_of(entry)
            except InputError:
                continue
            assert found is None or all(size >= 0 for array in found for size in array.shape), entry
            assert is_known(kind)
