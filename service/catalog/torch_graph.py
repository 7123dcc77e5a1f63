"""The graph of an exported program seen by layer: order, calls, shapes in and out, what feeds what; knows no file.

A node's `nn_module_stack` names the modules it ran in, outermost first, as `key,path,class` joined by `;`
(torch/_export/serde/serialize.py). A module called again has `@1`, `@2` ... behind its key.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.tree import Shape

_CALL = re.compile(r"@\d+")
_OLD_ROOT = re.compile(r"\AL\['self'\]\.?")
_MONOMIAL = re.compile(
    r"(?:Mul\(Integer\((?P<factor>\d{1,18})\), (?=Symbol))?Symbol\('(?P<long>\w+)'[^()]*\)\)?"
    r"|(?:(?P<plain>\d{1,18})\*)?(?P<short>[a-z]\w*)"
)
"""`Mul(Integer(4), Symbol('s0', integer=True))`, or `4*s0` as older versions write it."""
_MAX_EXPRESSION = 500
_MAX_DEPTH = 200
_MAX_SOURCES = 200
_MAX_RANK = 64
_MAX_DIMENSION = 2**63 - 1
_MAX_ARGUMENT_NODES = 20_000
_NO_STACK = "_empty_nn_module_stack_from_metadata_hook"
"""What the exporter writes for an operation that it made itself, such as asking for a size: no module of the model."""


@dataclass(slots=True)
class Seen:
    """A module as the graph shows it: class, calls, tensors in and out of the first call, layers that feed it."""

    path: str
    type: str
    calls: dict[str, None] = field(default_factory=dict)
    inputs: dict[str, None] = field(default_factory=dict)
    outputs: dict[str, None] = field(default_factory=dict)
    feeders: dict[str, None] = field(default_factory=dict)
    nodes: list[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: its name, tensors in and out, the calls it ran in (key -> module path), the innermost module."""

    target: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scopes: Mapping[str, str]
    inner: str


@dataclass(slots=True)
class Graph:
    """Modules in the order of their first call, how often each operation runs, all of them in order, the results."""

    modules: dict[str, Seen] = field(default_factory=dict)
    operations: Counter[str] = field(default_factory=Counter)
    nodes: list[Node] = field(default_factory=list)
    results: tuple[str, ...] = ()

    def leaves(self) -> dict[str, Seen]:
        """Modules that no other module ran in."""
        parents = {path.rpartition(".")[0] for path in self.modules if path}
        return {path: seen for path, seen in self.modules.items() if path not in parents}


def read_graph(graph: Mapping[str, Any], weights: frozenset[str]) -> Graph:
    """Modules, edges and boundary tensors of a graph; `weights` are the placeholders that are no inputs."""
    found = Graph()
    found.nodes = [_node(found, node) for node in _dicts(graph.get("nodes"))]
    found.results = tuple(_tensor_names(graph.get("outputs")))
    producers = {name: node for node in found.nodes for name in node.outputs}
    sources = _sources(found)
    for node in found.nodes:
        for name in node.inputs:
            if name not in weights:
                _cross(found, name, producers.get(name), node, sources.get(name, ()))
    for name in found.results:
        if name in producers:
            _leave(found, name, producers[name], frozenset())
    return found


def _node(found: Graph, node: Mapping[str, Any]) -> Node:
    metadata = node.get("metadata")
    stack = metadata.get("nn_module_stack") if isinstance(metadata, dict) else None
    scopes: dict[str, str] = {}
    inner = ""
    for key, inner, kind in _stack(stack) if isinstance(stack, str) else ():
        scopes[key] = inner
        found.modules.setdefault(inner, Seen(inner, kind)).calls.setdefault(key)
    if inner in found.modules:
        found.modules[inner].nodes.append(node)
    given = node.get("target")
    target = given if isinstance(given, str) else "?"
    found.operations[target] += 1
    inputs, outputs = (tuple(_tensor_names(node.get(name))) for name in ("inputs", "outputs"))
    return Node(target, inputs, outputs, scopes, inner)


def _stack(text: str) -> Iterator[tuple[str, str, str]]:
    """(key of the call, path, class) of each module in a stack, outermost first."""
    for item in text.split(";")[:_MAX_DEPTH]:
        parts = item.split(",", 2)
        if len(parts) == 3 and parts[0] != _NO_STACK:
            yield parts[0], _CALL.sub("", _OLD_ROOT.sub("", parts[1])), parts[2]


def _sources(found: Graph) -> dict[str, tuple[str, ...]]:
    """Tensor -> the leaf layers it comes from; operations between layers are looked through."""
    leaves = found.leaves()
    sources: dict[str, tuple[str, ...]] = {}
    for node in found.nodes:
        if node.inner and node.inner in leaves:
            origin: tuple[str, ...] = (node.inner,)
        else:
            origin = tuple(dict.fromkeys(path for name in node.inputs for path in sources.get(name, ())))[:_MAX_SOURCES]
        sources.update(dict.fromkeys(node.outputs, origin))
    return sources


def _cross(found: Graph, name: str, producer: Node | None, consumer: Node, origin: Iterable[str]) -> None:
    """A tensor goes from one node to another: into the scopes only the consumer is in, out of the producer's."""
    before = producer.scopes if producer is not None else {}
    for raw, path in consumer.scopes.items():
        if raw in before or not path:
            continue
        seen = found.modules[path]
        if raw == next(iter(seen.calls)):
            seen.inputs.setdefault(name)
        for feeder in origin:
            if feeder != path and not feeder.startswith(f"{path}."):
                seen.feeders.setdefault(feeder)
    if producer is not None:
        _leave(found, name, producer, consumer.scopes.keys())


def _leave(found: Graph, name: str, producer: Node, staying: Iterable[str]) -> None:
    stays = frozenset(staying)
    for raw, path in producer.scopes.items():
        seen = found.modules[path]
        if raw not in stays and path and raw == next(iter(seen.calls)):
            seen.outputs.setdefault(name)


# Arguments


def _tensor_names(value: Any) -> Iterator[str]:
    """Names of every tensor in an argument list, in order (`as_tensor`, `as_tensors`, `as_optional_tensors` ...)."""
    pending, seen = [value], 0
    while pending:
        item = pending.pop()
        seen += 1
        if seen > _MAX_ARGUMENT_NODES:
            raise LimitExceeded(
                "graph_arguments", _MAX_ARGUMENT_NODES, msg("A node of the graph has too many arguments.")
            )
        if isinstance(item, list):
            pending.extend(reversed(item))
        elif isinstance(item, dict):
            tensor = item.get("as_tensor")
            if isinstance(tensor, dict) and isinstance(tensor.get("name"), str):
                yield tensor["name"]
                continue
            pending.extend(reversed([part for part in _parts(item) if isinstance(part, (dict, list))]))


def _parts(item: Mapping[str, Any]) -> Iterator[Any]:
    tensors = item.get("as_tensors")
    if isinstance(tensors, list):
        yield [{"as_tensor": tensor} for tensor in tensors]
    yield from (part for key, part in item.items() if key not in ("as_tensors", "as_graph"))


def literals(node: Mapping[str, Any]) -> dict[str, Any]:
    """The plain arguments of an operation (`stride: [1, 1]`), tensors left out."""
    found: dict[str, Any] = {}
    for argument in _dicts(node.get("inputs")):
        name, value = argument.get("name"), argument.get("arg")
        if isinstance(name, str) and isinstance(value, dict) and len(value) == 1:
            kind, plain = next(iter(value.items()))
            if kind in ("as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_bools", "as_string"):
                found[name] = plain
    return found


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


# Sizes


def shape_of(meta: Any) -> Shape | None:
    """Sizes of a tensor's meta data; None along an axis whose size is symbolic.

    None altogether where the first axis is several times a symbol: it is not the batch, and would be read as that.
    """
    sizes = meta.get("sizes") if isinstance(meta, dict) else None
    if not isinstance(sizes, list):
        return None
    if len(sizes) > _MAX_RANK:
        raise LimitExceeded("rank", _MAX_RANK, msg("A tensor has {n} axes.", n=len(sizes)), value=len(sizes))
    first = symbolic_size(sizes[0]) if sizes else None
    if sizes and _size(sizes[0]) is None and (first is None or first[0] != 1):
        return None
    return tuple(_size(size) for size in sizes)


def symbolic_size(value: Any) -> tuple[int, str | None] | None:
    """A size as (factor, symbol): `4`, `s0` or `4*s0`; None for any other expression."""
    expression = value.get("as_expr") if isinstance(value, dict) else None
    written = expression.get("expr_str") if isinstance(expression, dict) else None
    if not isinstance(written, str):
        number = _size(value)
        return None if number is None else (number, None)
    found = _MONOMIAL.fullmatch(written[:_MAX_EXPRESSION])
    return None if found is None else (int(found["factor"] or found["plain"] or 1), found["long"] or found["short"])


def _size(value: Any) -> int | None:
    number = value.get("as_int") if isinstance(value, dict) else value
    if type(number) is not int:
        return None
    if number < 0:
        raise MalformedFile(msg("A tensor's size along one axis is negative."))
    if number > _MAX_DIMENSION:
        raise LimitExceeded("dimension", _MAX_DIMENSION, msg("A tensor's size along one axis is beyond 64 bits."))
    return number
