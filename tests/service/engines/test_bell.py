"""Waking those who wait."""

from __future__ import annotations

from service.engines.bell import Bell


def test_everybody_who_listens_is_woken_and_nobody_else():
    """Two listeners of one name, one of another; ringing a name that nobody listens to is harmless."""
    bell = Bell()
    with bell.listening("a") as first, bell.listening("a") as second, bell.listening("b") as other:
        bell.ring(["a", "nobody"])
        assert first.is_set()
        assert second.is_set()
        assert not other.is_set()
    bell.ring(["a"])
    assert bell._listeners == {}
