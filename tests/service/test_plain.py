"""Anything from an upload becomes a JSON value that the encoder takes."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from service.plain import MAX_DEPTH, MAX_TEXT, json_value, shortened, text

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.complex_numbers(),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner)
    ),
)


@given(ANYTHING)
def test_everything_can_be_encoded(value: object) -> None:
    """No value, however odd, makes the encoder fail."""
    assert msgspec.json.decode(msgspec.json.encode(json_value(value))) is not ...


def test_lone_surrogates_are_replaced() -> None:
    """They have no UTF-8 form."""
    assert text("a\ud800b") == "a?b"


def test_long_text_says_how_much_is_missing() -> None:
    """A megabyte name does not fill the report."""
    assert text("x" * (MAX_TEXT + 5)).endswith("… (5 more characters)")


def test_self_containing_values_end() -> None:
    """A list that holds itself stops at the depth limit."""
    loop: list[object] = []
    loop.append(loop)
    value, depth = json_value(loop), 0
    while isinstance(value, list):
        value, depth = value[0], depth + 1
    assert (value, depth) == ("…", MAX_DEPTH)


def test_numbers_that_json_cannot_hold() -> None:
    """NaN and infinities become their names, astronomically large integers a description."""
    assert json_value([float("nan"), float("-inf"), 1 << 10_000]) == ["nan", "-inf", "<integer of 10001 bits>"]


def test_names_beyond_the_most_become_an_ellipsis() -> None:
    """Up to the most all are named; one more, and an ellipsis stands for the rest."""
    assert shortened(["a", "b"], 2) == ("a", "b")
    assert shortened(["a", "b", "c"], 2) == ("a", "b", "…")
