"""What calls in a chat template give: methods of texts and containers, Jinja's functions, macros.

Knows which of them only take data apart and which put texts together; must not know expressions or statements.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jinja2 import nodes

from service.catalog.template_lookups import check_key
from service.catalog.template_state import Flow
from service.catalog.template_values import (
    DATA,
    MADE,
    NOTHING,
    NUMBER,
    Atom,
    Value,
    constant,
    folded,
    has,
    holding,
    join,
    only,
    texts,
)
from service.language import msg
from service.plain import text

PURE: Mapping[str, tuple[Callable[..., str], frozenset[int]]] = {
    "lower": (str.lower, frozenset({0})),
    "upper": (str.upper, frozenset({0})),
    "title": (str.title, frozenset({0})),
    "capitalize": (str.capitalize, frozenset({0})),
    "swapcase": (str.swapcase, frozenset({0})),
    "casefold": (str.casefold, frozenset({0})),
    "strip": (str.strip, frozenset({0, 1})),
    "lstrip": (str.lstrip, frozenset({0, 1})),
    "rstrip": (str.rstrip, frozenset({0, 1})),
    "removeprefix": (str.removeprefix, frozenset({1})),
    "removesuffix": (str.removesuffix, frozenset({1})),
    "replace": (str.replace, frozenset({2})),
}
"""Functions of constants that are computed, with the numbers of arguments for which they are."""

_COMPOSING = frozenset({"replace", "join", "format", "format_map", "zfill", "fromkeys"})
_TAKING_APART = frozenset({
    "split", "rsplit", "splitlines", "partition", "rpartition", "strip", "lstrip", "rstrip", "removeprefix",
    "removesuffix", "items", "keys", "values", "copy", "encode", "decode",
})  # fmt: skip
_CHANGING = frozenset({"append", "insert", "extend", "update", "setdefault", "add"})
_WITH_DEFAULT = frozenset({"get", "pop", "setdefault"})
_COUNTING = frozenset({"find", "rfind", "index", "rindex", "count", "startswith", "endswith"})
_SAME = frozenset({"keys", "values", "copy"})
_FIELD_WITH_INTERNALS = re.compile(r"\{[^{}]*[.\[]_")


@dataclass(frozen=True)
class Arguments:
    """Of a call: by place, by name, and what comes out of lists and dictionaries that are spread."""

    places: tuple[Value, ...] = ()
    names: Mapping[str, Value] | None = None
    spread: Value = NOTHING

    def all(self) -> Value:
        """Any of them."""
        return join((*self.places, *(self.names or {}).values(), self.spread))


def called(callee: Value, given: Arguments, flow: Flow, node: nodes.Call) -> Value:
    """What the call may give."""
    return join(_call(atom, given, flow, node) for atom in callee)


def _call(atom: Atom, given: Arguments, flow: Flow, node: nodes.Call) -> Value:
    if atom.kind == "method":
        return method(atom, given, flow, node)
    if atom.kind == "macro":
        _give(atom.name, given, flow)
        return MADE
    if atom.kind == "loop":
        flow.keep(f"loop {atom.name}", flow.items(given.all()))
        return MADE
    if atom.kind == "function":
        return _function(atom, given, flow, node)
    if atom.kind == "made":
        flow.keep("any call", join((given.all(), flow.items(given.all()))))
    return DATA if atom.kind == "data" else MADE


def _give(macro: str, given: Arguments, flow: Flow) -> None:
    """To the macro's parameters, where its body finds them."""
    parameters = flow.parameters.get(macro, ())
    for place, value in enumerate(given.places):
        flow.keep(f"macro {macro} {parameters[place] if place < len(parameters) else '*'}", value)
    for name, value in (given.names or {}).items():
        flow.keep(f"macro {macro} {name if name in parameters else '*'}", value)
    if given.spread:
        for name in (*parameters, "*"):
            flow.keep(f"macro {macro} {name}", given.spread)


def _function(atom: Atom, given: Arguments, flow: Flow, node: nodes.Call) -> Value:
    place = str(id(node))
    if atom.name == "namespace":
        for name, value in (given.names or {}).items():
            flow.keep(f"namespace {place} {name}", value)
        flow.keep(f"namespace {place} *", join((flow.items(join(given.places)), given.spread)))
        return frozenset({Atom("namespace", f"namespace {place}")})
    if atom.name == "dict":
        named = [constant(name) for name in given.names or ()]
        held = join((*named, given.all(), flow.items(given.all())))
        return holding("list", place, held)
    if atom.name == "range":
        return holding("list", place, NUMBER)
    if atom.name == "cycler":
        return holding("cycler", "cycler", given.all())
    if atom.name == "caller":
        flow.keep("caller", given.all())
    if atom.name == "raise_exception":
        return NOTHING
    return MADE | frozenset({atom}) if atom.name == "joiner" else MADE


def method(atom: Atom, given: Arguments, flow: Flow, node: nodes.Node) -> Value:
    """What this method of an object gives; also keeps what it puts into it."""
    if atom.name in _CHANGING:
        _change(atom.inside, given, flow)
    if atom.name in ("format", "format_map"):
        _check_format(atom.inside, flow, node)
    return join(_of(one, atom.name, given, flow) for one in atom.inside)


def _change(changed: Value, given: Arguments, flow: Flow) -> None:
    put = join((given.all(), flow.items(given.all()), *(constant(name) for name in given.names or ())))
    for atom in changed:
        if atom.kind == "list":
            flow.keep(f"list {atom.name}", put)
        elif atom.kind in ("data", "made") and not only(put, "data", "number"):
            flow.keep("any list", put)


def _check_format(formats: Value, flow: Flow, node: nodes.Node) -> None:
    """A format takes attributes of what it formats."""
    for atom in formats:
        if atom.kind == "text" and _FIELD_WITH_INTERNALS.search(atom.name):
            flow.report("critical", msg(
                "The chat template reaches for {name}: rendered without a sandbox it runs code.",
                name=text(atom.name, 60)), node)  # fmt: skip
    if has(formats, "made", "mixed"):
        check_key(MADE, node, flow, node)


def _of(one: Atom, name: str, given: Arguments, flow: Flow) -> Value:
    if one.kind in ("loop", "cycler"):
        return given.all() if name == "cycle" else join((one.inside, NUMBER))
    if name in _COUNTING or name.startswith("is"):
        return NUMBER
    if one.kind == "data":
        return _of_data(name, given)
    if one.kind == "mixed":
        return join((DATA, *given.places[1:])) if name in ("get", "items", "keys", "values") else MADE
    if one.kind == "list":
        return _of_list(one, name, given, flow)
    return _of_text(one, name, given) if one.kind == "text" else MADE


def _of_data(name: str, given: Arguments) -> Value:
    if name in _WITH_DEFAULT:
        return join((DATA, *given.places[1:]))
    is_data = name in _TAKING_APART or (name not in _COMPOSING and only(given.all(), "data", "number"))
    return DATA if is_data else MADE


def _of_list(one: Atom, name: str, given: Arguments, flow: Flow) -> Value:
    if name in _SAME:
        return frozenset({one})
    if name == "items":
        return pairs(frozenset({one}), flow)
    held = flow.items(frozenset({one}))
    if name in _WITH_DEFAULT:
        return join((held, *given.places[1:]))
    return join((held, given.all(), flow.items(given.all())))


def pairs(value: Value, flow: Flow) -> Value:
    """Keys with their values."""
    return join(
        holding("list", atom.name, holding("list", "", flow.items(frozenset({atom}))))
        if atom.kind == "list" else frozenset({atom})
        for atom in value
    )  # fmt: skip


def _of_text(one: Atom, name: str, given: Arguments) -> Value:
    whole = frozenset({one})
    if given.names or given.spread:
        return MADE
    if name in PURE:
        return pure(name, whole, given)
    if name in ("split", "rsplit") and len(given.places) <= 1:
        return _split(one.name, given)
    return MADE


def pure(name: str, whole: Value, given: Arguments) -> Value:
    """A function of constants, computed."""
    function, counts = PURE[name]
    return folded(function, (whole, *given.places)) if len(given.places) in counts else MADE


def _split(whole: str, given: Arguments) -> Value:
    """Pieces of a constant."""
    separators = texts(given.places[0]) if given.places else [None]
    if separators is None or "" in separators:
        return MADE
    found = (constant(piece) for separator in separators for piece in whole.split(separator, 1000))
    return holding("list", "", join(found))
