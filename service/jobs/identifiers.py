"""Names of analyses: time-ordered, unguessable, and checked by shape before anything is asked with them."""

from __future__ import annotations

import re
import secrets
import time

PATTERN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_id() -> str:
    """A version 7 UUID (RFC 9562, method 3): sorts by time of making to a quarter microsecond, 62 random bits."""
    millisecond, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    digits = f"{millisecond:012x}7{fraction:03x}{0b10 << 62 | secrets.randbits(62):016x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def is_id(text: str) -> bool:
    """Whether `text` has the shape of an identifier made here."""
    return PATTERN.fullmatch(text) is not None
