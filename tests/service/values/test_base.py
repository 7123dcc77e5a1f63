"""Boxes: together they are the array in C order, none is larger than asked, and they keep to the chunks of a file."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.values.base import boxes

SHAPES = st.lists(st.integers(0, 9), max_size=4).map(tuple)


@given(SHAPES, st.integers(1, 60), st.data())
def test_boxes_are_the_array_in_c_order(shape, most, data):
    """Whatever the shape, the size and the grain."""
    grain = data.draw(st.none() | st.tuples(*(st.integers(1, 5) for _ in shape)))
    high = data.draw(st.sampled_from([0, 100]))
    whole = np.arange(math.prod(shape)).reshape(shape)
    found = [whole[tuple(map(slice, start, stop))].reshape(-1) for start, stop in boxes(shape, most, grain, high)]
    joined = np.concatenate(found) if found else np.zeros(0)
    assert np.array_equal(joined, whole.reshape(-1))
    assert all(0 < box.size <= max(most, high) for box in found)


@pytest.mark.parametrize(("most", "high", "steps"), [(100, 0, {10}), (300, 0, {28, 16}), (100, 200, {14, 2})])
def test_boxes_keep_to_the_chunks(most, high, steps):
    """Rows in multiples of the chunks' height where that fits, or of their height where that is allowed."""
    found = {stop[0] - start[0] for start, stop in boxes((100, 10), most, (14, 3), high)}
    assert found == steps


def test_huge_shapes_are_not_counted_out():
    """The first boxes of 10^30 elements come at once."""
    found = boxes((10**12, 10**9, 10**9), 1000)
    assert next(found) == ((0, 0, 0), (1, 1, 1000))
    assert next(found) == ((0, 0, 1000), (1, 1, 2000))
