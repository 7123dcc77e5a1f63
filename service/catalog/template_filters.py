"""What the filters of a chat template give, and which of them look up attributes by name.

Knows Jinja's own filters; one that it does not know gives what the template made, unless all it takes is data.
"""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import nodes

from service.catalog.template_calls import PURE, Arguments, pairs, pure
from service.catalog.template_lookups import check_key, check_path, looked_up
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

_ATTRIBUTE_AT: Mapping[str, int] = {
    "attr": 0, "groupby": 0, "selectattr": 0, "rejectattr": 0, "sum": 0,
    "join": 1, "max": 1, "min": 1, "unique": 1, "sort": 2,
}  # fmt: skip
"""Filters that look up attributes, and in which argument their names stand."""
_SELECTING = frozenset({
    "list", "select", "reject", "selectattr", "rejectattr", "sort", "unique", "slice", "batch", "groupby", "reverse",
})  # fmt: skip
_PICKING = frozenset({"first", "last", "random", "min", "max"})
_COUNTING = frozenset({"length", "count", "int", "float", "round", "abs", "wordcount"})
_SAME_NAME = {"trim": "strip"}
_KEEPING = frozenset({"string", "safe"})


def filtered(name: str, value: Value, given: Arguments, flow: Flow, node: nodes.Filter) -> Value:
    """What this filter makes of a value."""
    attribute = _attribute(name, given, flow, node)
    if name == "map":
        return _mapped(value, given, flow, node)
    if name == "attr":
        return looked_up(value, attribute, node, flow, node)
    if name in _COUNTING:
        return join((NUMBER, given.all()))  # what is no number may be a default
    if name in ("default", "d"):
        return join((value, given.all()))
    if name == "sum":
        return join((NUMBER, given.all(), flow.items(value)))
    if name in ("items", "dictsort"):
        return pairs(value, flow)
    if name in _PICKING:
        return flow.items(value)
    return _selected(name, value, given, flow, node) if name in _SELECTING else _text(name, value, given, flow)


def _attribute(name: str, given: Arguments, flow: Flow, node: nodes.Filter) -> Value:
    """The name that is looked up, which is held against what a template may look up."""
    if name not in _ATTRIBUTE_AT:
        return NOTHING
    place = _ATTRIBUTE_AT[name]
    found = [(given.names or {}).get("attribute", NOTHING), given.spread, *given.places[place : place + 1]]
    attribute = join(found)
    check_path(attribute, node, flow, node)
    return attribute


def _mapped(value: Value, given: Arguments, flow: Flow, node: nodes.Filter) -> Value:
    """An attribute of each, or what another filter makes of each."""
    held = flow.items(value)
    results = []
    if given.spread:
        check_key(MADE, node, flow, node)
    attribute = (given.names or {}).get("attribute")
    if attribute is not None:
        check_path(attribute, node, flow, node)
        results += [looked_up(held, attribute, node, flow, node), (given.names or {}).get("default", NOTHING)]
    elif given.places:
        results += _by_filter(held, given, flow, node)
    return join(_as_list(one, node) for one in results)


def _by_filter(held: Value, given: Arguments, flow: Flow, node: nodes.Filter) -> list[Value]:
    names = texts(given.places[0])
    if names is None:
        check_key(MADE, node, flow, node)
        return [MADE]
    rest = Arguments(given.places[1:], given.names, given.spread)
    return [filtered(name, held, rest, flow, node) for name in names]


def _as_list(value: Value, node: nodes.Node) -> Value:
    return value if only(value, "data", "made") else holding("list", str(id(node)), value)


def _selected(name: str, value: Value, given: Arguments, flow: Flow, node: nodes.Filter) -> Value:
    """The same, or some of them; of a text its characters, or the text turned round."""
    if name == "reverse":
        is_known = value and texts(value) is not None
        return folded(_turned, (value,)) if is_known else join(_reversed(atom) for atom in value)
    lists = frozenset(atom for atom in value if atom.kind in ("list", "data", "made"))
    rest = value - lists
    whole = join((lists, holding("list", str(id(node)), flow.items(rest)) if rest else NOTHING))
    if name not in ("slice", "batch", "groupby"):
        return whole
    grouped = join((whole, given.all()))
    return (
        DATA if only(grouped, "data", "number") else holding("list", "", join((grouped, holding("list", "", grouped))))
    )


def _reversed(atom: Atom) -> Value:
    return frozenset({atom}) if atom.kind in ("list", "data", "mixed") else MADE


def _turned(whole: str) -> str:
    return whole[::-1]


def _text(name: str, value: Value, given: Arguments, flow: Flow) -> Value:
    """A text of it, or by a filter that is not known."""
    if name == "join":
        return _joined(value, given, flow)
    if value and texts(value) is not None:
        known = _SAME_NAME.get(name, name)
        return value if name in _KEEPING else pure(known, value, given) if known in PURE else MADE
    if name == "trim" or only(given.all(), "data", "number"):
        return join(_text_of(atom) for atom in value)
    return MADE


def _text_of(atom: Atom) -> Value:
    """Of data it is data; but how functions are shown is known to the author."""
    if atom.kind == "list" and only(atom.inside, "data", "number"):
        return DATA
    return frozenset({atom}) if atom.kind in ("data", "mixed") else MADE


def _joined(value: Value, given: Arguments, flow: Flow) -> Value:
    """Pieces in an order that is not followed; a single one is itself."""
    held = flow.items(value)
    is_one = len(held) == 1 and not has(held, "data", "mixed", "made") and not given.all()
    return join((held, MADE)) if not is_one else join((held, constant("")))
