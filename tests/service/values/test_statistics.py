"""Statistics against NumPy's own passes in double precision, for every type and for values of every kind."""

from __future__ import annotations

import math

import numpy as np
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from service.config import Limits
from service.measured import BINS
from service.source import BytesSource, Meter
from service.values.base import WeightValues
from service.values.elements import doubles, element_of
from service.values.measure import statistics_of
from service.values.strided import strided

RNG = np.random.default_rng(9)


def seen(codes, dtype=None, layout=None):
    """The statistics of an array of codes."""
    element = element_of(dtype or codes.dtype.name)
    source = BytesSource(np.ascontiguousarray(codes).tobytes(), Meter(Limits(), 1 << 40))
    return statistics_of(WeightValues(strided(source, 0, codes.shape, None, element), element, source.meter), layout)


def truth(values):
    """The same from NumPy, in double precision (long double for sums)."""
    flat = doubles(np.asarray(values)).reshape(-1)
    finite = flat[np.isfinite(flat)]
    long = finite.astype(np.longdouble)
    facts = {
        "count": flat.size, "finite": finite.size, "nan": np.isnan(flat).sum(),
        "positive_infinity": (flat == np.inf).sum(), "negative_infinity": (flat == -np.inf).sum(),
        "zeros": (finite == 0).sum(), "negative": (finite < 0).sum(),
    }  # fmt: skip
    if finite.size:
        facts |= {
            "min": finite.min(), "max": finite.max(), "linf": np.abs(finite).max(), "l1": float(np.abs(long).sum()),
            "l2": float(np.sqrt(np.square(long).sum())), "std": float(long.std()),
        }  # fmt: skip
        mean = float(long.mean())
        facts["mean"] = pytest.approx(mean, rel=1e-11, abs=1e-12 * float(np.abs(long).mean()) + 1e-320)
    return facts


def check(statistics, values):
    """All numbers; sums to 1e-11 of what they are sums of."""
    for name, wanted in truth(values).items():
        got = getattr(statistics, name)
        if name in ("l1", "l2"):
            assert got == pytest.approx(wanted, rel=1e-11), name
        elif name == "std":
            assert got == pytest.approx(wanted, rel=1e-9, abs=1e-14 * (statistics.linf or 0)), name
        else:
            assert got == wanted, name
    check_bins(statistics, doubles(np.asarray(values)).reshape(-1))


def check_bins(statistics, flat):
    """Histogram and exponents, counted one value at a time."""
    finite = flat[np.isfinite(flat) & (flat != 0)]
    if not finite.size:
        assert statistics.histogram is None
        assert statistics.exponents is None
        return
    span = statistics.histogram.span
    assert statistics.linf < span <= max(2 * statistics.linf, 2.0**-1016)
    half = BINS // 2
    steps = np.minimum(np.floor(np.abs(finite) / span * half), half - 1).astype(int)
    bins = np.where(finite < 0, half - 1 - steps, half + steps)
    assert statistics.histogram.counts == tuple(np.bincount(bins, minlength=BINS))
    normal = finite.size - statistics.denormal
    found = statistics.exponents
    assert (sum(found.counts) if found else 0) == normal
    if found:
        powers = np.frexp(finite)[1] - 1
        for offset, count in enumerate(found.counts[1:], 1):
            assert count == (powers == found.first + offset).sum()


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]
)
@pytest.mark.parametrize("size", [1, 100, 5_000, 300_001])
def test_every_type_of_numpy(dtype, size):
    """Random values around zero (whole ones up to 100), small and in several chunks."""
    values = RNG.standard_normal(size) * (0.05 if dtype.startswith("f") else 30)
    codes = np.abs(values).astype(dtype) if dtype.startswith("u") else values.astype(dtype)
    check(seen(codes), codes)


@pytest.mark.parametrize(
    "dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "int4", "uint4"]
)
@pytest.mark.parametrize("size", [300, 70_000])
def test_every_type_that_numpy_lacks(dtype, size):
    """Random codes, with all the odd ones among them."""
    element = element_of(dtype)
    codes = RNG.integers(0, 1 << element.bits, size).astype(element.code)
    check(seen(codes, dtype), element.decode(codes))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [999, 600_000])
def test_values_that_are_not_finite_are_counted_and_left_out(dtype, size):
    """NaN of either sign and with low bits only, infinities, zeros of both signs and denormal numbers."""
    values = RNG.standard_normal(size).astype(dtype)
    odd = [np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, np.finfo(dtype).smallest_subnormal,
           -np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny / 2, np.finfo(dtype).max]  # fmt: skip
    values[:: size // 97] = RNG.choice(np.array(odd, dtype), values[:: size // 97].size)
    low = values.view(f"u{values.itemsize}")
    low[1] = np.array(np.inf, dtype).view(low.dtype) + 1
    values[2] = 1
    statistics = seen(values)
    if dtype == "float32":
        check(statistics, values)
    smallest = np.finfo(dtype).tiny
    assert statistics.denormal == ((np.abs(values) < smallest) & (values != 0)).sum()
    assert statistics.nan == np.isnan(values).sum()


def test_complex_numbers_are_two_numbers_each():
    """Twice as many values; the norm is that of the complex vector."""
    values = RNG.standard_normal(1000) + 1j * RNG.standard_normal(1000)
    statistics = seen(values.astype("complex64"))
    assert statistics.count == 2000
    assert statistics.l2 == pytest.approx(np.linalg.norm(values.astype("complex64").astype("complex128")), rel=1e-11)


def test_a_large_mean_does_not_eat_the_spread():
    """10^7 plus noise of 1: what a sum of squares in single precision gets wrong entirely."""
    values = (1e7 + RNG.standard_normal(500_000)).astype("float32")
    assert seen(values).std == pytest.approx(float(values.astype(np.longdouble).std()), rel=1e-9)


def test_constant_weights():
    """The same number everywhere, in many chunks; all zero; one that differs; nothing at all."""
    for value in (3.5, 0.0, -2.0):
        values = np.full(1_000_000, value, "float32")
        statistics = seen(values)
        assert statistics.constant
        assert statistics.std == 0
        check(statistics, values)
        values[-1] = 7
        assert not seen(values).constant
    mixed = np.zeros(600_000, "float32")
    mixed[::2] = -0.0
    check(seen(mixed), mixed)
    empty = seen(np.zeros(0, "float32"))
    assert (empty.count, empty.min, empty.constant, empty.histogram) == (0, None, False, None)
    assert not seen(np.full(3, np.nan, "float32")).constant


def test_sums_beyond_doubles_are_not_made_up():
    """The norm of numbers whose squares overflow is not known; the rest is."""
    statistics = seen(np.array([1e300, -1e300]))
    assert statistics.l2 is None
    assert statistics.linf == 1e300
    assert statistics.histogram.counts[0:1] != ()


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(np.float32, st.integers(1, 300), elements=st.floats(width=32, allow_nan=True, allow_infinity=True)),
    st.sampled_from([1, 40]),
)
def test_any_float32_values(values, times):
    """Whatever hypothesis finds, once and repeated past the size from which codes are counted in a table."""
    values = np.tile(values, times)
    statistics = seen(values)
    for name, wanted in truth(values).items():
        if name in (
            "count",
            "finite",
            "nan",
            "positive_infinity",
            "negative_infinity",
            "zeros",
            "negative",
            "min",
            "max",
            "linf",
        ):
            assert getattr(statistics, name) == wanted, name
    check_bins(statistics, values.astype(np.float64))


def test_the_digest_is_of_the_bits():
    """BLAKE3 of the codes in C order: equal for equal bits, whatever chunks they came in."""
    values = RNG.standard_normal(400_000).astype("float32")
    assert seen(values).digest == blake3(values.tobytes()).hexdigest()


@pytest.mark.parametrize(("shape", "layout", "axis"), [
    ((7, 300, 500), "O-I-K", 0), ((300, 50, 11), "OIW", 0), ((3, 3, 40, 70), "HWIO", 3), ((1000, 300), "in-out", 1),
    ((300, 1000), "out-in", 0), ((5, 200_000), "in-out", 1), ((2, 100_000), "out-in", 0), ((4, 1), "in-out", 1),
])  # fmt: skip
def test_channels_of_kernels(shape, layout, axis):
    """Norms along the output axis, of channels longer and shorter than a block; those of zeros are named."""
    values = RNG.standard_normal(shape).astype("float32")
    index = [slice(None)] * len(shape)
    index[axis] = shape[axis] // 2
    values[tuple(index)] = 0
    found = seen(values, layout=layout).channels
    if "-" in layout and layout not in ("in-out", "out-in"):
        assert found is None or found.axis == axis
        return
    norms = np.linalg.norm(np.moveaxis(values, axis, 0).reshape(shape[axis], -1).astype(np.float64), axis=1)
    assert (found.axis, found.count, found.zero) == (axis, shape[axis], 1)
    assert found.zero_indices == (shape[axis] // 2,)
    assert found.smallest == pytest.approx(norms.min(), rel=1e-11)
    assert found.median == pytest.approx(np.median(norms), rel=1e-11)
    assert found.largest == pytest.approx(norms.max(), rel=1e-11)


def test_channels_with_values_that_are_not_finite():
    """NaN counts as nothing in its channel, and no other channel moves."""
    values = RNG.standard_normal((300, 2000)).astype("float32")
    values[5, 7] = np.nan
    values[200, :] = 0
    found = seen(values, layout="out-in").channels
    assert found.zero_indices == (200,)
    assert math.isfinite(found.largest)
    half = values.astype("float16")
    assert seen(half, layout="out-in").channels.zero_indices == (200,)
    assert seen(np.zeros((3, 4), "int8"), layout="in-out").channels.zero == 4


def test_weights_without_a_known_output_axis_have_no_channels():
    """No layout, one that does not fit, one whose output axis lies between others."""
    for shape, layout in (((3, 4), None), ((3, 4), "HWIO"), ((3, 4, 5), "IOW"), ((4,), "in-out")):
        assert seen(np.ones(shape, "float32"), layout=layout).channels is None
