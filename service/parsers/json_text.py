"""Strict, bounded JSON from bytes nobody vouches for; knows RFC 8259, not what the document means.

Refused before anything is built: too many bytes, too many values, too deep. Refused while parsing: a key that
occurs twice in one object (two readers would see two documents), integers of thousands of digits.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, NoReturn

from service.errors import LimitExceeded, MalformedFile, MalformedJson
from service.language import Message, mark, msg, verbatim

MAX_VALUES = 5_000_000
"""Most values in one document: an empty list costs 56 bytes once parsed, so this bounds memory."""

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*"?', re.DOTALL)
"""A string, whole or cut off: possessive, so that one that never ends is walked through once."""
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

Constants = Literal["text", "refuse"]
"""What becomes of NaN and Infinity, which are not JSON but which Python writes: their name as text, or an error."""


class _RefusedError(ValueError):
    """JSON that is well-formed and still not taken."""

    def __init__(self, reason: Message) -> None:
        super().__init__(str(reason))
        self.reason = reason


NOT_JSON = (
    mark("Expecting value"),
    mark("Expecting property name enclosed in double quotes"),
    mark("Illegal trailing comma before end of object"),
    mark("Illegal trailing comma before end of array"),
    mark("Expecting ',' delimiter"),
    mark("Expecting ':' delimiter"),
    mark("Extra data"),
    mark("Unterminated string starting at"),
    mark("Invalid control character at"),
    mark("Invalid \\escape"),
    mark("Invalid \\uXXXX escape"),
)
"""What Python's decoder finds wrong, so that it is translated."""


def parse(
    data: bytes, *, max_bytes: int, max_depth: int, member: str | None = None, constants: Constants = "text"
) -> Any:
    """The value of a JSON document.

    Raises:
        MalformedJson: Not JSON, not UTF-8, or a doubled key; with the byte offset where known.
        LimitExceeded: More than `max_bytes`, deeper than `max_depth`, or too many values.
    """
    _check_size(data, max_bytes, max_depth, member)
    text = _decode(data, member)
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_constant(constants))
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode("utf-8"))
        raise MalformedJson(
            msg("Not valid JSON: {msg}.", msg=Message(error.msg)), member=member, offset=offset
        ) from None
    except RecursionError:
        raise LimitExceeded("json_depth", max_depth, msg("The JSON is nested too deeply."), member=member) from None
    except ValueError as error:
        reason = error.reason if isinstance(error, _RefusedError) else str(error)
        raise MalformedJson(msg("Not acceptable JSON: {error}.", error=reason), member=member) from None


def parse_object(
    data: bytes, *, max_bytes: int, max_depth: int, member: str | None = None, constants: Constants = "text"
) -> dict[str, Any]:
    """As `parse`, for a document that must be an object; MalformedFile otherwise."""
    value = parse(data, max_bytes=max_bytes, max_depth=max_depth, member=member, constants=constants)
    if not isinstance(value, dict):
        raise MalformedFile(
            msg("A JSON object is expected here, not {kind}.", kind=_kind(value)), member=member, offset=0
        )
    return value


def nesting(data: bytes, stop: int) -> int:
    """Depth of the brackets outside strings, counted up to `stop` + 1. Unbalanced brackets count as too deep.

    Each round removes the innermost pairs, so the number of rounds is the depth and no stack is needed.
    """
    brackets = _STRING.sub(b"", data).translate(None, _NOT_BRACKETS)
    depth = 0
    while brackets and depth <= stop:
        inner = re.sub(rb"\[\]|\{\}", b"", brackets)
        if len(inner) == len(brackets):
            return stop + 1 if len(brackets) > stop else depth + len(brackets)
        brackets = inner
        depth += 1
    return depth


def _check_size(data: bytes, max_bytes: int, max_depth: int, member: str | None) -> None:
    if len(data) > max_bytes:
        raise LimitExceeded(
            "json_bytes",
            max_bytes,
            msg("The JSON has {n} bytes; {max_bytes} are read at most.", n=len(data), max_bytes=max_bytes),
            value=len(data),
            member=member,
        )
    values = data.count(b",") + data.count(b"[") + data.count(b"{")
    if values > MAX_VALUES:
        raise LimitExceeded(
            "json_values", MAX_VALUES, msg("The JSON holds too many values."), value=values, member=member
        )
    if nesting(data, max_depth) > max_depth:
        raise LimitExceeded(
            "json_depth",
            max_depth,
            msg("The JSON is nested deeper than {max_depth} levels.", max_depth=max_depth),
            member=member,
        )


def _decode(data: bytes, member: str | None) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedJson(msg("The JSON is not UTF-8."), member=member, offset=error.start) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        doubled = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _RefusedError(msg("the key {key} occurs twice in one object", key=repr(doubled[:80])))
    return found


def _constant(constants: Constants) -> Any:
    return str if constants == "text" else _refuse


def _refuse(name: str) -> NoReturn:
    raise _RefusedError(msg("{name} is not a JSON number", name=name))


_KINDS = {
    list: msg("a list"),
    str: msg("a string"),
    bool: msg("a boolean"),
    int: msg("a number"),
    float: msg("a number"),
}


def _kind(value: Any) -> Message:
    return _KINDS.get(type(value)) or verbatim("null")
