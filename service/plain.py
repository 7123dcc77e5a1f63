"""Turns anything found in an upload into bounded, JSON-safe values; knows no format and trusts nothing.

Names and hyper-parameters come from hostile files: lone surrogates, megabyte names, NaN, huge integers and
self-containing lists must not reach the encoder.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

MAX_TEXT = 4096
"""Longest string kept, in characters; the rest is replaced by an ellipsis and its length."""
MAX_ITEMS = 10_000
"""Most items kept of one list or mapping."""
MAX_DEPTH = 32
MAX_INTEGER_BITS = 256


def text(value: str, limit: int = MAX_TEXT) -> str:
    """`value` without lone surrogates, cut to `limit` characters with a mark that says how much is missing."""
    if len(value) <= limit and value.isascii():
        return value  # nearly every name; asked for each of a hundred thousand
    if len(value) > limit:
        value = f"{value[:limit]}… ({len(value) - limit} more characters)"
    return value.encode("utf-8", errors="replace").decode("utf-8")


def shortened(names: Sequence[str], most: int) -> tuple[str, ...]:
    """Names for a sentence: those beyond the first `most` become an ellipsis."""
    return tuple(names) if len(names) <= most else (*names[:most], "…")


def is_number(value: Any) -> bool:
    """Whether `value` is a number; a truth value, which Python counts as one, is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def whole(value: Any) -> int | None:
    """`value` if it is a whole number and no truth value, else None."""
    return value if type(value) is int else None


def json_value(value: Any, depth: int = 0) -> Any:
    """A JSON value that resembles `value`; what JSON cannot hold becomes a short description of itself."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        return int(value) if value.bit_length() <= MAX_INTEGER_BITS else f"<integer of {value.bit_length()} bits>"
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if depth >= MAX_DEPTH:
        return "…"
    return _container(value, depth)


def _container(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        items = list(value.items())[:MAX_ITEMS]
        return {
            text(key if isinstance(key, str) else repr(key)[:MAX_TEXT]): json_value(item, depth + 1)
            for key, item in items
        }
    if isinstance(value, (list, tuple)):
        return [json_value(item, depth + 1) for item in value[:MAX_ITEMS]]
    if isinstance(value, (set, frozenset)):
        return [json_value(item, depth + 1) for item in list(value)[:MAX_ITEMS]]
    if isinstance(value, (bytes, bytearray)):
        return f"<{len(value)} bytes>"
    return f"<{type(value).__name__}>"


def output_tags(names: Iterable[str]) -> dict[str, Any]:
    """The tag that lists the layers whose outputs are a model's, where it has more than one: no edge tells of them."""
    found = list(dict.fromkeys(names))
    return {"outputs": [text(name) for name in found[:MAX_ITEMS]]} if len(found) > 1 else {}
