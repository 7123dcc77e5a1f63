"""Codes of small floating-point and whole numbers against PyTorch's and Keras' own decoding."""

from __future__ import annotations

import numpy as np
import pytest

from service.catalog.torch_dtypes import BITS
from service.values.elements import element_of, table
from tests.corpus import corpus_dir

NAMES = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "bfloat16")


@pytest.mark.parametrize("name", NAMES)
def test_every_code_stands_for_the_number_that_torch_says(name):
    """All 256 or 65,536 of them, infinities and NaN included."""
    element = element_of(name)
    codes = np.arange(1 << element.bits).astype(element.code)
    with np.load(corpus_dir("torch_values") / "decoded.npz") as held:
        assert np.array_equal(element.decode(codes), held[name], equal_nan=True)


def test_whole_numbers_of_few_bits_are_the_low_bits_of_a_byte():
    """int4 is signed, whatever the high bits are; uint3 is not."""
    assert table("int4")[[0, 7, 8, 15, 0xF8]].tolist() == [0, 7, -8, -1, -8]
    assert table("uint3")[[0, 7, 8, 255]].tolist() == [0, 7, 0, 7]


def test_types_that_are_not_read_are_known():
    """Of all types that PyTorch stores, these have no values here."""
    unread = {name for name in BITS if element_of(name) is None}
    assert unread == {"bytes", "quint4x2", "quint2x4", "complex32", "float4_e2m1fn_x2", "bits1x8", "bits2x4", "bits4x2"}
    assert element_of(None) is None
    assert element_of("string") is None


def test_the_smallest_normal_number_is_known():
    """Against NumPy where it has the type; by the definition of the format else."""
    for name in ("float16", "float32", "float64"):
        assert element_of(name).smallest_normal == float(np.finfo(name).tiny)
    assert element_of("float8_e4m3fn").smallest_normal == 2.0**-6
    assert element_of("float8_e5m2").smallest_normal == 2.0**-14
    assert element_of("int8").smallest_normal == 0
