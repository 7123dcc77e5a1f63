"""Chinese and Latin text in one line: where a space stands and where none does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.spacing import listed, meet


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["沿 ", "长度", " 的方向"], "沿长度的方向"),
        (["沿 ", "axis", " 的方向"], "沿 axis 的方向"),
        (["共", "3", "个"], "共 3 个"),
        (["", "不足。", " ", "为何？", ""], "不足。为何？"),
        (["", "Not built.", " ", "Why?", ""], "Not built. Why?"),
        (["（", "卷积", "），", "x", "。"], "（卷积），x。"),
        (["Linear + ", "激活", ""], "Linear + 激活"),
        (["", "", " ", "a", ""], " a"),
    ],
)
def test_spaces_between_what_is_said_and_what_is_filled_in(pieces: list[str], text: str) -> None:
    """None between Chinese and beside full-width punctuation, one between Chinese and Latin, others as they were."""
    assert meet(pieces) == text


def test_lists() -> None:
    """Items joined as Chinese joins them; one is itself."""
    assert [listed(items) for items in ([], ["a"], ["a", "b"], ["一", "b", "三"])] == ["", "a", "a 和 b", "一、b 和三"]


@given(st.lists(st.text(alphabet="a1 中。（,\n", max_size=4), max_size=7))
def test_nothing_but_spaces_of_the_template_changes(pieces: list[str]) -> None:
    """What was filled in stays whole and in order; of the template's own text only spaces at its ends are touched."""
    said = meet(pieces)
    assert said.replace(" ", "") == "".join(pieces).replace(" ", "")
    at = 0
    for value in pieces[1::2]:
        at = said.index(value, at) + len(value)
