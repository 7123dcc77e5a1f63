"""How values of a chat template are looked up by keys, and which keys lead to the interpreter's internals.

Knows attributes, items and slices; must not know calls, filters or statements.
"""

from __future__ import annotations

from functools import partial

from jinja2 import nodes

from service.catalog.template_state import Flow
from service.catalog.template_values import (
    DATA,
    MADE,
    MIXED,
    NOTHING,
    NUMBER,
    Atom,
    Value,
    folded,
    has,
    holding,
    join,
    only,
    texts,
)
from service.language import msg
from service.plain import text

TEXT_METHODS = frozenset(name for name in dir(str) if not name.startswith("_"))
METHODS = TEXT_METHODS | frozenset(name for kind in (dict, list, set) for name in dir(kind) if not name.startswith("_"))
_NUMBER_METHODS = frozenset(name for kind in (int, float) for name in dir(kind)) | TEXT_METHODS

_INTERNALS = frozenset({
    "mro", "gi_frame", "gi_code", "cr_frame", "cr_code", "ag_frame", "ag_code", "tb_frame", "f_globals", "f_builtins",
    "f_locals", "f_back", "func_globals", "func_code", "im_func", "im_self", "im_class",
})  # fmt: skip
_LOOP_ITEMS = frozenset({"previtem", "nextitem"})
_LOOP_NUMBERS = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0"})
_LOOP_METHODS = frozenset({"cycle", "changed"})
_CYCLER = frozenset({"next", "current", "reset"})


def described(node: nodes.Node | None) -> str:
    """What stands there, in few words."""
    words: list[str] = []
    while isinstance(node, nodes.Getattr | nodes.Filter | nodes.Call):
        words.append(
            "()" if isinstance(node, nodes.Call) else f"{'.' if isinstance(node, nodes.Getattr) else '|'}{_named(node)}"
        )
        node = node.node
    words.append(_named(node))
    return text("".join(reversed(words)), 60)


def _named(node: nodes.Node | None) -> str:
    if isinstance(node, nodes.Getattr):
        return node.attr
    if isinstance(node, nodes.Name | nodes.Filter):
        return node.name
    if isinstance(node, nodes.Const):
        return repr(node.value)[:60]
    return "…"


def check_key(key: Value, shown: nodes.Node | None, flow: Flow, node: nodes.Node) -> None:
    """Reports a key that reaches internals, and one that only the template knows."""
    for atom in key:
        if atom.kind == "text":
            check_name(atom.name, flow, node)
    if has(key, "made", "mixed"):
        flow.report("high", msg(
            "The chat template takes an attribute by a made-up name ({name}): so sandboxes are left.",
            name=described(shown)), node)  # fmt: skip


def check_path(path: Value, shown: nodes.Node | None, flow: Flow, node: nodes.Node) -> None:
    """The same of attributes of attributes, with points between them."""
    known = [part for whole in texts(path) or () for part in whole.split(".")]
    for name in known:
        check_name(name, flow, node)
    check_key(path, shown, flow, node)


def check_name(name: str, flow: Flow, node: nodes.Node) -> None:
    """Names that begin with an underscore are Python's, or private."""
    if name.startswith("_") or name in _INTERNALS:
        is_internal = name.startswith("__") or name in _INTERNALS
        flow.report("critical" if is_internal else "high", msg(
            "The chat template reaches for {name}: rendered without a sandbox it runs code.", name=text(name, 60)),
            node)  # fmt: skip


def looked_up(value: Value, key: Value, shown: nodes.Node, flow: Flow, node: nodes.Node) -> Value:
    """What stands there under this key, as an attribute or as an item: Jinja tries both."""
    check_key(key, shown, flow, node)
    for atom in value:
        if _is_helper(atom, key):
            flow.report("critical", msg(
                "The chat template reaches into a helper of Jinja ({name}), from where the interpreter can be reached.",
                name=text(atom.name or atom.kind, 60)), node)  # fmt: skip
    return join(_of_atom(atom, key, flow) for atom in value)


def _is_helper(atom: Atom, key: Value) -> bool:
    """Whether this is a function or the like, and the key none of the few that templates need."""
    if atom.kind == "loop":
        return not _among(key, _LOOP_NUMBERS | _LOOP_ITEMS | _LOOP_METHODS)
    if atom.kind == "cycler":
        return not _among(key, _CYCLER)
    return atom.kind in ("function", "macro")


def _among(key: Value, names: frozenset[str]) -> bool:
    return all(atom.kind == "text" and atom.name in names for atom in key)


def _of_atom(atom: Atom, key: Value, flow: Flow) -> Value:
    if atom.kind == "namespace":
        return _of_namespace(atom.name, key, flow)
    if atom.kind in ("loop", "cycler"):
        return _of_loop(atom, key)
    if atom.kind in ("method", "function", "macro"):
        return NOTHING
    if atom.kind == "number":
        return NOTHING if only(key, "text") and _NUMBER_METHODS.isdisjoint(one.name for one in key) else MADE
    bound = join(
        holding("method", one.name, frozenset({atom})) for one in key if one.kind == "text" and one.name in METHODS
    )
    if atom.kind == "mixed":
        return join((bound, _of_mixed(key)))
    if atom.kind == "text":
        return join((bound, flow.items(frozenset({atom})) if has(key, "number", "data", "made", "mixed") else NOTHING))
    return join((bound, flow.items(frozenset({atom}))))


def _of_mixed(key: Value) -> Value:
    """A token is a text, or has its text as its content; what has other attributes or keys is data."""
    if only(key, "text"):
        return MIXED if any(atom.name == "content" for atom in key) else DATA
    return MIXED


def _of_namespace(place: str, key: Value, flow: Flow) -> Value:
    names = texts(key)
    if names is None:
        flow.step(len(flow.kept) // 100)
        return join(value for kept, value in flow.kept.items() if kept.startswith(f"{place} "))
    known = [flow.known(f"{place} {name}") for name in (*names, "*")]
    return join((*known, *(flow.known(f"any {name}") for name in names)))


def _of_loop(atom: Atom, key: Value) -> Value:
    names = {one.name for one in key}
    found = [NUMBER]
    if atom.kind == "cycler" or names & _LOOP_ITEMS:
        found.append(atom.inside)
    found.extend(holding("method", name, frozenset({atom})) for name in names & (_LOOP_METHODS | _CYCLER))
    return join(found)


def sliced(value: Value, part: slice | None) -> Value:
    """A part of a text or a list; of a constant exactly, where the ends are constants."""
    if value and texts(value) is not None:
        return folded(partial(_part, part), (value,)) if part is not None else MADE
    return join(MADE if atom.kind == "text" else frozenset({atom}) for atom in value)


def _part(part: slice, whole: str) -> str:
    return whole[part]


def indexed(value: Value, at: int) -> Value:
    """One character of constants; an index behind the end is nothing."""
    return folded(partial(_part, slice(at, at + 1 or None)), (value,))
