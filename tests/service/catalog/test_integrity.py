"""Arrays that lie as they should are told at once, and are those that nothing is found about."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.catalog.integrity import Extent, check_extents, fills

EXTENTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=4)
LENGTHS = st.lists(st.integers(0, 5), max_size=6)


@given(EXTENTS, st.integers(0, 8))
def test_what_fills_its_region_has_no_findings(pairs, size):
    """Whatever order and sizes: the short way never overlooks anything."""
    if fills(pairs, size):
        assert check_extents([Extent("x", *pair) for pair in pairs], size) == []


@given(LENGTHS, st.integers(-1, 1))
def test_arrays_one_after_the_other_fill_their_region(lengths, off):
    """To the byte, empty ones too."""
    ends = [sum(lengths[: at + 1]) for at in range(len(lengths))]
    pairs = [(end - length, end) for end, length in zip(ends, lengths, strict=True)]
    assert fills(pairs, sum(lengths) + off) == (off == 0)
