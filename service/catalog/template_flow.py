"""Follows a chat template, statement by statement, until nothing new is learnt: what it does that an attack needs.

Knows Jinja's statements. Nothing is rendered: both ways of a condition are taken, a loop's body is gone through once,
and what outlives it is seen in the next pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import nodes

from service.catalog.template_expressions import evaluate, filter_of
from service.catalog.template_parsing import TooLong, parsed
from service.catalog.template_state import Finding, Flow, Scope
from service.catalog.template_values import MADE, Atom, Value, holding, join, together
from service.language import msg

MAX_PASSES = 12
"""More than values need to settle, as texts that grow are given up before."""

TOO_LONG = msg("The chat template is too long or too deeply nested to be followed: what it reaches for is not known.")


def worst(template: str) -> Finding | None:
    """The worst that a template does; None where it only formats, or where Jinja cannot parse it."""
    flow = Flow()
    try:
        program = parsed(template)
        if program is not None:
            _settle(program, flow)
    except (TooLong, RecursionError):
        return flow.found.get("critical", Finding("high", TOO_LONG, 1))
    return flow.found.get("critical") or flow.found.get("high")


def _settle(program: nodes.Template, flow: Flow) -> None:
    for number in range(MAX_PASSES):
        flow.number, flow.changed = number, False
        _run(program.body, Scope(flow))
        if not flow.changed:
            return
    raise TooLong


def _run(body: Iterable[nodes.Node], scope: Scope) -> None:
    for node in body:
        follow = _STATEMENTS.get(type(node))
        if follow is not None:
            follow(node, scope)
        else:
            for child in node.iter_child_nodes():
                _run_or_evaluate(child, scope)


def _run_or_evaluate(node: nodes.Node, scope: Scope) -> None:
    if isinstance(node, nodes.Expr):
        evaluate(node, scope)
    else:
        _run([node], scope)


def _assign(target: nodes.Node, value: Value, scope: Scope) -> None:
    if isinstance(target, nodes.Name):
        scope.bind(target.name, value)
    elif isinstance(target, nodes.NSRef):
        for atom in scope.value(target.name):
            if atom.kind in ("namespace", "made"):
                scope.flow.keep(f"{atom.name or 'any'} {target.attr}", value)
    elif isinstance(target, nodes.Tuple | nodes.List):
        part = scope.flow.parts(value)
        for one in target.items:
            _assign(one, part, scope)


def _set(node: nodes.Assign, scope: Scope) -> None:
    _assign(node.target, evaluate(node.node, scope), scope)


def _set_block(node: nodes.AssignBlock, scope: Scope) -> None:
    value = _captured(node.body, scope)
    _assign(node.target, value if node.filter is None else filter_of(node.filter, value, scope), scope)


def _captured(body: list[nodes.Node], scope: Scope) -> Value:
    """What a body writes: known where it does nothing else. Loaders differ in which line ends they leave out."""
    if not all(isinstance(node, nodes.Output) for node in body):
        _run(body, scope.within())
        return MADE
    written = [one for node in body for one in node.iter_child_nodes()]
    value = together([evaluate(one, scope) for one in written])
    return MADE if any(isinstance(one, nodes.TemplateData) and "\n" in one.data for one in written) else value


def _if(node: nodes.If, scope: Scope) -> None:
    branches = []
    for case in (node, *node.elif_):
        evaluate(case.test, scope)
        branches.append(scope.within())
        _run(case.body, branches[-1])
    if node.else_:
        branches.append(scope.within())
        _run(node.else_, branches[-1])
    scope.merge(branches, is_one_taken=bool(node.else_))


def _for(node: nodes.For, scope: Scope) -> None:
    flow, place = scope.flow, str(id(node))
    item = join((flow.items(evaluate(node.iter, scope)), flow.known(f"loop {place}"), flow.known("any call")))
    inner = scope.within()
    _assign(node.target, item, inner)
    if node.test is not None:
        evaluate(node.test, inner)
    inner.bind("loop", holding("loop", place, item))
    _run(node.body, inner)
    _run(node.else_, scope.within())


def _macro(node: nodes.Macro, scope: Scope) -> None:
    scope.flow.parameters[node.name] = tuple(one.name for one in node.args)
    scope.bind(node.name, frozenset({Atom("macro", node.name)}))
    inner = _parameters(node, f"macro {node.name}", scope)
    more = holding("list", "", join((scope.flow.known(f"macro {node.name} *"), scope.flow.known("any call"))))
    inner.names |= {"varargs": more, "kwargs": more}
    _run(node.body, inner)


def _parameters(node: nodes.Macro | nodes.CallBlock, prefix: str, scope: Scope) -> Scope:
    """A scope in which they have what calls give them, or their defaults."""
    inner = scope.within(is_late=True)
    without = len(node.args) - len(node.defaults)
    for place, one in enumerate(node.args):
        default = evaluate(node.defaults[place - without], inner) if place >= without else frozenset()
        given = (scope.flow.known(f"{prefix} {one.name}"), scope.flow.known("any call"))
        inner.names[one.name] = join((*given, default))
    return inner


def _call_block(node: nodes.CallBlock, scope: Scope) -> None:
    evaluate(node.call, scope)
    for one in node.args:
        scope.flow.keep(f"caller {one.name}", scope.flow.known("caller"))
    _run(node.body, _parameters(node, "caller", scope))


def _filter_block(node: nodes.FilterBlock, scope: Scope) -> None:
    filter_of(node.filter, _captured(node.body, scope.within()), scope)


def _with(node: nodes.With, scope: Scope) -> None:
    inner = scope.within()
    for target, value in zip(node.targets, node.values, strict=True):
        _assign(target, evaluate(value, scope), inner)
    _run(node.body, inner)


def _block(node: nodes.Block, scope: Scope) -> None:
    _run(node.body, scope.within(is_late=True))


def _scope(node: nodes.Scope, scope: Scope) -> None:
    _run(node.body, scope.within())


def _loads(node: nodes.Include | nodes.Import | nodes.FromImport | nodes.Extends, scope: Scope) -> None:
    evaluate(node.template, scope)
    scope.flow.report("critical", msg(
        "The chat template loads another template: {name}.", name=type(node).__name__.lower()), node)  # fmt: skip


_STATEMENTS: Mapping[type[nodes.Node], Callable[[Any, Scope], None]] = {
    nodes.Assign: _set,
    nodes.AssignBlock: _set_block,
    nodes.If: _if,
    nodes.For: _for,
    nodes.Macro: _macro,
    nodes.CallBlock: _call_block,
    nodes.FilterBlock: _filter_block,
    nodes.With: _with,
    nodes.Block: _block,
    nodes.Scope: _scope,
    nodes.Include: _loads,
    nodes.Import: _loads,
    nodes.FromImport: _loads,
    nodes.Extends: _loads,
}
