"""How two arrays differ: verdicts at the border of rounding, figures against NumPy in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from service.config import Limits
from service.source import BytesSource, Meter
from service.values.base import WeightValues
from service.values.differ import Differing, differ
from service.values.elements import element_of
from service.values.strided import strided

RNG = np.random.default_rng(2)


def values_of(array, dtype=None):
    """An array as the values of a weight."""
    source = BytesSource(np.ascontiguousarray(array).tobytes(), Meter(Limits(), 1 << 40))
    element = element_of(dtype or array.dtype.name)
    return WeightValues(strided(source, 0, array.shape, None, element), element, source.meter)


def test_the_same_numbers_are_equal():
    """Zeros of both signs and NaN in the same places too; other types of the same numbers too."""
    array = np.array([1, 0.0, -0.0, np.nan, np.inf, 2.5], "f4")
    other = np.array([1, -0.0, 0.0, np.nan, np.inf, 2.5], "f8")
    found = differ(array, other)
    assert (found.verdict, found.max_absolute, found.max_relative, found.cosine) == ("equal", 0, 0, 1)
    assert differ(np.arange(5), np.arange(5)).verdict == "equal"


@pytest.mark.parametrize(
    ("dtype", "fraction"), [("float32", 23), ("float16", 10), ("bfloat16", 7), ("float8_e4m3fn", 3)]
)
def test_one_unit_in_the_last_place_is_close_and_more_is_not(dtype, fraction):
    """Of the coarser of the two types, at every place of the array."""
    base = RNG.uniform(1, 2, 1000)
    for size, verdict in ((0.9, "close"), (2.2, "different")):
        other = base.copy()
        other[777] += size * 2.0**-fraction
        assert differ(base, other, dtype, "float64").verdict == verdict


def test_rounding_to_a_coarser_type_is_close():
    """Random values over 12 powers of ten, rounded to half precision, denormal numbers included."""
    base = (RNG.standard_normal(10_000) * 10.0 ** RNG.uniform(-8, 4, 10_000)).astype("f4")
    assert differ(base, base.astype("f2")).verdict == "close"
    assert differ(base, (base.view("u4") & 0xFFFF0000).view("f4"), "float32", "bfloat16").verdict == "close"
    assert differ(base, (base.view("u4") & 0xFFFF0000).view("f4")).verdict == "different"


def test_whole_numbers_are_equal_or_different():
    """No rounding makes 100 of 101."""
    assert differ(np.array([100, 5]), np.array([101, 5])).verdict == "different"
    assert differ(np.array([100.0, 5], "f4"), np.array([100, 5])).verdict == "equal"


def test_values_that_are_not_finite_must_agree():
    """NaN against a number, infinity against the other or a number."""
    for left, right in ((np.nan, 1), (np.inf, 1), (np.inf, -np.inf), (np.nan, np.inf)):
        found = differ(np.array([left, 1.0]), np.array([right, 1.0]))
        assert (found.verdict, found.max_absolute, found.max_relative) == ("different", None, None)


@pytest.mark.parametrize("shape", [(), (1,), (1000,), (70, 90, 3), (2, 700_001)])
def test_figures_are_those_of_numpy(shape):
    """Largest differences and cosine, of arrays of one block and of many, transposed and not."""
    left, right = (RNG.standard_normal(shape).astype("f4") for _ in range(2))
    found = differ(left.T, right.T)
    a, b = left.astype("f8"), right.astype("f8")
    assert found.max_absolute == np.abs(a - b).max()
    assert found.max_relative == pytest.approx((np.abs(a - b) / np.maximum(np.abs(a), np.abs(b))).max(), rel=1e-12)
    assert found.cosine == pytest.approx((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()), rel=1e-9)


def test_pieces_make_the_same_as_the_whole():
    """And zero against anything has no cosine."""
    left, right = RNG.standard_normal((2, 40, 50))
    tally = Differing()
    for row in range(0, 40, 7):
        tally.add(left[row : row + 7], right[row : row + 7])
    whole = differ(left, right)
    assert tally.result().max_absolute == whole.max_absolute
    assert tally.result().cosine == pytest.approx(whole.cosine)
    assert differ(np.zeros(3), np.ones(3)).cosine is None
    assert differ(np.zeros((0, 2)), np.zeros((0, 2))).verdict == "equal"
    with pytest.raises(ValueError, match=r"\(3,\) is not \(4,\)"):
        differ(np.ones(3), np.ones(4))


def test_complex_numbers_are_compared_part_by_part():
    """One imaginary part that is off."""
    left = np.array([1 + 2j, 3], "c8")
    assert differ(left, left.astype("c16")).verdict == "equal"
    assert differ(left, left + np.array([0.5j, 0])).max_absolute == 0.5


def test_permuted_axes_are_compared_in_boxes():
    """A kernel in HWIO against one in OIHW; a single wrong value is found; shapes that do not fit are refused."""
    kernel = RNG.standard_normal((3, 3, 130, 4100)).astype("f4")
    other = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    assert in_boxes(kernel, other, (3, 2, 0, 1)).verdict == "equal"
    other[4099, 129, 2, 2] += 1
    found = in_boxes(kernel, other, (3, 2, 0, 1))
    assert (found.verdict, found.max_absolute) == ("different", pytest.approx(1, rel=1e-6))
    with pytest.raises(ValueError, match="is not"):
        in_boxes(kernel, other, (2, 3, 0, 1))


def in_boxes(left, right, axes):
    """`left`, its axes permuted, against `right`, a thousand rows at a time."""
    ours, theirs, found = values_of(left), values_of(right), Differing("float32", "float32")
    inner = [0] * (len(left.shape) - 1)
    for start in range(0, right.shape[0], 1000):
        stop = min(start + 1000, right.shape[0])
        box = ours.box((*inner, start), (*left.shape[:-1], stop)).transpose(axes)
        found.add(box, theirs.box((start, *inner), (stop, *right.shape[1:])))
    return found.result()
