"""An ONNX graph node by node: layers in order with what feeds what, through subgraphs and functions; knows no upload.

Constants, and what only passes constants on (Identity, Cast, Transpose, DequantizeLinear), are no layers of their own:
what they hold belongs to the layer that uses it. A function's body is told once, where it is first called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from service.catalog.onnx_constants import Const, Value
from service.catalog.onnx_drawing import Drawing, holder_of, layer_of
from service.catalog.onnx_layers import shapes_of
from service.catalog.onnx_moving import SCALED
from service.catalog.onnx_ops import STANDARD_DOMAINS, free_role
from service.catalog.onnx_passing import constant, passed
from service.catalog.onnx_plans import Plan
from service.catalog.onnx_runtime import reach_of
from service.catalog.onnx_scopes import Key, Scope, Step
from service.catalog.onnx_types import name_of
from service.catalog.onnx_weights import placed, weight_of
from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.onnx import graph_of
from service.parsers.onnx_messages import Attribute, Function, Graph, Node
from service.plain import text
from service.tree import Layer, Weight

_MAX_DEPTH = 64


class Frame(NamedTuple):
    """A graph being walked; `outputs` are the names of a function's results and what the caller calls them."""

    scope: Scope
    nodes: Iterator[Node]
    depth: int
    outputs: tuple[tuple[str, str], ...] = ()
    caller: Scope | None = None
    path: str = ""


def draw(drawing: Drawing, graph: Graph) -> tuple[Scope, Graph]:
    """Walks the main graph; the scope tells what its outputs come from. Gives back the graph without its tensors."""
    scope = Scope("")
    _enter(drawing, scope, graph)
    graph = graph._replace(initializers=(), sparse=(), values=())
    for one in graph.inputs:
        if one.name not in scope.values:
            path = drawing.paths.place("", one.name, "input")
            value = Value((path,), one.shape, name_of(one.type))
            scope.values[one.name] = value
            drawing.add(_input(path, value))
    _walk(drawing, Frame(scope, iter(graph.nodes), 1))
    for key, function in drawing.functions.items():
        if key not in drawing.first:
            _walk(drawing, _uncalled(drawing, key, function))
    unused = [const for const in drawing.constants if const.owner.path is None]
    drawing.check(len(unused))
    for const in unused:
        if const.owner.path is None:  # two of them may be the same bytes
            drawing.add(_unused(drawing, const))
    return scope, graph._replace(nodes=())


def _input(path: str, value: Value) -> Layer:
    parent, _, name = path.rpartition("/")
    return Layer(
        path=path, parent=parent or None, name=name, kind="input", type="Input", type_source="rule",
        config={"dtype": value.dtype} if value.dtype else {}, inputs=(), uses=1,
        output_shapes=None if value.shape is None else (value.shape,),
    )  # fmt: skip


def _unused(drawing: Drawing, const: Const) -> Layer:
    path = drawing.paths.place("", const.name or "", "constant")
    parent, _, name = path.rpartition("/")
    weight = weight_of(path, name, free_role("", const.dtype, const.count), const, drawing.trained)
    return Layer(
        path=path, parent=parent or None, name=name, kind="parameter", type_source="unknown", inputs=(),
        weights=(weight,), notes=(msg("No node of the graph uses it."),),
    )  # fmt: skip


def _enter(drawing: Drawing, scope: Scope, graph: Graph) -> None:
    """Puts the initializers of a graph and what it tells of sizes into its scope."""
    store = drawing.store
    drawing.paths.reserve(scope.prefix, (node.name for node in graph.nodes))
    found = [(one.name, store.of(one, one.name)) for one in graph.initializers]
    for one in graph.sparse:
        name = one.values.name if one.values is not None else ""
        found.append((name, store.sparse(one, name)))
    meant = dict(found)
    for name, const in found:
        if name and meant[name] is not const:  # ONNX Runtime takes the last, too
            drawing.repeated.append(name)
            continue
        drawing.constants.append(const)
        scope.values[name] = constant(const)
    for named in (*graph.values, *graph.inputs, *graph.outputs):
        scope.told[named.name] = (named.type, named.shape)


def _walk(drawing: Drawing, frame: Frame) -> None:
    stack = [frame]
    while stack:
        frame = stack[-1]
        node = next(frame.nodes, None)
        if node is None:
            stack.pop()
            for inner, outer in frame.outputs:
                if frame.caller is not None and outer:
                    value = frame.scope.find(inner) or Value()
                    frame.caller.values[outer] = value._replace(paths=(frame.path,)) if value.view is None else value
            continue
        if frame.depth > _MAX_DEPTH:
            raise LimitExceeded("subgraphs", _MAX_DEPTH, msg("Graphs are nested too deeply."), offset=node.offset)
        stack.extend(reversed(_visit(drawing, frame.scope, node, frame.depth)))


def _visit(drawing: Drawing, scope: Scope, node: Node, depth: int) -> list[Frame]:
    """One node: a value passed on, a call, or a layer; the graphs inside it that are to be walked next."""
    known = scope.values.get
    ins = tuple([known(name) or scope.find(name) for name in node.inputs])
    step = Step(scope, node, _resolved(scope, node), ins, depth)
    if node.domain in STANDARD_DOMAINS:
        value = passed(drawing.store, step)
        if value is not None:
            return _pass_on(drawing, step, value)
    if step.key in drawing.functions:
        return _call(drawing, step)
    path = drawing.paths.place(scope.prefix, node.name, node.op)
    _note_reach(drawing, step, path)
    if node.op in SCALED:
        _look(drawing, ins)
    plan = drawing.plans.of(step)
    held = [(share, share.const(ins)) for share in plan.shares]
    weights = tuple([placed(path, share.weight, const) for share, const in held if const is not None])
    if scope.function is not None:
        _remember(drawing, step, plan)
    for name, (_, shape, dtype, ints, _) in zip(node.outputs, plan.outs, strict=True):
        if name:
            scope.values[name] = tuple.__new__(Value, ((path,), shape, dtype, ints, None))
    drawing.add(layer_of(step, path, plan, weights))
    return _inner(drawing, step, path) if node.attributes.holds_graphs or node.attributes.refers else []


def _note_reach(drawing: Drawing, step: Step, path: str) -> None:
    """Remember an operator that does more than compute; a function of the file itself is no library's."""
    reach = reach_of(step.node.domain, step.node.op, step.attributes)
    if reach is not None and (reach.kind != "custom" or step.key not in drawing.functions):
        first, count = drawing.reaching.get(reach, (path, 0))
        drawing.reaching[reach] = first, count + 1


def _look(drawing: Drawing, ins: tuple[Value | None, ...]) -> None:
    for value in ins:
        if value is not None and value.view is not None:
            drawing.store.look(value.view.const)


def _pass_on(drawing: Drawing, step: Step, value: Value) -> list[Frame]:
    drawing.passed += 1
    if step.node.op == "Constant" and value.view is not None:
        drawing.constants.append(value.view.const)
    step.scope.values[step.node.outputs[0]] = value
    return []


def _resolved(scope: Scope, node: Node) -> Mapping[str, Attribute]:
    """A node's attributes; those that stand for one of the function's own are looked up in its call."""
    if not node.attributes.refers:
        return node.attributes.by_name
    found: dict[str, Attribute] = {}
    for one in node.attributes.listed:
        given = scope.given.get(one.reference) if one.reference else one
        if given is not None:
            found[one.name] = given
    return found


def _remember(drawing: Drawing, step: Step, plan: Plan) -> None:
    """What inputs of functions are used for, so that later calls can say it of theirs."""
    for share in plan.shares:
        value = step.ins[share.place]
        for formal in value.view.formals if value is not None and value.view is not None and not share.part else ():
            drawing.formals.setdefault(formal, (share.weight.role, share.weight.layout))


def _inner(drawing: Drawing, step: Step, path: str) -> list[Frame]:
    """The graphs in a node's attributes; their inputs are what the node gets, in order."""
    scope, ins = step.scope, step.ins
    found: list[Frame] = []
    several = [(name, one) for name, one in step.attributes.items() if one.graphs]
    drawing.check(sum(len(one.graphs) for _, one in several))  # each of them is a layer at least
    for name, one in sorted(several, key=lambda held: held[0] != "then_branch"):
        for index, inner in enumerate(one.graphs):
            graph = graph_of(drawing.store.reading, inner)
            drawing.holders.add(path)
            holder = drawing.paths.place(path, name if len(one.graphs) == 1 else f"{name}_{index}", "graph")
            inside = Scope(holder, scope, function=scope.function, active=scope.active, given=scope.given)
            _enter(drawing, inside, graph)
            for position, formal in enumerate(graph.inputs):
                given = ins[position] if position < len(ins) else None
                sources = given.paths if given is not None else ()
                inside.values.setdefault(formal.name, Value(sources, formal.shape, name_of(formal.type)))
            found.append(Frame(inside, _opened(drawing, holder, graph), step.depth + 1))
    return found


def _opened(drawing: Drawing, holder: str, graph: Graph) -> Iterator[Node]:
    """The nodes of a subgraph, after the container that holds them."""
    drawing.add(holder_of(holder))
    drawing.holders.add(holder)
    yield from graph.nodes


# Functions


def _call(drawing: Drawing, step: Step) -> list[Frame]:
    scope, node, ins, key = step.scope, step.node, step.ins, step.key
    function = drawing.functions[key]
    if key in scope.active:
        raise MalformedFile(
            msg("The function {name} calls itself, directly or through others.", name=text(node.op, 200)),
            offset=node.offset,
        )
    path = drawing.paths.place(scope.prefix, node.name, node.op)
    _note_reach(drawing, step, path)  # a runtime may take its own operator before the function of the same name
    outs = [Value((path,), scope.told.get(name, (0, None))[1]) for name in node.outputs]
    scope.values.update((name, value) for name, value in zip(node.outputs, outs, strict=True) if name)
    if key in drawing.first:
        drawing.add(_again(drawing, step, path, outs))
        return []
    drawing.add(layer_of(step, path, _told(drawing, step, "container", outs), ()))
    inside = _body(drawing, key, path, step.attributes, scope.active)
    for formal, given in zip(function.body.inputs, (*ins, *[None] * len(function.body.inputs)), strict=False):
        inside.values[formal.name] = _given(given, (key, formal.name))
    outputs = tuple(zip((one.name for one in function.body.outputs), node.outputs, strict=False))
    return [Frame(inside, iter(function.body.nodes), step.depth + 1, outputs, scope, path)]


def _body(drawing: Drawing, key: Key, path: str, attributes: Mapping[str, Attribute], active: frozenset[Key]) -> Scope:
    drawing.first[key] = path
    drawing.holders.add(path)
    inside = Scope(path, function=key, active=active | {key}, given=attributes)
    _enter(drawing, inside, drawing.functions[key].body)
    return inside


def _given(value: Value | None, formal: tuple[object, str]) -> Value | None:
    if value is None or value.view is None:
        return value
    return value._replace(view=value.view._replace(formals=(*value.view.formals, formal)))


def _again(drawing: Drawing, step: Step, path: str, outs: list[Value]) -> Layer:
    """A later call: the body is told where it is first called, what it is given is told here."""
    key = step.key
    named = zip(drawing.functions[key].body.inputs, step.ins, strict=False)
    weights: list[Weight] = []
    for formal, value in named:
        if value is not None and value.view is not None:
            const = value.view.const
            role, _ = drawing.formals.get((key, formal.name), (free_role("", const.dtype, const.count), None))
            weights.append(weight_of(path, formal.name, role, const, drawing.trained))
    layer = layer_of(step, path, _told(drawing, step, "operation", outs), tuple(weights))
    return layer if weights else msgspec.structs.replace(layer, shared_with=drawing.first[key])


def _told(drawing: Drawing, step: Step, kind: str, outs: list[Value]) -> Plan:
    """A call, of which nothing follows by rule."""
    return Plan(kind, (), tuple(outs), drawing.plans.config(step), shapes_of(step.ins), shapes_of(outs))


def _uncalled(drawing: Drawing, key: Key, function: Function) -> Frame:
    path = drawing.paths.place("", function.name, "function")
    drawing.add(
        Layer(
            path=path, parent=path.rpartition("/")[0] or None, name=path.rpartition("/")[2], kind="container",
            type=function.name or None, module=function.domain or None,
            notes=(msg("No node of the graph calls this function."),),
        )
    )  # fmt: skip
    inside = _body(drawing, key, path, {}, frozenset())
    for formal in function.body.inputs:
        inside.values.setdefault(formal.name, Value())
    return Frame(inside, iter(function.body.nodes), 1)
