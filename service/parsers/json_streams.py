"""JSON of which long lists are taken item by item: what each item comes to is kept, and never all of them as parsed.

A tree of dictionaries takes twenty times the room of its text. Same rules and errors as `json_text`. Knows paths in a
document, not what stands there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NoReturn

import msgspec

from service.parsers.json_text import check, constant_hook, decoded, doubled, members_counted, told, unique

EVERY = "*"
"""A step of a path: any item of a list."""
MAX_VALUES = 12_000_000
"""Most values in one document, few of which are there at once."""

Make = Callable[[str | None, Any], Any]
"""What a member of an object comes to, or an item of a list, which has no key."""
Routes = Mapping[tuple[str, ...], Make]

_SPACE = re.compile(r"[ \t\n\r]*+")
_COLON, _COMMA = (re.compile(rf"{_SPACE.pattern}{mark}{_SPACE.pattern}") for mark in ":,")
_WHOLE: Routes = {}


def parse_each(data: bytes, routes: Routes, *, max_bytes: int, max_depth: int, member: str | None = None) -> Any:
    """The value of a document; where a route leads, a list of what was made of the items there, of an object a tuple.

    Raises:
        MalformedJson: Not JSON, not UTF-8, or a doubled key; with the byte offset where known.
        LimitExceeded: More than `max_bytes`, deeper than `max_depth`, or too many values.
    """
    members = check(data, max_bytes=max_bytes, max_depth=max_depth, max_values=MAX_VALUES, member=member)
    text = decoded(data, member)
    del data
    counted = members_counted()
    with told(text, max_depth, member):
        reading = _Reading(text, json.JSONDecoder(object_hook=counted, parse_constant=constant_hook("text")))
        found = reading.document(routes)
        if counted(None) + reading.members != members:
            _Reading(text, json.JSONDecoder(object_pairs_hook=unique)).document(routes)
        return found


class _Reading:
    """One document: Python's scanner for what is kept whole, and a walk down to the lists that are not."""

    def __init__(self, text: str, decoder: json.JSONDecoder) -> None:
        self._text = text
        self._scan = decoder.scan_once  # type: ignore[attr-defined]
        self.members = 0
        """How many members the objects had that were walked through."""

    def document(self, routes: Routes) -> Any:
        """The whole."""
        found, at = self._value(self._after(0), routes)
        at = self._after(at)
        if at != len(self._text):
            self._fail("Extra data", at)
        return found

    def _value(self, at: int, routes: Routes) -> tuple[Any, int]:
        """The value at `at`, and where it ends."""
        opened = self._text[at : at + 1] if routes else ""
        if opened == "{":
            return self._object(at, routes)
        if opened == "[":
            return self._list(at, routes)
        try:
            return self._scan(self._text, at)  # type: ignore[no-any-return]
        except StopIteration as end:
            self._fail("Expecting value", end.value)

    def _object(self, at: int, routes: Routes) -> tuple[Any, int]:
        text, make = self._text, routes.get(())
        kept: dict[str, Any] = {}
        at = self._after(at + 1)
        while text[at : at + 1] == '"':
            key, at = scanstring(text, at + 1, True)
            if key in kept:
                raise doubled(key)
            colon = _COLON.match(text, at)
            if colon is None:
                self._fail("Expecting ':' delimiter", self._after(at))
            value, at = self._value(colon.end(), _below(routes, key) if make is None else _WHOLE)
            kept[key] = value if make is None else make(key, value)
            comma = _COMMA.match(text, at)
            if comma is None:
                break
            at = comma.end()
        else:
            if kept or text[at : at + 1] != "}":
                self._fail("Expecting property name enclosed in double quotes", at)
        self.members += len(kept)
        return kept if make is None else tuple(kept.values()), self._closed(at, "}")

    def _list(self, at: int, routes: Routes) -> tuple[Any, int]:
        text, make, below = self._text, routes.get(()), _below(routes, EVERY)
        kept: list[Any] = []
        at = self._after(at + 1)
        while kept or text[at : at + 1] != "]":
            value, at = self._value(at, below if make is None else _WHOLE)
            kept.append(value if make is None else make(None, value))
            comma = _COMMA.match(text, at)
            if comma is None:
                break
            at = comma.end()
        return kept, self._closed(at, "]")

    def _closed(self, at: int, bracket: str) -> int:
        """Where what follows a bracket begins, which must be there after the last item."""
        at = self._after(at)
        if self._text[at : at + 1] != bracket:
            self._fail("Expecting ',' delimiter", at)
        return at + 1

    def _after(self, at: int) -> int:
        """Where what follows white space begins."""
        found = _SPACE.match(self._text, at)
        return found.end() if found is not None else at

    def _fail(self, what: str, at: int) -> NoReturn:
        raise json.JSONDecodeError(what, self._text, at)


def _below(routes: Routes, step: str) -> Routes:
    """What is left of the routes behind a step."""
    return {path[1:]: make for path, make in routes.items() if path[:1] == (step,)}


def written(value: Any) -> bytes:
    """A JSON value as bytes that no other value has, to know it again by; nothing where there are none.

    A number too large to be one is written as null is, half a character and a number of very many digits not at all.
    """
    try:
        found = msgspec.json.encode(value)
    except (ValueError, OverflowError):
        return b""
    return b"" if b"null" in found or len(found) > _MAX_WRITTEN else found


_MAX_WRITTEN = 2048
