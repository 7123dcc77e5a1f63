"""What the expressions of a chat template may give: follows values from where they come to where they are keys.

Knows Jinja's expressions; must not know statements. Each gives a `Value`; what it does that an attack needs is
reported to the flow of its scope.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from service.catalog.template_calls import Arguments, called
from service.catalog.template_filters import filtered
from service.catalog.template_lookups import indexed, looked_up, sliced
from service.catalog.template_state import Scope
from service.catalog.template_values import (
    DATA,
    MADE,
    MAX_TEXT,
    MIXED,
    NOTHING,
    NUMBER,
    Value,
    constant,
    folded,
    has,
    holding,
    join,
    only,
    texts,
    together,
)


def evaluate(node: nodes.Node, scope: Scope) -> Value:
    """What an expression may give.

    Raises:
        TooLong: If too many were looked at.
    """
    scope.flow.step()
    follow = _EXPRESSIONS.get(type(node))
    if follow is not None:
        return follow(node, scope)
    _parts(node, scope)
    return MADE


def arguments(node: nodes.Call | nodes.Filter | nodes.Test, scope: Scope) -> Arguments:
    """Those of a call, filter or test."""
    spread = [evaluate(one, scope) for one in (node.dyn_args, node.dyn_kwargs) if one is not None]
    return Arguments(
        tuple(evaluate(one, scope) for one in node.args),
        {str(one.key): evaluate(one.value, scope) for one in node.kwargs},
        scope.flow.items(join(spread)),
    )


def filter_of(node: nodes.Filter, value: Value | None, scope: Scope) -> Value:
    """What a filter, and those before it, make of what they stand behind; of `value` where that is a block."""
    before = node.node
    if before is None:
        held = MADE if value is None else value
    elif value is not None and isinstance(before, nodes.Filter):
        held = filter_of(before, value, scope)
    else:
        held = evaluate(before, scope)
    return filtered(node.name, held, arguments(node, scope), scope.flow, node)


def _parts(node: nodes.Node, scope: Scope) -> list[Value]:
    return [evaluate(one, scope) for one in node.iter_child_nodes()]


def _number(node: nodes.Node, scope: Scope) -> Value:
    _parts(node, scope)
    return NUMBER


def _list(node: nodes.Node, scope: Scope) -> Value:
    inside = join(_parts(node, scope))
    scope.flow.step(len(inside))
    return holding("list", str(id(node)), inside)


def _pair(node: nodes.Node, scope: Scope) -> Value:
    return join(_parts(node, scope))


def _choice(node: nodes.CondExpr, scope: Scope) -> Value:
    evaluate(node.test, scope)
    return join((evaluate(node.expr1, scope), NOTHING if node.expr2 is None else evaluate(node.expr2, scope)))


def _attribute(node: nodes.Getattr, scope: Scope) -> Value:
    key = constant(node.attr)
    return looked_up(evaluate(node.node, scope), key, nodes.Const(node.attr), scope.flow, node)


def _item(node: nodes.Getitem, scope: Scope) -> Value:
    value = evaluate(node.node, scope)
    if isinstance(node.arg, nodes.Slice):
        _parts(node.arg, scope)
        return sliced(value, _slice(node.arg))
    at = _integer(node.arg)
    if at is not None and value and texts(value) is not None:
        return indexed(value, at)
    return looked_up(value, evaluate(node.arg, scope), node.arg, scope.flow, node)


def _slice(node: nodes.Slice) -> slice | None:
    """With ends that are constants, and that Python takes."""
    ends = [(one, _integer(one)) for one in (node.start, node.stop, node.step)]
    if any(one is not None and number is None for one, number in ends) or ends[2][1] == 0:
        return None
    return slice(*(number for _, number in ends))


def _integer(node: nodes.Node | None) -> int | None:
    if isinstance(node, nodes.Neg):
        number = _integer(node.node)
        return None if number is None else -number
    return node.value if isinstance(node, nodes.Const) and type(node.value) is int else None


def _call(node: nodes.Call, scope: Scope) -> Value:
    return called(evaluate(node.node, scope), arguments(node, scope), scope.flow, node)


def _test(node: nodes.Test, scope: Scope) -> Value:
    evaluate(node.node, scope)
    arguments(node, scope)
    return NUMBER


def _concatenation(node: nodes.Concat, scope: Scope) -> Value:
    return together(evaluate(one, scope) for one in node.nodes)


def _sum(node: nodes.Add, scope: Scope) -> Value:
    """Of texts, lists or numbers. Data put together may be lists; as a text its characters are chosen."""
    left, right = evaluate(node.left, scope), evaluate(node.right, scope)
    both = join((left, right))
    if has(both, "list"):
        return both
    if any(side and only(side, "number") for side in (left, right)):
        return NUMBER
    return MIXED if both and only(both, "data", "mixed", "number") else together((left, right))


def _difference(node: nodes.Sub, scope: Scope) -> Value:
    """Of numbers; or of the keys of dictionaries."""
    both = join((evaluate(node.left, scope), evaluate(node.right, scope)))
    return join((NUMBER, frozenset(atom for atom in both if atom.kind in ("list", "data"))))


def _product(node: nodes.Mul, scope: Scope) -> Value:
    left, right = evaluate(node.left, scope), evaluate(node.right, scope)
    times = [one for one in (_integer(node.left), _integer(node.right)) if one is not None]
    if len(times) == 1 and 0 <= times[0] <= MAX_TEXT and texts(left if texts(left) is not None else right) is not None:
        return folded(lambda one: one * times[0] if len(one) * times[0] <= MAX_TEXT else None,
                      (left if has(left, "text") else right,))  # fmt: skip
    both = join((left, right))
    if has(both, "list"):
        return both
    return MADE if has(both, "text", "mixed", "made") else join((both & DATA, NUMBER))


def _remainder(node: nodes.Mod, scope: Scope) -> Value:
    """Of numbers; or a text that is filled in."""
    left, right = evaluate(node.left, scope), evaluate(node.right, scope)
    if only(left, "number"):
        return NUMBER
    return left if only(join((left, right)), "data", "number") else MADE


_EXPRESSIONS: Mapping[type[nodes.Node], Callable[[Any, Scope], Value]] = {
    nodes.Name: lambda node, scope: scope.value(node.name),
    nodes.Const: lambda node, _scope: constant(node.value),
    nodes.TemplateData: lambda node, _scope: constant(node.data),
    nodes.Tuple: _list,
    nodes.List: _list,
    nodes.Dict: _list,
    nodes.Pair: _pair,
    nodes.CondExpr: _choice,
    nodes.Filter: lambda node, scope: filter_of(node, None, scope),
    nodes.Test: _test,
    nodes.Call: _call,
    nodes.Getitem: _item,
    nodes.Getattr: _attribute,
    nodes.Concat: _concatenation,
    nodes.Compare: _number,
    nodes.Operand: _number,
    nodes.Not: _number,
    nodes.Neg: _number,
    nodes.Pos: _number,
    nodes.Pow: _number,
    nodes.Div: _number,
    nodes.FloorDiv: _number,
    nodes.And: _pair,
    nodes.Or: _pair,
    nodes.Add: _sum,
    nodes.Sub: _difference,
    nodes.Mul: _product,
    nodes.Mod: _remainder,
}
