"""Text in the columns of a terminal; knows how wide characters are, no report."""

from __future__ import annotations

import unicodedata


def display_width(text: str) -> int:
    """Columns of a terminal: East Asian wide characters take two (Unicode annex 11)."""
    return len(text) + sum(unicodedata.east_asian_width(character) in "WF" for character in text)


def fit(text: str, columns: int) -> str:
    """`text` filled up to so many columns; a longer one is cut, with a mark."""
    room = columns - display_width(text)
    return text + " " * room if room >= 0 else f"{text[: columns - 1]}…"


def fit_right(text: str, columns: int) -> str:
    """`text` with what fills it up in front, as numbers stand; a longer one stays as it is."""
    return " " * (columns - display_width(text)) + text
