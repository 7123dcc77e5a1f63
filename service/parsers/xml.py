"""Tags, attributes and text of small XML documents, one tag at a time; knows the grammar, not what a document means.

No entity but the five predefined ones and character numbers, no DOCTYPE, no namespaces, no external anything: a
document that asks for more is refused. Every byte is looked at once: the patterns below cannot backtrack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile, UnsupportedFeature
from service.language import msg
from service.source import Source

OPEN, CLOSE, LEAF = "open", "close", "leaf"
_NAME = r"[A-Za-z_:\x80-\U0010ffff][-.\w:]*+"
_TAG = re.compile(
    rf"<(/)?({_NAME})((?:[^<>\"'/]|\"[^\"<]*+\"|'[^'<]*+'|/(?!>))*)(/)?>([^<]*+)(?(1)|(?(4)|(</\2\s*+>[^<]*+)?))"
)
"""A tag and the text up to the next; where that is its own closing tag, that too."""
_VALUE = r"(?:\"([^\"]*+)\"|'([^']*+)')"
_ATTRIBUTE = re.compile(rf"\s++({_NAME})\s*+=\s*+{_VALUE}")
_ATTRIBUTES = re.compile(rf"(?:\s++{_NAME}\s*+=\s*+{_VALUE})*\s*+")
_REFERENCE = re.compile(r"&(?:(lt|gt|amp|quot|apos)|#(\d{1,7})|#x([0-9A-Fa-f]{1,6}));|&")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
_SKIPPED = (("<!--", "-->"), ("<?", "?>"))
_MAX_CODE = 0x10FFFF


class Tag(NamedTuple):
    """One tag: its attributes as written, the text up to the next tag, where it begins. A leaf closes at once."""

    kind: str
    name: str
    raw: str
    text: str
    at: int


def document(source: Source, *, max_bytes: int, member: str | None = None) -> str:
    """The text of an XML file.

    Raises:
        LimitExceeded: More than `max_bytes`.
        MalformedFile: Not UTF-8.
    """
    if source.size > max_bytes:
        raise LimitExceeded(
            "xml_bytes", max_bytes, msg("The XML document is too large to be read."), value=source.size, member=member
        )
    data = source.read_at(0, source.size)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedFile(msg("The XML document is not UTF-8."), member=member, offset=error.start) from None


def tags(
    text: str,
    *,
    max_depth: int,
    member: str | None = None,
    skipped: frozenset[str] = frozenset(),
    begin: int | None = None,
) -> Iterator[Tag]:
    """Every tag of a document in order; offsets are in characters.

    Args:
        text: The document.
        max_depth: Most elements that may lie in each other.
        member: Name of the document in errors.
        skipped: Elements that come as a leaf with all that is in them as text, which is not looked at.
        begin: Where one of those begins: then only its own tags come.

    Raises:
        MalformedFile: Not XML: a stray `<`, a tag closed that was not opened, text outside the root.
        TruncatedFile: The document ends inside a tag or before its root is closed.
        UnsupportedFeature: A DOCTYPE.
        LimitExceeded: Nested deeper than `max_depth`.
    """
    opened: list[str] = []
    at, seen = _prologue(text, 0, member) if begin is None else begin, False
    while at < len(text):
        if begin is not None and seen and not opened:
            return
        found = _TAG.match(text, at)
        if found is None:
            at = _markup(text, at, member)
            continue
        close, name, raw, empty, after, ended = found.groups()
        if seen and not opened:
            raise MalformedFile(msg("The XML document goes on after its end."), member=member, offset=at)
        seen, end = True, found.end()
        kind = CLOSE if close else LEAF if empty or ended else OPEN
        if kind == OPEN and name in skipped and at != begin:
            start = found.start(5)
            stop, end = _end_of(text, name, start, at, member)
            kind, after = LEAF, text[start:stop]
        elif kind == OPEN:
            _check_depth(opened, at, max_depth, member)
            opened.append(name)
        elif kind == CLOSE and (not opened or opened.pop() != name):
            raise _not_open(name, at, member)
        yield Tag(kind, name, raw, after, at)
        at = end
    if opened or not seen:
        raise TruncatedFile(
            msg("The XML document ends inside {element}.", element=opened[-1][:80] if opened else "…"),
            member=member, offset=len(text),
        )  # fmt: skip


def attributes(tag: Tag, member: str | None = None) -> dict[str, str]:
    """The attributes of a tag; MalformedFile where they are not `name="value"` pairs, or one occurs twice."""
    pairs = _ATTRIBUTE.findall(tag.raw)
    found = {name: double or single for name, double, single in pairs}
    if len(found) != len(pairs) or _ATTRIBUTES.fullmatch(tag.raw) is None:
        raise MalformedFile(
            msg("The attributes of the element {element} cannot be read.", element=tag.name[:80]),
            member=member, offset=tag.at,
        )  # fmt: skip
    if "&" in tag.raw:
        return {name: plain(value, tag.at, member) for name, value in found.items()}
    return found


def plain(text: str, at: int = 0, member: str | None = None) -> str:
    """`text` with the predefined entities and character numbers replaced; UnsupportedFeature for any other entity."""
    if "&" not in text:
        return text
    return _REFERENCE.sub(lambda match: _character(match, at, member), text)


def root_name(head: bytes) -> str | None:
    """Name of the root element of a document of which these are the first bytes; None where they are no XML."""
    text = head.decode("utf-8-sig", "ignore")
    try:
        found = _TAG.match(text, _prologue(text, 0, None))
    except InputError:
        return None
    return found[2] if found is not None and not found[1] else None


def _character(match: re.Match[str], at: int, member: str | None) -> str:
    named, decimal, hexadecimal = match.groups()
    if named:
        return _NAMED[named]
    code = int(decimal) if decimal else int(hexadecimal, 16) if hexadecimal else -1
    if code < 0 or code > _MAX_CODE:
        raise UnsupportedFeature(
            msg("The XML document uses an entity that is not one of the five predefined ones."),
            member=member, offset=at,
        )  # fmt: skip
    return chr(code)


def _check_depth(opened: list[str], at: int, max_depth: int, member: str | None) -> None:
    if len(opened) >= max_depth:
        raise LimitExceeded("xml_depth", max_depth, msg("The XML is nested too deeply."), member=member, offset=at)


def _not_open(name: str, at: int, member: str | None) -> MalformedFile:
    return MalformedFile(
        msg("The element {element} is closed here but was not the one open.", element=name[:80]),
        member=member, offset=at,
    )  # fmt: skip


def _end_of(text: str, name: str, start: int, at: int, member: str | None) -> tuple[int, int]:
    """The end of what is in an element, and that of the text after it."""
    closing = f"</{name}>"
    stop = text.find(closing, start)
    if stop < 0:
        raise TruncatedFile(
            msg("The XML document ends inside {element}.", element=name[:80]), member=member, offset=at
        )
    following = text.find("<", stop + len(closing))
    return stop, len(text) if following < 0 else following


def _prologue(text: str, at: int, member: str | None) -> int:
    """Where the first tag begins: after space, declaration and comments."""
    while True:
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if at >= len(text) or not text.startswith(("<?", "<!"), at):
            return at
        at = _markup(text, at, member)


def _markup(text: str, at: int, member: str | None) -> int:
    """The end of a comment or processing instruction at `at`, and of the text after it."""
    for begin, end in _SKIPPED:
        if text.startswith(begin, at):
            stop = text.find(end, at + len(begin))
            if stop < 0:
                raise TruncatedFile(msg("The XML document ends inside a comment."), member=member, offset=at)
            following = text.find("<", stop)
            return len(text) if following < 0 else following
    if text.startswith("<!", at):
        raise UnsupportedFeature(
            msg("The XML document has a DOCTYPE or CDATA section, which no model file needs and which is never read."),
            member=member, offset=at,
        )  # fmt: skip
    if text.startswith("<", at) and text.find(">", at) < 0:
        raise TruncatedFile(msg("The XML document ends inside a tag."), member=member, offset=at)
    raise MalformedFile(msg("This is not XML."), member=member, offset=at)
