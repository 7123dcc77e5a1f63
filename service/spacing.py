"""How Chinese and Latin text meet in one line; knows characters, no sentence.

Between a Chinese character and a Latin letter or digit stands a space, beside full-width punctuation and between two
Chinese characters none (W3C, Requirements for Chinese Text Layout; CY/T 154). A template is written for Latin names
and numbers; what is filled in may be Chinese.
"""

from __future__ import annotations

import re

_CHINESE = re.compile(r"[\u3400-\u9fff]")
_FULL_WIDTH = re.compile(r"[\u3000-\u303f\uff00-\uffef]")
_LATIN = re.compile(r"[A-Za-z0-9]")


def meet(pieces: list[str]) -> str:
    """One text of a template's own pieces (even places) and what was filled in between; only the former change."""
    fitted = list(pieces)
    for at in range(1, len(fitted), 2):
        if fitted[at]:
            fitted[at - 1] = _before(fitted[at - 1], fitted[at][0])
            if at + 1 < len(fitted):
                fitted[at + 1] = _before(fitted[at + 1][::-1], fitted[at][-1])[::-1]
    return "".join(fitted)


def listed(items: list[str]) -> str:
    """Several things as a list: `a、b 和 c`."""
    if len(items) < 2:
        return "".join(items)
    return meet(["", "、".join(items[:-1]), "和", items[-1], ""])


def _before(own: str, next_character: str) -> str:
    """A template's piece, with or without a space before what follows. Read backwards, it holds for what precedes."""
    text = own.removesuffix(" ")
    if not text:
        return "" if _FULL_WIDTH.match(next_character) else own
    if text != own:
        return text if _touch(text[-1], next_character) else own
    return f"{own} " if _apart(own[-1], next_character) else own


def _touch(one: str, other: str) -> bool:
    """Whether no space stands between two characters."""
    wide = [bool(_CHINESE.match(character)) for character in (one, other)]
    return all(wide) or any(_FULL_WIDTH.match(character) for character in (one, other))


def _apart(one: str, other: str) -> bool:
    """Whether a space stands between two characters."""
    return any(_CHINESE.match(a) and _LATIN.match(b) for a, b in ((one, other), (other, one)))
