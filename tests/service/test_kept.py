"""Answers kept in memory: packed when large, forgotten when there is no room."""

from __future__ import annotations

import threading

import pytest

from service.kept import ENTRY, PACK_FROM, PIECE, Body, Kept
from tests.service.bodies import taken


def test_a_small_answer_is_kept_as_it_is():
    """In one piece."""
    body = Body.of([b"ab", b"", b"cd"])
    assert (body.data, body.packed) == (b"abcd", False)
    assert taken(body) == b"abcd"


def test_a_large_answer_is_kept_compressed():
    """Whatever pieces it comes in."""
    whole = bytes(range(256)) * (PACK_FROM // 128)
    bodies = [Body.of([whole]), Body.of(whole[at : at + 1000] for at in range(0, len(whole), 1000))]
    for body in bodies:
        assert body.packed
        assert len(body.data) < len(whole) // 10
        assert taken(body) == whole
    assert bodies[0].data == bodies[1].data == Body.of([whole]).data


def test_an_answer_is_made_once():
    """The second time it comes from memory."""
    kept, made = Kept(), []
    for _ in range(3):
        assert taken(kept.get("key", lambda: made.append(1) or [b"x"])) == b"x"
    assert made == [1]


def test_the_least_recently_used_is_forgotten_first():
    """Room is counted with what an entry takes beside its bytes; what is larger than all room is not kept."""
    kept, made = Kept(capacity=2 * (10 + ENTRY)), []

    def ask(key, size=10):
        kept.get(key, lambda: made.append(key) or [b"x" * size])

    for key in ("a", "b", "a", "c", "a", "b"):
        ask(key)
    assert made == ["a", "b", "c", "b"]
    for _ in range(2):
        ask("large", size=3 * ENTRY)
    assert made == ["a", "b", "c", "b", "large", "large"]


def test_a_large_answer_that_many_ask_for_is_made_once():
    """Those who come while it is made wait for it."""
    kept, made, release = Kept(), [], threading.Event()

    def make():
        made.append(1)
        release.wait(10)
        return [b"x"]

    threads = [threading.Thread(target=kept.get, args=("key", make), kwargs={"alone": True}) for _ in range(4)]
    for thread in threads:
        thread.start()
    release.set()
    for thread in threads:
        thread.join(10)
    assert made == [1]


def test_what_cannot_be_made_is_not_kept():
    """The next who asks gets another try."""
    kept = Kept()
    with pytest.raises(ValueError, match="invalid literal"):
        kept.get("key", lambda: int("x"), alone=True)
    assert taken(kept.get("key", lambda: [b"x"], alone=True)) == b"x"


def test_a_body_is_given_in_pieces():
    """None larger than is said where it is pressed; together they are all that was given, and as long as is said."""
    for whole in (b"", b"abc", bytes(1 << 20), b"x" * (PACK_FROM - 1)):
        body = Body.of([whole])
        assert taken(body) == whole
        assert max(map(len, body.pieces().parts)) <= PIECE
