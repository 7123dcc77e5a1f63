"""An OpenVINO IR document into operations, ports and edges; knows the elements, not what an operation computes.

Versions 10 and 11 (`<data offset size element_type shape>` of a Const) and 2 to 7 (`<blobs>` with `<weights>` and
`<biases>`, or the two directly below a layer). Source: OpenVINO's documentation of the IR and `xml_deserialize_util`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.config import Limits
from service.errors import LimitExceeded, MalformedFile, UnsupportedFeature
from service.language import msg
from service.parsers.xml import CLOSE, OPEN, Tag, attributes, tags
from service.plain import text
from service.tree import Shape

MAX_RANK = 64
_BODIES = frozenset({"body", "then_body", "else_body"})
_OLD_BLOBS = frozenset({"weights", "biases"})
_INFORMATION = frozenset({"rt_info", "meta_data"})
_SKIPPED = frozenset({"input", "output", "edges"})
"""What comes into an operation is what goes out of the one before, so half of the document need not be looked at; what
goes out is the same for many; and edges are nearly always written in one way."""
_EDGE = r'\s*+<edge from-layer="(\d{1,19})" from-port="(\d{1,19})" to-layer="(\d{1,19})" to-port="(\d{1,19})"\s*+/>'
_EDGES = re.compile(rf"(?:{_EDGE})*\s*+", re.ASCII)
_ONE_EDGE = re.compile(_EDGE, re.ASCII)
_MAX_FACTS = 200
_DIGITS = 19


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output: its number, element type and sizes; -1 in the file is an open size, None here."""

    number: int
    precision: str | None
    dims: Shape


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes of the `.bin` that an older IR lists below a layer."""

    name: str
    offset: int
    size: int
    precision: str | None


@dataclass(slots=True)
class Graph:
    """Operations in the order of the file, and which output feeds each input, both as (operation, port)."""

    ops: dict[int, Op] = field(default_factory=dict)
    edges: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)


@dataclass(slots=True)
class Op:
    """One `<layer>`: `data` are its attributes, `bodies` the graphs inside it by element name."""

    id: int
    name: str
    type: str
    version: str | None
    precision: str | None
    data: Mapping[str, str] = field(default_factory=dict)
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    blobs: list[Blob] = field(default_factory=list)
    bodies: dict[str, Graph] = field(default_factory=dict)


@dataclass(slots=True)
class Document:
    """One IR: its name, its version, its graph, and what `rt_info` or `meta_data` say of how it was made."""

    name: str | None
    version: str
    graph: Graph
    facts: dict[str, Any]


@dataclass(slots=True)
class _State:
    """Where in the document the reading stands."""

    content: str
    member: str | None
    limits: Limits
    known: dict[str, list[Port]] = field(default_factory=dict)
    """Outputs by how they are written."""
    facts: dict[str, Any] = field(default_factory=dict)
    graphs: list[Graph] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    made: int = 0
    all: list[Graph] = field(default_factory=list)

    def add(self, graph: Graph) -> None:
        """Begin a graph."""
        self.graphs.append(graph)
        self.all.append(graph)


def read_document(content: str, limits: Limits, member: str | None = None) -> Document:
    """The document in `content`.

    Raises:
        MalformedFile: Not an IR, a number that is none, an operation or port listed twice, an edge from nowhere.
        UnsupportedFeature: A version this reader does not know.
        LimitExceeded: More operations than one analysis may describe.
    """
    found = tags(content, max_depth=limits.json_depth, member=member, skipped=_SKIPPED)
    root = next(found)
    if root.name != "net" or root.kind == CLOSE:
        raise MalformedFile(msg("The XML document is no OpenVINO model: its root is not <net>."), member=member)
    head = attributes(root, member)
    version = head.get("version", "")
    if version not in {"2", "3", "4", "5", "6", "7", "10", "11"}:
        raise UnsupportedFeature(
            msg("This OpenVINO IR is of version {version}; 2 to 7, 10 and 11 are read.", version=text(version, 20)),
            member=member,
        )
    state = _State(content, member, limits)
    state.add(Graph())
    if root.kind == OPEN:
        _walk(found, state)
    for graph in state.all:
        _connect(graph, member)
    name = head.get("name")
    return Document(text(name, limits.text) if name else None, version, state.graphs[0], state.facts)


def _walk(found: Iterator[Tag], state: _State) -> None:
    for tag in found:
        name = tag.name
        if tag.kind == CLOSE:
            _close(state, name)
            continue
        handler = _HANDLERS.get(name)
        if state.path[-1:] == ["blobs"] or (name in _OLD_BLOBS and state.path[-1:] == ["layer"]):
            _blob(tag, state)
        elif handler is not None:
            handler(tag, state)
        elif name in _INFORMATION and tag.kind == OPEN and not state.ops:
            _information(found, state)
            continue
        if tag.kind == OPEN:
            state.path.append(name)


def _close(state: _State, name: str) -> None:
    if state.path:
        state.path.pop()
    if name == "layer" and state.ops and state.path[-1:] == ["layers"]:
        state.ops.pop()
    elif name in _BODIES and len(state.graphs) > 1:
        state.graphs.pop()


def _layer(tag: Tag, state: _State) -> None:
    if state.path[-1:] != ["layers"]:
        return
    given = attributes(tag, state.member)
    graph = state.graphs[-1]
    number = _number(given.get("id"), tag, state)
    state.made += 1
    if state.made > state.limits.weights:
        raise LimitExceeded(
            "weights", state.limits.weights, msg("The model has more operations than one analysis may describe."),
            member=state.member,
        )  # fmt: skip
    if number in graph.ops:
        raise MalformedFile(
            msg("Two operations have the number {number}.", number=number), member=state.member, offset=tag.at
        )
    op = Op(number, given.get("name") or str(number), given.get("type") or "", given.get("version"),
            given.get("precision"))  # fmt: skip
    graph.ops[number] = op
    if tag.kind == OPEN:
        state.ops.append(op)


def _data(tag: Tag, state: _State) -> None:
    if state.ops and state.path[-1:] == ["layer"]:
        state.ops[-1].data = attributes(tag, state.member)


def _ports(tag: Tag, state: _State) -> None:
    """The outputs of the layer that is open; those of a `port_map` lie deeper."""
    if state.ops and state.path[-1:] == ["layer"] and tag.text:
        found = state.known.get(tag.text)
        if found is None:
            found = state.known[tag.text] = _read_ports(tag, state)
        state.ops[-1].outputs = found


def _read_ports(output: Tag, state: _State) -> list[Port]:
    found: list[Port] = []
    dims: list[int | None] = []
    head: tuple[int, str | None] | None = None
    for tag in _inside(output, state):
        if tag.kind != CLOSE and tag.name == "dim":
            dims.append(_dim(tag, dims, state))
        elif tag.name == "port":
            head = _port_head(tag, state) if tag.kind != CLOSE else head
            if tag.kind == OPEN:
                dims = []
            elif head is not None:
                found.append(Port(*head, tuple(dims)))
                dims = []
    return found


def _inside(tag: Tag, state: _State) -> Iterator[Tag]:
    """The tags of an element that came as a leaf, itself the first."""
    return tags(state.content, max_depth=state.limits.json_depth, member=state.member, begin=tag.at)


def _edges(tag: Tag, state: _State) -> None:
    """`from-layer`/`to-layer`, in the graph that is open."""
    edges = state.graphs[-1].edges
    if _EDGES.fullmatch(tag.text) is not None:
        for source, port, target, into in _ONE_EDGE.findall(tag.text):
            edges[int(target), int(into)] = (int(source), int(port))
        return
    keys = ("from-layer", "from-port", "to-layer", "to-port")
    for one in _inside(tag, state):
        if one.name == "edge" and one.kind != CLOSE:
            given = attributes(one, state.member)
            source, port, target, into = (_number(given.get(key), one, state) for key in keys)
            edges[target, into] = (source, port)


def _body(tag: Tag, state: _State) -> None:
    if not state.ops or tag.kind != OPEN:
        return
    graph = Graph()
    state.ops[-1].bodies[tag.name] = graph
    state.add(graph)


def _connect(graph: Graph, member: str | None) -> None:
    """Gives every operation its inputs, which are the outputs that the edges lead from."""
    ports = {(op.id, port.number): port for op in graph.ops.values() for port in op.outputs}
    for (target, into), (source, out) in sorted(graph.edges.items()):
        if source not in graph.ops or target not in graph.ops:
            missing = source if source not in graph.ops else target
            raise MalformedFile(
                msg("An edge names the operation {number}, which is not there.", number=missing), member=member
            )
        port = ports.get((source, out))
        if port is not None:
            graph.ops[target].inputs.append(Port(into, port.precision, port.dims))


def _blob(tag: Tag, state: _State) -> None:
    """A child of `<blobs>`, or `<weights>`/`<biases>` directly below a layer."""
    if not state.ops:
        return
    given = attributes(tag, state.member)
    if "offset" not in given or "size" not in given:
        return
    offset, size = (_number(given[key], tag, state) for key in ("offset", "size"))
    state.ops[-1].blobs.append(Blob(tag.name, offset, size, given.get("precision")))


def _information(found: Iterator[Tag], state: _State) -> None:
    """What the model says of how it was made, as names and texts; read up to the end of the element."""
    where: list[str] = []
    for tag in found:
        if tag.kind == CLOSE:
            if not where:
                return
            where.pop()
            continue
        given = attributes(tag, state.member)
        name = "/".join([*where, given.get("name", tag.name)])
        if "value" in given and len(state.facts) < _MAX_FACTS:
            state.facts[text(name, 200)] = text(given["value"], 500)
        if tag.kind == OPEN:
            where.append(tag.name)


def _port_head(tag: Tag, state: _State) -> tuple[int, str | None]:
    given = attributes(tag, state.member)
    return _number(given.get("id", "0"), tag, state), given.get("precision")


def _dim(tag: Tag, dims: list[int | None], state: _State) -> int | None:
    size = tag.text.strip()
    if size in ("-1", "?"):
        return None
    if len(dims) >= MAX_RANK:
        raise LimitExceeded("rank", MAX_RANK, msg("A tensor has too many axes."), member=state.member, offset=tag.at)
    if not size.isascii() or not size.isdigit() or len(size) > _DIGITS or int(size) > state.limits.dimension:
        raise MalformedFile(msg("A size is not a number: {size}.", size=text(size, 40)), member=state.member,
                            offset=tag.at)  # fmt: skip
    return int(size)


def _number(value: str | None, tag: Tag, state: _State) -> int:
    given = (value or "").strip()
    if not given.isascii() or not given.isdigit() or len(given) > _DIGITS:
        raise MalformedFile(
            msg("The element {element} lacks a number it needs.", element=tag.name[:80]),
            member=state.member, offset=tag.at,
        )  # fmt: skip
    return int(given)


_HANDLERS: Mapping[str, Callable[[Tag, _State], None]] = {
    "layer": _layer,
    "data": _data,
    "output": _ports,
    "edges": _edges,
    **dict.fromkeys(_BODIES, _body),
}
