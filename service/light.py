"""Pieces of layers without their sentences: these are left as JSON, looked at one by one, and replaced by others.

What layers are explained by and cost differs from one to the next in its numbers; the sentences beside them are mostly
the same few. Knows the types of explanations, notes and costs; nothing of who asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import msgspec
from msgspec.structs import replace

from service.costs import ByDtype, Extents, Quantity
from service.language import Message, as_data, from_child, from_data
from service.tree import Explanation, Term

IN_COST: dict[str, Any] = {
    "macs": Quantity,
    "flops": Quantity,
    "activation_elements": Quantity,
    "activation_bytes": Quantity,
    "parameter_bytes": ByDtype,
    "receptive_field": Extents | None,
    "stride": Extents | None,
}
IN_LAYER: dict[str, Any] = {"explanation": Explanation | None, "notes": tuple[Message, ...]}
"""What has sentences in a layer and its cost, and is the same for many layers of a large model."""

NOTHING = b"null"
MAX_KNOWN = 10_000
"""Most pieces of JSON that are kept while one model is decoded."""
MAX_DEPTH = 8
"""How deep sentences may be filled into one another, as in `service.language`."""
T = TypeVar("T")
_Say = Callable[[msgspec.Raw], msgspec.Raw]


def partly(kind: type[msgspec.Struct], types: Mapping[str, Any]) -> type[msgspec.Struct]:
    """A type that decodes as `kind` does, but these fields as these types; `msgspec.Raw` keeps the JSON as it is."""
    fields: list[Any] = []
    for field in msgspec.structs.fields(kind):
        default = {"default": field.default, "default_factory": field.default_factory}
        given = {name: value for name, value in default.items() if value is not msgspec.NODEFAULT}
        if given and types.get(field.name) is msgspec.Raw:
            given = {"default": msgspec.Raw(msgspec.json.encode(field.default, enc_hook=as_data))}
        fields.append((field.name, types.get(field.name, field.type), msgspec.field(**given)))
    return msgspec.defstruct(f"_{kind.__name__}", fields, kw_only=True, forbid_unknown_fields=True, gc=False)


def _number(kind: type[msgspec.Struct]) -> Any:
    return partly(kind, {"method": msgspec.Raw, "assumptions": tuple[msgspec.Raw, ...]})


_TERM: Any = partly(Term, {"meaning": msgspec.Raw})
_TYPES: dict[str, Any] = {
    "explanation": partly(
        Explanation, {"text": msgspec.Raw, "expert": msgspec.Raw, "terms": tuple[_TERM, ...]}
    ) | None,
    "notes": tuple[msgspec.Raw, ...],
    **dict.fromkeys(("macs", "flops", "activation_elements", "activation_bytes"), _number(Quantity)),
    "parameter_bytes": _number(ByDtype),
    **dict.fromkeys(("receptive_field", "stride"), _number(Extents) | None),
}  # fmt: skip
decoders: dict[str, msgspec.json.Decoder[Any]] = {name: msgspec.json.Decoder(kind) for name, kind in _TYPES.items()}
"""Of each field of `IN_COST` and `IN_LAYER` without its sentences."""


class Sentence(msgspec.Struct):
    """A sentence, what is filled into it left as JSON. Whatever else the JSON holds does not matter."""

    id: str
    plural: str | None = None
    args: dict[str, msgspec.Raw] = {}


_sentence = msgspec.json.Decoder(Sentence)
_message: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message, dec_hook=from_data)
_new_message: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message, dec_hook=from_child)
_OBJECT, _LIST = ord("{"), ord("[")


class Sentences(Generic[T]):
    """Takes sentences as JSON, equal ones only once, and those that are filled into others before these.

    `make` gets a sentence whose arguments are plain, or what it made of the sentences that they were. `new`: they were
    written by this version a moment ago, so that a bare text is none.
    """

    def __init__(self, make: Callable[[Message], T], *, new: bool = False) -> None:
        self._make = make
        self._decoder = _new_message if new else _message
        self._known: dict[bytes, tuple[T, int]] = {}

    def of(self, text: bytes) -> T:
        """What is made of a sentence. Raises msgspec.DecodeError for what is none."""
        return self._of(text)[0]

    def _of(self, text: bytes) -> tuple[T, int]:
        """The same, and how deep sentences are filled into one another in it."""
        found = self._known.get(text)
        if found is None:
            found = self._taken(text) if text[:1] == b"{" else self._whole(text)
            if found[1] > MAX_DEPTH:
                raise msgspec.DecodeError("sentences in sentences without end")
            if len(self._known) < MAX_KNOWN:
                self._known[text] = found
        return found

    def _taken(self, text: bytes) -> tuple[T, int]:
        sentence = _sentence.decode(text)
        args: list[tuple[str, Any]] = []
        depth = 0
        for name, value in sentence.args.items():
            argument = bytes(value)
            if argument[0] == _OBJECT:
                inner, inside = self._of(argument)
                args.append((name, inner))
                depth = max(depth, inside + 1)
            elif argument[0] == _LIST:
                return self._whole(text)
            else:
                args.append((name, msgspec.json.decode(argument)))
        return self._make(Message(sentence.id, args, sentence.plural)), depth

    def _whole(self, text: bytes) -> tuple[T, int]:
        """One with lists in it, or a bare text, which is a sentence of an older version."""
        message = self._decoder.decode(text)
        return self._make(message), _depth(message, 0)


def _depth(value: Message | tuple[Any, ...], at: int) -> int:
    """How deep a sentence or a list that stands at `at` goes, as `service.language` counts when it decodes one."""
    held = value if isinstance(value, tuple) else [argument for _, argument in value.args]
    inner = [item for item in held if isinstance(item, Message | tuple)]
    steps = [isinstance(value, tuple) + isinstance(item, Message) for item in inner]
    return max([at, *(_depth(item, at + step) for item, step in zip(inner, steps, strict=True))])


def sentences(name: str, piece: Any) -> Iterable[msgspec.Raw]:
    """The sentences of what a decoder gave; not those that may be missing and are."""
    if piece is None:
        return ()
    if name == "notes":
        return piece  # type: ignore[no-any-return]
    if name == "explanation":
        return (piece.text, piece.expert, *[term.meaning for term in piece.terms])
    return piece.assumptions if bytes(piece.method) == NOTHING else (piece.method, *piece.assumptions)


def said(name: str, piece: Any, say: _Say) -> Any:
    """What a decoder gave with other sentences; what is not there stays so."""
    if piece is None:
        return None
    if name == "notes":
        return [*map(say, piece)]
    if name == "explanation":
        terms = [replace(term, meaning=say(term.meaning)) for term in piece.terms]
        return replace(piece, text=say(piece.text), expert=say(piece.expert), terms=terms)
    method = piece.method if bytes(piece.method) == NOTHING else say(piece.method)
    return replace(piece, method=method, assumptions=[*map(say, piece.assumptions)])
