"""How much a key has used, held against its quotas. Knows names and amounts, no request.

The counts are a sliding window of two counters (`limits`, "sliding window counter"): no burst of twice the quota where
one window meets the next, and two numbers for each quota however many requests there are.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator
from typing import Literal

import structlog
from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.strategies import SlidingWindowCounterRateLimiter

from service.access.callers import Caller
from service.access.counters import SharedCounts
from service.basis import Frozen
from service.errors import QuotaExceeded
from service.language import Message, msg

What = Literal["requests", "submissions", "bytes"]
LIMITS: dict[What, tuple[tuple[str, type[RateLimitItem], Message], ...]] = {
    "requests": (("requests_per_minute", RateLimitItemPerMinute, msg("requests a minute")),),
    "submissions": (("submissions_per_minute", RateLimitItemPerMinute, msg("uploads and comparisons a minute")),),
    "bytes": (
        ("bytes_per_hour", RateLimitItemPerHour, msg("bytes an hour")),
        ("bytes_per_day", RateLimitItemPerDay, msg("bytes a day")),
    ),
}
"""By what is counted: the quotas it is held against, the window of each, and what it is called."""

log = structlog.get_logger("weighbridge.access")


class Standing(Frozen, frozen=True, kw_only=True):
    """How a key stands with one of its quotas; `reset` in seconds from now."""

    limit: int
    window: int
    remaining: int
    reset: int


class _Limit(Frozen, frozen=True, kw_only=True):
    """One quota of one caller."""

    name: str
    item: RateLimitItem
    called: Message


class Meter:
    """Counts for one process, in the file that all share.

    Where that file cannot be written, nothing is counted and nobody is refused: a full disk must not lock readers out.
    """

    def __init__(self, counts: SharedCounts) -> None:
        self._counts = counts
        self._limiter = SlidingWindowCounterRateLimiter(counts)

    def charge(self, caller: Caller, what: What, amount: int = 1) -> Standing | None:
        """Count `amount` of `what`; how the caller stands with the quota that is the tightest, None without quotas.

        Raises:
            QuotaExceeded: It would be more than a quota allows; then nothing is counted.
        """
        limits = _limits(caller, what)
        try:
            if len(limits) > 1:  # what one refuses must not have been counted by another
                self._check(caller, limits, amount)
            for limit in limits:
                if not self._limiter.hit(limit.item, limit.name, caller.name, cost=amount):
                    raise self._exceeded(caller, limit, amount)
            return min(self._standings(caller, limits), key=lambda found: found.remaining / found.limit, default=None)
        except sqlite3.Error as error:
            log.warning("quotas_not_counted", reason=str(error))
            return None

    def check(self, caller: Caller, what: What, amount: int) -> None:
        """Raise QuotaExceeded if `amount` of `what` would be too much now; count nothing."""
        try:
            self._check(caller, _limits(caller, what), amount)
        except sqlite3.Error as error:
            log.warning("quotas_not_counted", reason=str(error))

    def _check(self, caller: Caller, limits: list[_Limit], amount: int) -> None:
        for limit in limits:
            if not self._limiter.test(limit.item, limit.name, caller.name, cost=amount):
                raise self._exceeded(caller, limit, amount)

    def _standings(self, caller: Caller, limits: list[_Limit]) -> Iterator[Standing]:
        now = time.time()
        for limit in limits:
            stats = self._limiter.get_window_stats(limit.item, limit.name, caller.name)
            reset = max(0, math.ceil(stats.reset_time - now))
            window = limit.item.get_expiry()
            yield Standing(limit=limit.item.amount, window=window, remaining=stats.remaining, reset=reset)

    def _exceeded(self, caller: Caller, limit: _Limit, amount: int) -> QuotaExceeded:
        window = self._counts.get_sliding_window(limit.item.key_for(limit.name, caller.name), limit.item.get_expiry())
        wait = seconds_until(limit.item.amount, limit.item.get_expiry(), window, amount)
        return QuotaExceeded(
            msg("No more than {maximum} {what} are allowed.", maximum=limit.item.amount, what=limit.called),
            limit=f"quota_{limit.name}",
            maximum=limit.item.amount,
            window=limit.item.get_expiry(),
            retry_after=math.floor(wait) + 1,
        )

    def close(self) -> None:
        """Close the file."""
        self._counts.close()


def _limits(caller: Caller, what: What) -> list[_Limit]:
    """The quotas of the caller for this, without those that are no limit."""
    amounts = [(name, window, called, getattr(caller.quotas, name)) for name, window, called in LIMITS[what]]
    return [
        _Limit(name=name, item=window(amount), called=called)
        for name, window, called, amount in amounts
        if amount is not None
    ]


def seconds_until(limit: int, expiry: int, window: tuple[int, float, int, float], amount: int) -> float:
    """When `amount` more would be allowed if nothing else is counted; the whole window if it never would be.

    `window` is what `SharedCounts.get_sliding_window` says: the last count weighs in proportion to what is left of
    the current window, and when that ends, the current count becomes the last one.
    """
    before, left, current, _ = window
    room = limit - amount
    if room < 0:
        return float(expiry)
    if current <= room:  # the last window's weight must shrink to the room that the current one leaves
        return max(0.0, left - (room - current + 1) * expiry / before) if before else 0.0
    return left + expiry - (room + 1) * expiry / current
