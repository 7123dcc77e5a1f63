"""Keys of dictionaries in pickles: ordinary ones pass, those that would cost or cannot be hashed do not."""

from __future__ import annotations

from typing import Any

import pytest

from service.errors import LimitExceeded, MalformedFile
from service.parsers.pickle_keys import Keys
from service.parsers.pickle_types import Global


def nested(levels: int) -> tuple[Any, ...]:
    """A tuple in a tuple in a tuple."""
    made: tuple[Any, ...] = ()
    for _ in range(levels):
        made = (made,)
    return made


def doubled(levels: int) -> tuple[Any, ...]:
    """A tuple that holds the one before twice, on each level."""
    made: tuple[Any, ...] = ("x",)
    for _ in range(levels):
        made = (made, made)
    return made


@pytest.mark.parametrize(
    "key", ["a", b"a", 1, -1, 1.5, None, True, (1, "a"), frozenset({1, 2}), Global("m", "n", 0), nested(60), (1,) * 200]
)
def test_ordinary_keys_pass(key: Any) -> None:
    """Also those of a few hundred values and of sixty levels."""
    Keys().check(key, 7)


@pytest.mark.parametrize(
    "key",
    [
        [],
        {},
        set(),
        bytearray(b"x"),
        ("a", []),
        nested(70),
        nested(100_000),
        (1,) * 300,
        doubled(60),
        frozenset(range(300)),
    ],
)
def test_keys_that_cannot_be_or_cost_too_much_are_refused(key: Any) -> None:
    """With the place in the pickle: mutable ones, deep ones, wide ones, and those that repeat themselves."""
    with pytest.raises(MalformedFile) as error:
        Keys().check(key, 7)
    assert error.value.info.offset == 7


@pytest.mark.parametrize("wrap", [lambda number: number, lambda number: (number,), lambda number: frozenset({number})])
def test_numbers_that_collide_are_counted(wrap: Any) -> None:
    """A thousand whole numbers beyond the modulus of Python's hash pass, one more does not; smaller ones always do."""
    keys = Keys()
    for number in range(5000):
        keys.check(wrap(number), 0)
    for number in range(1, 1001):
        keys.check(wrap(number * (2**61 - 1)), 0)
    with pytest.raises(LimitExceeded) as error:
        keys.check(wrap(-(2**70)), 0)
    assert error.value.info.extra["limit"] == "pickle_keys"


def test_a_long_key_is_weighed_once() -> None:
    """What is used again and again costs nothing more: a part that was weighed keeps its weight."""
    keys, long = Keys(), tuple(range(100))
    keys.check(long, 0)
    keys.check((long, long), 0)
    with pytest.raises(MalformedFile):
        keys.check((long, long, long), 0)
