"""The words on a box and how much room they take; knows boxes and a language, no layout and no markup."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from service.language import msg
from service.translation import Say
from service.tree import Report
from service.views.diagram.boxes import Box
from service.views.escape import terminal
from service.views.rows import count_text, shape_text, title

PADDING = 10.0
LINE = 16.0
FRAME_HEAD = 42.0
_MOST_NAME = 40
_NAME_EM = 8.2
_TEXT_EM = 6.9
_NARROW = frozenset(" ijlIft.,:;'|!()[]{}/·")
_BROAD = frozenset("mwMW+×=<>…%@")
_MOST_TITLE = 60
_PIECE = re.compile(r"[\u2e80-\U0003ffff]|[^\s\u2e80-\U0003ffff]*\s*(?:(?<=\s)|$|(?=[\u2e80-\U0003ffff]))")
"""A word with the space behind it, or one East Asian character."""


class Label(NamedTuple):
    """The lines of a box with their styles (n: name, d: description, s: size), and what stands at its corner."""

    lines: tuple[tuple[str, str], ...]
    badge: str
    width: float
    height: float

    @property
    def name(self) -> str:
        """The first line."""
        return self.lines[0][1]

    @property
    def about(self) -> str:
        """The other lines in one."""
        return " · ".join(text for _, text in self.lines[1:])


def label(box: Box, say: Say) -> Label:
    """What is written on a box: name, what it is, parameters and shape."""
    lines = [
        ("n", shortened(box.name, _MOST_NAME)),
        ("d", shortened(say(box.title), _MOST_TITLE)),
        ("s", size(box, say)),
    ]
    lines = [line for line in lines if line[1]]
    badge = f"× {box.times}" if box.times > 1 else ""
    if box.boxes:
        lines[1:] = [("s", " · ".join(text for _, text in lines[1:]))]
    widths = [_width(text, _NAME_EM if style == "n" else _TEXT_EM) for style, text in lines]
    widths[0] += 8.0 * len(badge) + 16 if badge else 0.0
    return Label(tuple(lines), badge, max(max(widths) + 2 * PADDING, 90.0), LINE * len(lines) + 10)


def size(box: Box, say: Say) -> str:
    """`9,728 parameters · (None, 112, 112, 64)`; what is zero or unknown is left out."""
    shown = []
    if box.parameters:
        shown.append(say(msg("{count} parameters", count=box.parameters)))
    elif box.parameters is None:
        shown.append(say(msg("{count} parameters", count=count_text(None))))
    if box.shape is not None:
        shown.append(shape_text(box.shape))
    return " · ".join(shown)


def heading(report: Report) -> str:
    """The model's name and format."""
    return shortened(title(report), 90)


def shortened(text: str, most: int) -> str:
    """`text` in one line of printable characters, its middle left out if it is long: both ends of a name tell."""
    safe = terminal(text[: 4 * most] if len(text) > 8 * most else text)
    if len(safe) <= most:
        return safe
    return f"{safe[: most // 2]}…{safe[-(most // 2 - 1) :]}"


def legend_width(word: str) -> float:
    """Room for one entry of the legend."""
    return _width(word, _TEXT_EM) + 42


def wrapped(text: str, width: float) -> list[str]:
    """A sentence in lines that fit; broken between words, or anywhere where words are not parted by spaces."""
    lines = [""]
    for piece in _PIECE.findall(text):
        if lines[-1] and _width(lines[-1] + piece.rstrip(), _TEXT_EM) > width:
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return lines


def _width(text: str, em: float) -> float:
    """Estimated width in pixels of a text whose small letters are `em` wide, in a common sans-serif font."""
    return em * sum(_share(one) for one in text)


def _share(one: str) -> float:
    """Width of a character beside that of a small letter."""
    if unicodedata.east_asian_width(one) in "WF":
        return 1.75
    if one in _NARROW:
        return 0.62
    return 1.3 if one in _BROAD else 1.22 if one.isupper() else 1.06
