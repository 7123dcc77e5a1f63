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
_MAX_DEPTH = 200
_MAX_SOURCES = 200
_MAX_RANK = 64
_MAX_DIMENSION = 2**63 - 1
_MAX_ARGUMENT_NODES = 20_000


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


@dataclass(slots=True)
class Graph:
    """Modules in the order of their first call, and the operations that ran in no module's leaf."""

    modules: dict[str, Seen] = field(default_factory=dict)
    operations: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Node:
    """One operation: tensors in and out, the calls it ran in (key -> module path), and the innermost module."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scopes: Mapping[str, str]
    inner: str


def read_graph(graph: Mapping[str, Any], weights: frozenset[str]) -> Graph:
    """Modules, edges and boundary tensors of a graph; `weights` are the placeholders that are no inputs."""
    found = Graph()
    nodes = [_node(found, node) for node in _dicts(graph.get("nodes"))]
    producers = {name: node for node in nodes for name in node.outputs}
    sources = _sources(nodes, found)
    for node in nodes:
        for name in node.inputs:
            if name not in weights:
                _cross(found, name, producers.get(name), node, sources.get(name, ()))
    for name in _tensor_names(graph.get("outputs")):
        if name in producers:
            _leave(found, name, producers[name], frozenset())
    return found


def _node(found: Graph, node: Mapping[str, Any]) -> _Node:
    metadata = node.get("metadata")
    stack = metadata.get("nn_module_stack") if isinstance(metadata, dict) else None
    scopes: dict[str, str] = {}
    inner = ""
    for key, inner, kind in _stack(stack) if isinstance(stack, str) else ():
        scopes[key] = inner
        found.modules.setdefault(inner, Seen(inner, kind)).calls.setdefault(key)
    if inner in found.modules:
        found.modules[inner].nodes.append(node)
    target = node.get("target")
    found.operations[target if isinstance(target, str) else "?"] += 1
    return _Node(tuple(_tensor_names(node.get("inputs"))), tuple(_tensor_names(node.get("outputs"))), scopes, inner)


def _stack(text: str) -> Iterator[tuple[str, str, str]]:
    """(key of the call, path, class) of each module in a stack, outermost first."""
    for item in text.split(";")[:_MAX_DEPTH]:
        parts = item.split(",", 2)
        if len(parts) == 3:
            yield parts[0], _CALL.sub("", _OLD_ROOT.sub("", parts[1])), parts[2]


def _sources(nodes: list[_Node], found: Graph) -> dict[str, tuple[str, ...]]:
    """Tensor -> the leaf layers it comes from; operations between layers are looked through."""
    parents = {path.rpartition(".")[0] for path in found.modules if path}
    sources: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        if node.inner and node.inner not in parents:
            origin: tuple[str, ...] = (node.inner,)
        else:
            origin = tuple(dict.fromkeys(path for name in node.inputs for path in sources.get(name, ())))[:_MAX_SOURCES]
        sources.update(dict.fromkeys(node.outputs, origin))
    return sources


def _cross(found: Graph, name: str, producer: _Node | None, consumer: _Node, origin: Iterable[str]) -> None:
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


def _leave(found: Graph, name: str, producer: _Node, staying: Iterable[str]) -> None:
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
    """Sizes of a tensor's meta data; None along an axis whose size is symbolic."""
    sizes = meta.get("sizes") if isinstance(meta, dict) else None
    if not isinstance(sizes, list):
        return None
    if len(sizes) > _MAX_RANK:
        raise LimitExceeded("rank", _MAX_RANK, msg("A tensor has {n} axes.", n=len(sizes)), value=len(sizes))
    return tuple(_size(size) for size in sizes)


def _size(value: Any) -> int | None:
    number = value.get("as_int") if isinstance(value, dict) else value
    if type(number) is not int:
        return None
    if number < 0:
        raise MalformedFile(msg("A tensor's size along one axis is negative."))
    if number > _MAX_DIMENSION:
        raise LimitExceeded("dimension", _MAX_DIMENSION, msg("A tensor's size along one axis is beyond 64 bits."))
    return number
