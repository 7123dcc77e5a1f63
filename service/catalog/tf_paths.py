"""Operations that read a file or run a graph that they are given: where that is an asset, and where the graph's own.

A table that is filled from a file is ordinary: the file is an asset of the model, whose path the loader puts in. The
same operation with a path that is written in the graph reads whatever file of the host that path names.
Knows where values come from; must not know files. Sources: tensorflow/core/ops/lookup_ops.cc, dataset_ops.cc,
candidate_sampling_ops.cc; tensorflow/core/protobuf/meta_graph.proto.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import NamedTuple

from service.catalog.tf_ops import VARIABLES, depends
from service.catalog.tf_savers import node_name
from service.parsers.protobuf import BYTES, Field, fields, message
from service.parsers.tensorflow_graph import MetaGraph, looks_like_graph
from service.parsers.tensorflow_nodes import MAX_NAME, Listed, Node, any_node, entry_of, function_nodes, last_text
from service.parsers.tensorflow_operations import Used
from service.parsers.tensorflow_tensor import Constant
from service.parsers.tensorflow_types import short_number
from service.source import BytesSource, Source

_SETTINGS = {"FixedUnigramCandidateSampler": "vocab_file"}
"""Operations whose path is a setting. The others have it as their second input, behind what is filled."""
_GRAPH = "DatasetFromGraph"
"""It runs the graph that its first input is."""

_OUTSIDE = re.compile(r"^[/\\~]|(^|[/\\])\.\.([/\\]|\Z)|^[A-Za-z]:[/\\]|^[A-Za-z][A-Za-z0-9+.-]*://")
"""Paths that are not within the folder in which a model happens to run."""
_PASSING = frozenset(
    {
        "Identity", "IdentityN", "ReadVariableOp", "Enter", "RefEnter", "RefIdentity", "StopGradient", "Snapshot",
        "PreventGradient", "PlaceholderWithDefault", "Switch", "RefSwitch", "Merge", "RefMerge", "Exit", "RefExit",
        "NextIteration", "EnsureShape", "Reshape", "Squeeze", "ExpandDims",
    }
)  # fmt: skip
"""Operations that give back what they are given: all of it, or the first."""
_MERGING = frozenset({"Merge", "RefMerge"})
_CALLERS = frozenset({"Placeholder", "PlaceholderV2", "_Arg"})
_ASSIGNING = frozenset({"Assign", "AssignVariableOp"})
_TEXTS = frozenset(
    {
        "StringJoin", "ReduceJoin", "StringFormat", "StringStrip", "StringLower", "StringUpper", "Substr", "AsString",
        "RegexReplace", "StaticRegexReplace", "DecodeBase64", "EncodeBase64", "DecodeCompressed", "UnicodeEncode",
        "UnicodeTranscode",
    }
)  # fmt: skip
"""Operations that make texts."""
_MOST_STEPS = 64
_STEPS_EACH = 8
"""From an asset it is a few; a call has many inputs."""
_DIGITS = 9
_MOST_TEXT = 4096
_MOST_LENGTH = 5
_TEXT = "string"
_READ_WHOLE = 4096
"""A longer node in a function is read by its attributes."""
_LONGEST = 1 << 24
"""A longer attribute is a constant or a program."""
_NAME = re.compile(rb"[\n\x12]")
"""Tags of the fields that hold a function's name: of a call in an attribute, and of a node's operation."""
_ASSETS = "saved_model_assets"
"""What TensorFlow 1 calls the collection of assets; later it is a field of its own."""


class _From(Flag):
    """Where a value can come from: whoever calls, a constant that leads outside, operations that make texts or others.

    A constant that leads nowhere adds nothing.
    """

    NOTHING = 0
    GIVEN = auto()
    OUTSIDE = auto()
    TEXTS = auto()
    COMPUTED = auto()
    OWN = OUTSIDE | TEXTS | COMPUTED


@dataclass(slots=True)
class _Scope:
    """The nodes of a graph (an empty name) or function, those whose value the loader puts in, what variables are given.

    An entry of `assigned` is a variable's node with the tensors that are assigned to it.
    """

    name: str
    nodes: dict[str, Node] = field(default_factory=dict)
    assets: frozenset[str] = frozenset()
    assigned: dict[str, list[str]] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        """One node more."""
        self.nodes[node.name] = node
        if node.op in _ASSIGNING and len(node.inputs) > 1:
            self.assigned.setdefault(node_name(node.inputs[0]), []).append(node.inputs[1])


def own(source: Source, graph: Listed, known: Sequence[Asset], used: Sequence[Used]) -> Iterator[tuple[str, str]]:
    """Place and operation of those among `used` whose path or graph is the graph's own; `known` are its assets."""
    found = [one for one in used if depends(one.op)]
    if not found:
        return
    main = _Scope("", assets=frozenset(one.node for one in known))
    for node in graph.nodes:
        main.add(node)
    functions = _functions(source, graph, {one.place for one in found if one.within == "function"})
    inner = {name: _by_operation(source, scope) for name, scope in functions.items()}
    waiting: list[Used] = []
    for one in found:
        if one.within == "text":
            where = _From.OUTSIDE
        elif one.within == "graph":
            where = _argument(source, main, main.nodes[one.place])
        else:
            where = inner[one.place][one.op]
        if where & _From.OWN:
            yield one.place, one.op
        elif where & _From.GIVEN and one.within == "function":
            waiting.append(one)
    handed = _handed(source, graph, main, {one.place for one in waiting}) if waiting else set()
    yield from ((one.place, one.op) for one in waiting if one.place in handed)


def _by_operation(source: Source, scope: _Scope) -> dict[str, _From]:
    """As `_argument`, for each such operation of a function."""
    found: dict[str, _From] = {}
    for node in scope.nodes.values():
        if depends(node.op):
            found[node.op] = found.get(node.op, _From.NOTHING) | _argument(source, scope, node)
    return found


def _argument(source: Source, scope: _Scope, node: Node) -> _From:
    """Where the path or graph comes from that an operation works on; a setting or graph is harmless or not."""
    if node.op in _SETTINGS:
        return _From.OUTSIDE if _setting(source, node) else _From.NOTHING
    if node.op == _GRAPH:
        return _From.OUTSIDE if _origin(source, scope, _inputs(node)[:1], graphs=True) else _From.NOTHING
    return _origin(source, scope, _inputs(node)[1:2])


def _setting(source: Source, node: Node) -> str:
    """The path among an operation's settings."""
    short = ((BytesSource(one, source.meter), Field(0, BYTES, 0, 0, len(one))) for one in node.attributes)
    for within, place in (*short, *((source, one) for one in node.places)):
        key, value = entry_of(within, place)
        if key == _SETTINGS[node.op] and value is not None:
            return last_text(within, value, 2)
    return ""


# Where a value comes from


def _inputs(node: Node) -> list[str]:
    return [one for one in node.inputs if not one.startswith("^")]


def _origin(source: Source, scope: _Scope, inputs: Sequence[str], *, graphs: bool = False) -> _From:
    """Of paths; with `graphs`, of graphs that are written as texts."""
    found, waiting, seen = _From.NOTHING, list(inputs), set[str]()
    while waiting:
        tensor = waiting.pop()
        name = node_name(tensor)
        node = scope.nodes.get(name)
        if tensor in seen:
            continue
        seen.add(tensor)
        if len(seen) > _MOST_STEPS + _STEPS_EACH * len(inputs):
            return found | _From.TEXTS
        if node is None or name in scope.assets or node.op in _CALLERS:
            found |= _From.GIVEN
        elif node.op == "Const":
            found |= _written(source, node, graphs=graphs)
        elif node.op in VARIABLES:
            waiting.extend(scope.assigned.get(name, ())[: 2 * _MOST_STEPS])
            found |= _From.NOTHING if name in scope.assigned else _From.GIVEN
        elif node.op in _PASSING:
            waiting.extend(_passed(node, tensor))
        else:
            found |= _From.TEXTS if node.op in _TEXTS else _From.COMPUTED
    return found


def _passed(node: Node, tensor: str) -> list[str]:
    """The inputs of a passing operation that one of its outputs can be; of too many no more than are too many."""
    first, count = 0, 1
    if node.op in _MERGING:
        count = 2 * _MOST_STEPS
    elif node.op == "IdentityN":
        output = tensor.rpartition(":")[2]
        first = int(output) if output.isdecimal() and len(output) < _DIGITS else 0
    return [one for one in node.inputs[first : first + count] if not one.startswith("^")]


def _written(source: Source, node: Node, *, graphs: bool) -> _From:
    """What a constant is: nothing of interest, or a path that leads outside, or no graph that was looked into."""
    if graphs:
        texts = node.constant.texts if node.constant is not None else ()
        known = bool(texts) and all(looks_like_graph(source, one) for one in texts)
    else:
        known = node.constant is None or not any(map(_OUTSIDE.search, _paths(source, node.constant)))
    return _From.NOTHING if known else _From.OUTSIDE


def _paths(source: Source, constant: Constant) -> Iterator[str]:
    """The texts of a constant; also one that is written as its memory is, behind its length."""
    begins = [(place, 0) for place in constant.texts]
    if constant.content is not None and constant.dtype == _TEXT:
        begins.append((constant.content, _length(source, constant.content)))
    for place, start in begins:
        data = source.read_at(place.offset + start, min(place.length - start, _MOST_TEXT))
        yield data.decode("utf-8", "replace")


def _length(source: Source, place: Field) -> int:
    """Bytes of the number that a text begins with."""
    try:
        return short_number(source.read_at(place.offset, min(place.length, _MOST_LENGTH)), 0)[1]
    except IndexError:
        return 0


# Who calls a function with it


def _handed(source: Source, graph: Listed, main: _Scope, functions: set[str]) -> set[str]:
    """Which of the functions a call hands a path of the graph's own, or hands one to a function that calls them."""
    names = {name.encode(): name for name, _ in function_nodes(source, graph)}
    calls: dict[str, set[str]] = {}
    for caller, place in function_nodes(source, graph):
        for callee in _of_place(source, place, names):
            calls.setdefault(callee, set()).add(caller)
    above = _reached(functions, calls)
    suspect: set[str] = set()
    for scope in (main, *_functions(source, graph, above).values()):
        for node in scope.nodes.values():
            callees = _of_node(source, node, names) & above
            if callees and _origin(source, scope, _inputs(node)) & (_From.OUTSIDE | _From.TEXTS):
                suspect |= callees
    below: dict[str, set[str]] = {}
    for callee in above:
        for caller in calls.get(callee, ()):
            below.setdefault(caller, set()).add(callee)
    return _reached(suspect, below) & functions


def _reached(begin: set[str], edges: Mapping[str, set[str]]) -> set[str]:
    """All that can be come to from there, and there."""
    found, waiting = set(begin), list(begin)
    while waiting:
        more = edges.get(waiting.pop(), set()) - found
        found |= more
        waiting.extend(more)
    return found


def _of_place(source: Source, place: Field, names: Mapping[bytes, str]) -> set[str]:
    """The functions that a node of a function calls."""
    if place.length > _READ_WHOLE:
        return _of_node(source, any_node(source, place), names)
    return _called(source.read_at(place.offset, place.length), names)


def _of_node(source: Source, node: Node, names: Mapping[bytes, str]) -> set[str]:
    """The functions that a node calls; a constant that holds a name is no call."""
    if node.op == "Const":
        return set()
    long = (source.read_at(place.offset, place.length) for place in node.places if place.length <= _LONGEST)
    called = {name for held in (*node.attributes, *long) for name in _called(held, names)}
    return called | {node.op} if node.op.encode() in names else called


def _called(data: bytes, names: Mapping[bytes, str]) -> set[str]:
    """Functions that are named in a node: as its operation, or as what an attribute is."""
    found: set[str] = set()
    for tag in _NAME.finditer(data):
        try:
            size, at = short_number(data, tag.end())
        except IndexError:
            continue
        name = names.get(data[at : at + size]) if size <= MAX_NAME else None
        if name is not None:
            found.add(name)
    return found


def _functions(source: Source, graph: Listed, names: set[str]) -> dict[str, _Scope]:
    """The nodes of the functions called `names`."""
    found = {name: _Scope(name) for name in names}
    for name, place in function_nodes(source, graph) if names else ():
        if name in names:
            found[name].add(any_node(source, place))
    return found


# What the loader puts in


class Asset(NamedTuple):
    """A file that comes with a model: its name below the folder of assets, and the node that stands for its path."""

    file: str
    node: str

    @property
    def leads_outside(self) -> bool:
        """Whether that is not below the folder at all."""
        return _OUTSIDE.search(self.file) is not None


def assets(source: Source, said: MetaGraph | None) -> list[Asset]:
    """Those of a graph in a SavedModel; who loads a graph of its own puts nothing in. Raises InputError."""
    around = _around(source, said.graph) if said is not None and said.graph is not None else None
    if said is None or around is None:
        return []
    places = [part for part in message(source, around) if part.number == 6]
    if not places and _ASSETS in said.collections:
        kinds = [part for part in message(source, said.collections[_ASSETS]) if part.number == 5 and part.wire == BYTES]
        values = [part for kind in kinds for part in message(source, kind) if part.wire == BYTES]
        places = [part for value in values for part in message(source, value) if part.number == 2]
    return [Asset(last_text(source, place, 2), _tensor(source, place)) for place in places if place.wire == BYTES]


def _around(source: Source, graph: Field) -> Field | None:
    """The MetaGraphDef that a graph is in, where that is not the file itself."""
    for part in fields(source):
        if part.wire == BYTES and part.offset < graph.offset < part.offset + part.length:
            return part
    return None


def _tensor(source: Source, asset: Field) -> str:
    found = [part for part in message(source, asset) if part.number == 1 and part.wire == BYTES]
    return node_name(last_text(source, found[-1], 1)) if found else ""
