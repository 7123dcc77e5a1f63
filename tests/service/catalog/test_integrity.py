"""Arrays that lie as they should are those that nothing is found about."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.catalog.integrity import Extent, check_extents

LENGTHS = st.lists(st.integers(0, 5), max_size=6)


@given(LENGTHS, st.integers(-1, 1))
def test_arrays_one_after_the_other_fill_their_region(lengths, off):
    """To the byte, empty ones too: what is missing or too much is found."""
    ends = [sum(lengths[: at + 1]) for at in range(len(lengths))]
    extents = [Extent("x", end - length, end) for end, length in zip(ends, lengths, strict=True)]
    size = max(0, sum(lengths) + off)
    assert (check_extents(extents, size) == []) == (size == sum(lengths))
