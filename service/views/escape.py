"""Makes text from an upload harmless where it is shown: terminal, spreadsheet, Markdown, XML, DOT, Mermaid, JSON.

Knows those languages, no report.

Layer names may hold terminal escapes, line breaks, bidirectional overrides, HTML and spreadsheet formulas.
"""

from __future__ import annotations

import re
import unicodedata

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""The wide ones are formulas where Excel speaks Chinese or Japanese."""
_AFTER_SEPARATOR = re.compile(r"(;[\s\"']*)(?=[=+\-@＝＋－＠])")
"""Where Excel's separator is the semicolon, a cell begins behind one, however the field is quoted."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()+!|<>~&$-])")
_ADDRESS = re.compile(r"(?=://)|(?<=[wW]{3})(?=\.)")
"""Where GitHub would begin to make a link of plain text."""
_REFERENCE = re.compile(r"[@#]")
_NUMBERED = re.compile(r"\A(\d+)(?=\.(?:\s|\Z))")
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0]")
"""Letters and marks that show nothing: two names that look alike would be two."""
_IN_JSON = re.compile(
    rb"\x7f|\xc2[\x80-\x9f\xad]|\xd8[\x80-\x85\x9c]|\xdb\x9d|\xdc\x8f|\xe1\xa0\x8e"
    rb"|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf|\xef\xbf[\xb9-\xbb]|\xf3\xa0[\x80\x81][\x80-\xbf]"
)
"""Control and format characters in UTF-8: JSON allows them as they are, terminals act on them."""
_MERMAID_PLAIN = frozenset(" _.,:/+=×·…")


def terminal(text: str) -> str:
    """`text` with every control, format and line-separating character shown as an escape."""
    return "".join(character if _printable(character) else _escaped(character) for character in text)


def cell(text: str) -> str:
    """`terminal(text)`, and never the start of a spreadsheet formula (OWASP: CSV injection)."""
    safe = _AFTER_SEPARATOR.sub(r"\1'", terminal(text))
    return f"'{safe}" if safe.lstrip().startswith(_FORMULA_STARTS) else safe


def markdown(text: str) -> str:
    """`terminal(text)` with Markdown and HTML syntax taken literally, and no address, mention or reference in it.

    A backslash would not keep GitHub from linking `@name` and `#1`: their signs stand as code.
    """
    safe = _MARKDOWN.sub(r"\\\1", terminal(text)).replace("\\<", "&lt;").replace("\\>", "&gt;")
    safe = _NUMBERED.sub(r"\1\\", _ADDRESS.sub(r"\\", safe))
    return _REFERENCE.sub(r"`\g<0>`", safe)


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


def json(data: bytes) -> bytes:
    """JSON in which control and format characters, which terminals act on, are written as escapes; the same values."""
    if data.isascii() and b"\x7f" not in data:
        return data  # nearly every report
    return _IN_JSON.sub(_json_escape, data)


def _json_escape(found: re.Match[bytes]) -> bytes:
    units = found[0].decode().encode("utf-16-be")
    return b"".join(b"\\u%04x" % int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))


def _printable(character: str) -> bool:
    shows = unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return shows and not _INVISIBLE.match(character)


def _escaped(character: str) -> str:
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{{{ord(character):x}}}"
