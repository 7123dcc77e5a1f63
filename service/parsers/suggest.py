"""Did-you-mean for names that are not known; knows strings only."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from service.language import Message, msg

MAX_NAME = 80
"""Longest name compared: difflib's time grows with the square of the length, and names come from uploads."""


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` most resembles, letter case aside; None if none is near."""
    if len(name) > MAX_NAME:
        return None
    by_lower = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> Message | None:
    """`Did you mean "X"?` to follow a sentence; None if nothing is near."""
    near = closest(name, known)
    return msg('Did you mean "{name}"?', name=near) if near else None
