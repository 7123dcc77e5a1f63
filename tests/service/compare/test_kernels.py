"""Canonical views of convolution kernels: by known orders of axes alone."""

from __future__ import annotations

import pytest

from service.compare import kernels
from tests.builders import layer, weight


@pytest.mark.parametrize(
    ("layout", "shape", "final"),
    [
        ("HWIO", (3, 5, 4, 8), (3, 5, 4, 8)), ("OIHW", (8, 4, 3, 5), (3, 5, 4, 8)),
        ("IOHW", (4, 8, 3, 5), (3, 5, 4, 8)), ("WIO", (5, 4, 8), (5, 4, 8)),
        ("OIDHW", (8, 4, 2, 3, 5), (2, 3, 5, 4, 8)), ("HWIM", (3, 5, 4, 2), (3, 5, 1, 8)),
    ],
)  # fmt: skip
def test_kernels_are_brought_into_one_order(layout, shape, final):
    """Space, inputs of a group, outputs."""
    one = weight("kernel", shape)
    assert kernels.convolution(layer("c", "conv", one), one, layout).shape == final


@pytest.mark.parametrize("layout", ["out-in", "in-out", "HWXY", "IIOO", "OOHW", "M", "MI", "HWIO", "", "OIHWM"])
def test_what_is_no_order_of_axes_is_left_as_it_is(layout):
    """A description may be of any version, or changed: found by fuzzing."""
    shape = tuple(range(2, 2 + len(layout))) if layout not in ("HWIO", "MI") else (2, 3, 4, 5, 6)
    one = weight("kernel", shape)
    assert kernels.convolution(layer("c", "conv", one), one, layout).shape == shape
