"""Which of very many dangers are listed."""

from __future__ import annotations

from service.catalog.listing import listed
from service.language import verbatim
from service.tree import Danger, Severity


def dangers(*severities: Severity) -> list[Danger]:
    """One of each."""
    return [Danger(code=f"{at}", severity=severity, what=verbatim("x")) for at, severity in enumerate(severities)]


def test_grave_ones_never_give_way_to_lesser_ones() -> None:
    """In their order, so many of each."""
    found = dangers("low", "medium", "info", "high", "low", "critical", "high")
    assert [one.code for one in listed(found, 2)] == ["0", "1", "3", "5"]
    assert [one.code for one in listed(found, 10)] == ["0", "1", "2", "3", "4", "5", "6"]
