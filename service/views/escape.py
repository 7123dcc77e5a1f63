"""Makes text from an upload harmless where it is shown: terminal, spreadsheet, Markdown, XML, DOT, Mermaid.

Knows those languages, no report.

Layer names may hold terminal escapes, line breaks, bidirectional overrides, HTML and spreadsheet formulas.
"""

from __future__ import annotations

import re
import unicodedata

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~-])")
_MERMAID_PLAIN = frozenset(" _.,:/+=×·…")


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


def xml(text: str) -> str:
    """`terminal(text)` as the text of an element or a quoted attribute (XML 1.0, 2.4)."""
    safe = terminal(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace('"', "&quot;").replace("'", "&#39;")


def dot(text: str) -> str:
    """`terminal(text)` within a double-quoted string of DOT; no escape and no entity of Graphviz stays alive."""
    return terminal(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')


def mermaid(text: str) -> str:
    """`terminal(text)` within a double-quoted label of Mermaid: all but letters, digits and plain signs by number.

    Mermaid reads `#34;` as a character, and everything else in a label as HTML or Markdown (`1. ` is a list).
    """
    safe = "".join(one if one.isalnum() or one in _MERMAID_PLAIN else f"#{ord(one)};" for one in terminal(text))
    return safe.replace(". ", "#46; ")


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _escaped(character: str) -> str:
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{{{ord(character):x}}}"
