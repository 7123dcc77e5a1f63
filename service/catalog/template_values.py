"""What an expression of a chat template may be: data of the caller, a constant, or made by the template.

Knows how such values join and how constants fold, within bounds; must not know Jinja, nor what is a danger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product

MAX_ATOMS = 64
"""Of one value: with more constants than that it counts as made by the template."""
MAX_TEXT = 256
"""Characters of a constant that is computed with, and of what comes out."""
MAX_DEPTH = 3
"""Containers within containers that are told apart."""

DEEP = "deep"
"""The name of a container that may hold itself."""
_FIELDS = frozenset({"items", "keys", "values", "get", "title", "index", "count"})
"""Methods that are also what fields of data are called: without a call they are these."""


@dataclass(frozen=True, slots=True)
class Atom:
    """One thing that a value may be.

    Attributes:
        kind: `data`: of the caller. `mixed`: a token that the file's author may have chosen, or data put together.
            `made`: computed by the template. `number`; `text`: a constant. `list`: a container that the template
            made. `method`, of what is `inside`. `macro`, `function`, `namespace`, `loop`, `cycler`.
        name: The text; or what it is called; or where a container was made.
        inside: What a container may hold, a loop's item, a method's object.
        depth: Of containers, in this one.
    """

    kind: str
    name: str = ""
    inside: frozenset[Atom] = frozenset()
    depth: int = 0


Value = frozenset[Atom]
"""All that it may be; nothing for what is undefined."""

NOTHING: Value = frozenset()
DATA: Value = frozenset({Atom("data")})
MIXED: Value = frozenset({Atom("mixed")})
MADE: Value = frozenset({Atom("made")})
NUMBER: Value = frozenset({Atom("number")})


def constant(value: object) -> Value:
    """A literal: texts are kept; numbers, truth values and None lead nowhere."""
    return frozenset({Atom("text", value)}) if isinstance(value, str) else NUMBER


def holding(kind: str, name: str, inside: Value) -> Value:
    """A container, or another thing with something inside; what lies too deep is all taken to lie in one."""
    depth = 1 + max((atom.depth for atom in inside), default=0)
    if depth > MAX_DEPTH:
        return holding(kind, name, frozenset({Atom("list", DEEP, _leaves(inside), 1)}))
    return frozenset({Atom(kind, name, inside, depth)})


def _leaves(value: Value) -> Value:
    """What lies in containers, however deep; of many of them it counts as made by the template."""
    found: set[Atom] = set()
    seen: set[Atom] = set()
    waiting = list(value)
    while waiting:
        atom = waiting.pop()
        if not atom.inside:
            found.add(atom)
        elif atom not in seen:
            seen.add(atom)
            if len(seen) > MAX_ATOMS:
                return MADE | frozenset(leaf for leaf in found if leaf.kind == "function")
            waiting.extend(atom.inside)
        if atom.kind == "method" and atom.name not in _FIELDS:
            found |= MADE
    return join((frozenset(found),))


def join(values: Iterable[Value]) -> Value:
    """What is one of these."""
    joined = NOTHING.union(*values)
    if len(joined) <= MAX_ATOMS:
        return joined
    return MADE | frozenset(Atom(atom.kind) for atom in joined if atom.kind != "text" and not atom.depth)


def texts(value: Value) -> list[str] | None:
    """The constants that it is one of, or None where it may be something else; undefined is an empty text."""
    if not all(atom.kind == "text" for atom in value):
        return None
    return [atom.name for atom in value] or [""]


def folded(function: Callable[..., object], values: Iterable[Value]) -> Value:
    """A function of texts, of all of them; made by the template where they are not all known, many, or long."""
    known = [texts(value) for value in values]
    count = 1
    for one in known:
        if one is None or any(len(text) > MAX_TEXT for text in one):
            return MADE
        count *= len(one)
        if count > MAX_ATOMS:
            return MADE
    results = [function(*case) for case in product(*(one for one in known if one is not None))]
    if any(not isinstance(result, str) or len(result) > MAX_TEXT for result in results):
        return MADE
    return join(constant(result) for result in results)


def together(values: Iterable[Value]) -> Value:
    """Put together as one text."""
    whole: Value | None = None
    for value in values:
        whole = value if whole is None else folded(str.__add__, (whole, value))
    return whole if whole is not None and texts(whole) is not None else MADE


def characters(text: str) -> Value:
    """Each by itself."""
    return join(constant(one) for one in set(text[: MAX_ATOMS + 1]))


def items(value: Value) -> Value:
    """What a loop over it gives, or an index."""
    return join(_items(atom) for atom in value)


def _items(atom: Atom) -> Value:
    if atom.kind == "text":
        return characters(atom.name) if len(atom.name) <= MAX_TEXT else MADE
    if atom.kind in ("list", "cycler"):
        return atom.inside | {atom} if atom.name == DEEP else atom.inside
    if atom.kind == "mixed":
        return DATA  # a character of a text, or what only the caller can give
    return frozenset({atom}) if atom.kind in ("data", "made") else NOTHING


def has(value: Value, *kinds: str) -> bool:
    """Whether it may be of one of these kinds."""
    return any(atom.kind in kinds for atom in value)


def only(value: Value, *kinds: str) -> bool:
    """Whether it can be of these kinds alone."""
    return all(atom.kind in kinds for atom in value)
