"""A queue in which everybody has their turn."""

from __future__ import annotations

import threading

from service.engines.fair import FairQueue


def test_holders_take_turns():
    """However much one has put in before the others came; each one's own things stay in order."""
    queue: FairQueue[str] = FairQueue()
    for number in range(1000):
        queue.put("a", f"a{number}")
    queue.put("b", "b0")
    queue.put("b", "b1")
    queue.put("c", "c0")
    assert len(queue) == 1003
    assert [queue.get() for _ in range(7)] == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]


def test_one_holder_has_a_plain_queue():
    """First in, first out."""
    queue: FairQueue[int] = FairQueue()
    for number in range(10):
        queue.put("", number)
    assert [queue.get() for _ in range(10)] == list(range(10))
    assert len(queue) == 0


def test_who_waits_gets_what_comes():
    """Each thing once, whoever waits."""
    queue: FairQueue[int] = FairQueue()
    got: list[int] = []
    waiting = [threading.Thread(target=lambda: got.append(queue.get())) for _ in range(4)]
    for thread in waiting:
        thread.start()
    for number in range(4):
        queue.put(number % 2, number)
    for thread in waiting:
        thread.join(10)
    assert sorted(got) == [0, 1, 2, 3]
