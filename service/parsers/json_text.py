"""Strict, bounded JSON from bytes nobody vouches for; knows RFC 8259, not what the document means.

Refused before anything is built: too many bytes, too many values, too deep. Refused while parsing: a key that
occurs twice in one object (two readers would see two documents), integers of thousands of digits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, Literal, NoReturn

from service.errors import LimitExceeded, MalformedFile, MalformedJson
from service.language import Message, mark, msg, verbatim

MAX_VALUES = 5_000_000
"""Most values in one document: an empty list costs 56 bytes once parsed, so this bounds memory."""

_NO_STRUCTURE = bytes(set(range(256)) - set(b"[]{}:,"))
_NO_BRACKETS = b":,"
_STEPS = tuple(1 if byte in b"[{" else -1 for byte in range(256))
_PIECE = 1 << 16
"""Bytes that are taken apart at once: the pieces between quotation marks take several times their own room."""

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
    members = check(data, max_bytes=max_bytes, max_depth=max_depth, member=member)
    text = decoded(data, member)
    hook = members_counted()
    with told(text, max_depth, member):
        found = json.loads(text, object_hook=hook, parse_constant=constant_hook(constants))
        if hook(None) != members:
            json.loads(text, object_pairs_hook=unique, parse_constant=constant_hook(constants))
        return found


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
    """Depth of the brackets outside strings, told up to `stop` + 1."""
    return _depth(structure(data), stop)


def structure(data: bytes) -> bytes:
    """The brackets, colons and commas outside strings, in their order.

    What lies between quotation marks is every other piece; quotation marks that are escaped are taken out before.
    """
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    found: list[bytes] = []
    inside = 0
    for at in range(0, len(data), _PIECE):
        pieces = data[at : at + _PIECE].split(b'"')
        found.append(b"".join(pieces[inside::2]).translate(None, _NO_STRUCTURE))
        inside ^= (len(pieces) - 1) & 1
    return b"".join(found)


def _depth(marks: bytes, stop: int) -> int:
    brackets = marks.translate(None, _NO_BRACKETS)
    return min(max(accumulate(map(_STEPS.__getitem__, brackets)), default=0), stop + 1)


def check(
    data: bytes, *, max_bytes: int, max_depth: int, max_values: int = MAX_VALUES, member: str | None = None
) -> int:
    """How many members the objects of a document have together; LimitExceeded where it is too large or too deep."""
    if len(data) > max_bytes:
        raise LimitExceeded(
            "json_bytes",
            max_bytes,
            msg("The JSON has {n} bytes; {max_bytes} are read at most.", n=len(data), max_bytes=max_bytes),
            value=len(data),
            member=member,
        )
    marks = structure(data)
    members = marks.count(b":")
    values = len(marks) - members - marks.count(b"]") - marks.count(b"}")
    if values > max_values:
        raise LimitExceeded(
            "json_values", max_values, msg("The JSON holds too many values."), value=values, member=member
        )
    if _depth(marks, max_depth) > max_depth:
        raise LimitExceeded(
            "json_depth",
            max_depth,
            msg("The JSON is nested deeper than {max_depth} levels.", max_depth=max_depth),
            member=member,
        )
    return members


def members_counted() -> Callable[[Any], Any]:
    """A hook for every object that is parsed; called with None it tells how many members they had together.

    A document has as many colons outside its strings as its objects have members, unless one has a key twice.
    """
    members = 0

    def hook(found: Any) -> Any:
        nonlocal members
        if found is None:
            return members
        members += len(found)
        return found

    return hook


@contextmanager
def told(text: str, max_depth: int, member: str | None) -> Iterator[None]:
    """What Python's decoder raises as errors of ours, with their place in bytes."""
    try:
        yield
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


def decoded(data: bytes, member: str | None) -> str:
    """The text of a document; MalformedJson if it is not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedJson(msg("The JSON is not UTF-8."), member=member, offset=error.start) from None


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of these members; ValueError where it has a key twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        raise doubled(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return found


def doubled(key: str) -> ValueError:
    """The error about a key that an object has twice."""
    return _RefusedError(msg("the key {key} occurs twice in one object", key=repr(key[:80])))


def constant_hook(constants: Constants) -> Any:
    """What makes a value of a constant that is not JSON."""
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
