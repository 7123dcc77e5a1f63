"""Sentences as data: a template in English and what goes into it; knows no other language and no catalogue.

A reader, a rule or an enricher writes `msg("{units} units see {inputs} inputs.", units=4, inputs=3)`. What is stored
and what crosses the wall is the template and its arguments; a translation is chosen when somebody reads it
(`service.translation`). The English template is the identifier, as in gettext.

A message may come from a process that has read a hostile file: filling a template looks up plain names only, never
attributes or items, so that no template can reach into the service.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

Argument = "str | int | float | Message | tuple[Argument, ...] | None"
"""What may fill a place: a text of the upload, a number, another message, or several of them, to be listed."""

VERBATIM = "{text}"
"""The template of a text that has no translation: a sentence of an older version, a name."""

_PLACE = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
_MAX_DEPTH = 8


class Message:
    """One sentence: template, arguments by name, and the template for more than one `n` where number matters.

    Immutable and hashable. Not a struct, so that an encoder asks its hook: the store writes it as data, an answer as
    a sentence.
    """

    __slots__ = ("args", "id", "plural")

    id: str
    plural: str | None
    args: tuple[tuple[str, Any], ...]

    def __init__(self, template: str, args: Iterable[tuple[str, Any]] = (), plural: str | None = None) -> None:
        object.__setattr__(self, "id", template)
        object.__setattr__(self, "plural", plural)
        object.__setattr__(self, "args", tuple(args))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a message is immutable: {name}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Message({english(self)!r})"

    def __str__(self) -> str:
        return english(self)

    def _key(self) -> tuple[str, str | None, tuple[tuple[str, Any], ...]]:
        return self.id, self.plural, self.args


def msg(template: str, /, **args: Any) -> Message:
    """A sentence. `template` is a literal, so that it is found for translation; `{name}` is filled from `args`."""
    return Message(template, [(name, _frozen(args[name])) for name in args]) if args else _bare(template)


@lru_cache(maxsize=4096)
def _bare(template: str) -> Message:
    """A sentence that nothing is filled into, as the same object each time: a report has the same few very often."""
    return Message(template)


def msgn(one: str, many: str, /, n: int, **args: Any) -> Message:
    """A sentence whose wording depends on the number `n`."""
    return Message(one, [("n", n), *((name, _frozen(value)) for name, value in args.items())], many)


def mark(template: str) -> str:
    """`template` itself: marks a literal for translation that becomes a message elsewhere (tables of words)."""
    return template


def verbatim(text: str) -> Message:
    """A text as it is, in no language."""
    return Message(VERBATIM, (("text", text),))


def sentences(*parts: Message | None) -> Message:
    """Several sentences one after the other; None is left out."""
    kept = [part for part in parts if part is not None]
    places, names = _places(len(kept))
    return Message(places, zip(names, kept, strict=True))


@lru_cache(maxsize=64)
def _places(count: int) -> tuple[str, tuple[str, ...]]:
    """The template of so many sentences in a row, and the names of its places."""
    names = tuple([f"s{index}" for index in range(count)])
    return " ".join([f"{{{name}}}" for name in names]), names


def _frozen(value: Any) -> Any:
    return tuple([_frozen(item) for item in value]) if isinstance(value, (list, tuple)) else value


def fill(
    template: str,
    args: Iterable[tuple[str, Any]],
    show: Callable[[Any], str],
    joined: Callable[[list[str]], str] = "".join,
) -> str:
    """`template` with each `{name}` replaced by `show(value)`; a name without a value stays as it is.

    `joined` makes one text of the pieces: what the template says and what was filled in, in turn.
    """
    given = dict(args)
    literals, names = _parsed(template)
    shown = [show(given[name]) if name in given else f"{{{name}}}" for name in names]
    return joined([part for pair in zip(literals, [*shown, ""], strict=True) for part in pair])


@lru_cache(maxsize=4096)
def _parsed(template: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    parts = _PLACE.split(template)
    return tuple(parts[::2]), tuple(parts[1::2])


def shown(value: Any, say: Callable[[Message, int], str], join: Callable[[list[str]], str], depth: int = 0) -> str:
    """One argument as text: numbers with thousands separated, messages said, several joined as a list."""
    if isinstance(value, Message):
        return say(value, depth + 1) if depth < _MAX_DEPTH else "…"
    if isinstance(value, tuple):
        return join([shown(item, say, join, depth + 1) for item in value]) if depth < _MAX_DEPTH else "…"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def english(message: Message, depth: int = 0) -> str:
    """The sentence in its source language."""
    template = message.plural if message.plural is not None and dict(message.args).get("n") != 1 else message.id
    return fill(template, message.args, lambda value: shown(value, english, listed, depth))


def listed(items: list[str]) -> str:
    """`a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def as_data(value: object) -> Any:
    """Encoder hook of whatever is stored or sent: a message as template and arguments."""
    if not isinstance(value, Message):
        raise TypeError(f"{type(value).__name__} has no JSON form")
    data: dict[str, Any] = {"id": value.id}
    if value.plural is not None:
        data["plural"] = value.plural
    if value.args:
        data["args"] = dict(value.args)
    return data


def from_data(kind: type, value: Any) -> Any:
    """Decoder hook, the other way; a bare string is a sentence of an older version. ValueError for anything else."""
    if kind is not Message:
        raise TypeError(f"{kind.__name__} has no JSON form")
    if isinstance(value, str):
        return verbatim(value)
    return _message(value, 0)


def from_child(kind: type, value: Any) -> Any:
    """As `from_data`, for what was written a moment ago by this version: a bare string is no sentence."""
    if isinstance(value, str):
        raise ValueError("not a message")  # noqa: TRY004 - what a decoder turns into its own error
    return from_data(kind, value)


def _message(value: Any, depth: int) -> Message:
    if not isinstance(value, dict) or not isinstance(value.get("id"), str) or depth > _MAX_DEPTH:
        raise ValueError("not a message")
    plural, args = value.get("plural"), value.get("args", {})
    if not isinstance(plural, str | None) or not isinstance(args, dict):
        raise ValueError("not a message")  # noqa: TRY004 - what a decoder turns into its own error
    return Message(value["id"], ((str(name), _argument(item, depth)) for name, item in args.items()), plural)


def _argument(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        return _message(value, depth + 1)
    if isinstance(value, list):
        if depth > _MAX_DEPTH:
            raise ValueError("not a message")
        return tuple(_argument(item, depth + 1) for item in value)
    return value
