"""Makes text from an upload harmless in a terminal, a spreadsheet and Markdown; knows those three, no report.

Layer names may hold terminal escapes, line breaks, bidirectional overrides, HTML and spreadsheet formulas.
"""

from __future__ import annotations

import re
import unicodedata

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~-])")


def terminal(text: str) -> str:
    """`text` with every control, format and line-separating character shown as an escape."""
    return "".join(character if _printable(character) else _escaped(character) for character in text)


def cell(text: str) -> str:
    """`terminal(text)`, and never the start of a spreadsheet formula (OWASP: CSV injection)."""
    safe = terminal(text)
    return f"'{safe}" if safe.startswith(_FORMULA_STARTS) else safe


def markdown(text: str) -> str:
    """`terminal(text)` with Markdown and HTML syntax taken literally."""
    return _MARKDOWN.sub(r"\\\1", terminal(text)).replace("\\<", "&lt;").replace("\\>", "&gt;")


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _escaped(character: str) -> str:
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{{{ord(character):x}}}"
