"""A fixed number of places, shared among holders."""

from __future__ import annotations

import threading

from service.web.shares import Places


def test_no_more_than_all_are_held():
    """Whoever holds them."""
    places = Places(3, 3)
    assert [places.take(name) for name in "abcd"] == [True, True, True, False]
    places.give_back("b")
    assert places.take("d")


def test_one_holder_has_no_more_than_a_share():
    """The rest is for the others, who find it free at once."""
    places = Places(3, 2)
    assert [places.take("a") for _ in range(3)] == [True, True, False]
    assert places.take("b")
    assert not places.take("c")
    places.give_back("a")
    assert places.take("c")


def test_who_waits_gets_what_is_given_back():
    """In time, or not at all."""
    places = Places(1, 1)
    assert places.take("a")
    assert not places.take("b", patience=0.01)
    got: list[bool] = []
    waiting = threading.Thread(target=lambda: got.append(places.take("b", patience=30.0)))
    waiting.start()
    places.give_back("a")
    waiting.join()
    assert got == [True]


def test_nothing_is_kept_of_who_has_left():
    """However many have been here."""
    places = Places(2, 1)
    for number in range(1000):
        assert places.take(number)
        places.give_back(number)
    assert not places._held
