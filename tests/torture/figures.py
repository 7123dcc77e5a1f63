"""What a check found, and short ways to find it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from tests.torture.storm import Account, Steady


class Figure(NamedTuple):
    """A figure in words, whether it meets its bar (None: it could not be run here), and why, in lines."""

    text: str
    met: bool | None
    details: tuple[str, ...] = ()


def of_storm(account: Account, *, more: str = "", met: bool = True) -> Figure:
    """The figure of a storm; it is met where nothing was lost or wrong, and anything was hit at all."""
    text = (
        f"{sum(account.kills.values())} faults, {account.accepted} jobs accepted, {len(account.lost)} lost, "
        f"{len(account.wrong)} wrong"
    )
    well = not (account.lost or account.wrong or account.left_behind) and account.accepted > 0 and met
    return Figure(f"{text}{more and f'; {more}'}", well, tuple(account.lines()))


def until(condition: Callable[[], object], seconds: float) -> float | None:
    """Seconds until it became true; None if it did not in time."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if condition():
            return time.monotonic() - began
        time.sleep(0.01)
    return None


def left_behind(service: Steady, seconds: float = 45.0) -> list[str]:
    """Unfinished uploads that no sweep has taken away."""
    until(lambda: not service.current.left_behind(), seconds)
    return [file.name for file in service.current.left_behind()]
