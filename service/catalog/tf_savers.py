"""Operations that save and restore variables: where they are the saver's that every SavedModel has, and where not.

A saver is called by whoever saves or loads, with a path of theirs. The same operations on a path of the graph's own, in
a function that answers requests, or in one that nobody calls a saver, read and write files of the host.
Sources: tensorflow/core/protobuf/saver.proto, tensorflow/python/saved_model/save.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from service.parsers.protobuf import BYTES, Field, bytes_of, message
from service.parsers.tensorflow_graph import MetaGraph
from service.parsers.tensorflow_nodes import Listed, Node, any_node, function_nodes, last_text
from service.parsers.tensorflow_operations import Used
from service.source import Source

WRITING = frozenset({"SaveV2", "Save", "SaveSlices", "MergeV2Checkpoints"})
READING = frozenset({"RestoreV2", "Restore", "RestoreSlice"})
NAMING = frozenset({"ShardedFilename"})
OPERATIONS = WRITING | READING | NAMING

_OUTSIDE = re.compile(r"^/(?!part\Z)|^~|(^|/)\.\.(/|\Z)|^[A-Za-z]:[\\/]|^[A-Za-z][A-Za-z0-9+.-]*://")
"""Paths that are not below the one that the saver is given."""
_GIVEN = re.compile(r"(?:.*/)?(?:Const|filename)\Z")
"""How TF 1 names the path of a saver, which whoever saves replaces."""
_MOST_STEPS = 1000
_MOST_TEXT = 4096
_READ_WHOLE = 4096
"""A longer node in a function is asked what it is, before all of it is searched for a name."""
_INITIAL = frozenset({"saved_model_main_op", "legacy_init_op", "saved_model_init_op"})
"""Collections that name what runs when a model is loaded."""


@dataclass(slots=True)
class _Functions:
    """What is known of the functions that a saver calls: their nodes, and which of them others call too."""

    nodes: dict[str, dict[str, Node]] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)


def suspects(source: Source, graph: Listed, said: MetaGraph | None, used: Sequence[Used]) -> Iterator[tuple[str, str]]:
    """Place and operation of those among `used` that are no saver's. `said` is what stands about the graph, if any."""
    found = [one for one in used if one.op in OPERATIONS]
    if not found:
        return
    nodes = {node.name: node for node in graph.nodes}
    inner = {one.place for one in found if one.within == "function"}
    savers, restorers = _called(source, nodes, said, inner)
    functions = _functions(source, graph, said, {*savers, *restorers})
    served = _served(source, nodes, said) if said is not None else set()
    if not served.isdisjoint(_own(said)):
        functions.shared |= functions.nodes.keys()
    for one in found:
        if one.within == "text":
            yield one.place, one.op
        elif one.within == "function":
            writes_on_restoring = one.op in WRITING and one.place in restorers
            known = one.place in functions.nodes and one.place not in functions.shared
            if not known or writes_on_restoring or not _all_given(source, functions.nodes[one.place], one.op):
                yield one.place, one.op
        elif one.place in served or (one.op not in READING and not _is_given(source, nodes, nodes[one.place])):
            yield one.place, one.op


# Which functions are a saver's


def _called(
    source: Source, nodes: Mapping[str, Node], said: MetaGraph | None, inner: set[str]
) -> tuple[set[str], set[str]]:
    """Of the functions `inner` those that the saver's own nodes call: to save, to restore."""
    save, restore = (nodes.get(name) for name in _own(said) or ("", ""))
    return _named(source, save, inner), _named(source, restore, inner)


def _own(said: MetaGraph | None) -> tuple[str, ...]:
    """The saver's two nodes, to save and to restore; none where there is no saver."""
    if said is None or said.saver is None:
        return ()
    return node_name(said.saver.save), node_name(said.saver.restore)


def _named(source: Source, node: Node | None, functions: Iterable[str]) -> set[str]:
    """Which of the functions an attribute of the node names."""
    if node is None:
        return set()
    long = (source.read_at(place.offset, place.length) for place in node.places)
    held = [*node.attributes, *long]
    return {name for name in functions if any(_written(name) in attribute for attribute in held)}


def _written(name: str) -> bytes:
    """How a call writes the name: field 1 of a NameAttrList."""
    data = name.encode()
    size, length = len(data), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return b"\x0a" + length + bytes([size]) + data


def _functions(source: Source, graph: Listed, said: MetaGraph | None, names: set[str]) -> _Functions:
    """The nodes of the functions called `names`, and those of them that anything but the saver calls."""
    known = _Functions({name: {} for name in names})
    if not names:
        return known
    own = _own(said)
    for node in graph.nodes:
        if node.name not in own:
            known.shared |= _named(source, node, names)
    written = {name: _written(name) for name in names}
    for function, place in function_nodes(source, graph):
        if place.length > _READ_WHOLE and last_text(source, place, 2) == "Const":
            data = b""  # its value is no call
        else:
            data = source.read_at(place.offset, place.length)
        known.shared |= {name for name, call in written.items() if call in data}
        if function in names:
            node = any_node(source, place)
            known.nodes[function][node.name] = node
    return known


# Where a path comes from


def _all_given(source: Source, nodes: Mapping[str, Node], op: str) -> bool:
    return all(_is_given(source, nodes, node) for node in nodes.values() if node.op == op)


def _is_given(source: Source, nodes: Mapping[str, Node], node: Node) -> bool:
    """Whether the path of a saving operation is what the saver is given, with nothing in it that leads elsewhere."""
    given = False
    waiting = list(node.inputs[:2] if node.op == "MergeV2Checkpoints" else node.inputs[:1])
    seen: set[str] = set()
    while waiting and len(seen) < _MOST_STEPS:
        name = node_name(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        at = nodes.get(name)
        if at is None or at.op.startswith("Placeholder"):
            given = True
        elif at.op == "Const":
            if _leads_outside(source, at):
                return False
            given = given or _GIVEN.match(at.name) is not None
        else:
            waiting.extend(one for one in at.inputs if not one.startswith("^"))
    return given and not waiting


def _leads_outside(source: Source, node: Node) -> bool:
    texts: tuple[Field, ...] = node.constant.texts if node.constant is not None else ()
    return any(
        one.length > _MOST_TEXT or _OUTSIDE.search(bytes_of(source, one, _MOST_TEXT).decode("utf-8", "replace"))
        for one in texts
    )


# What answers requests, or runs when the model is loaded


def _served(source: Source, nodes: Mapping[str, Node], said: MetaGraph) -> set[str]:
    """Nodes that a signature, or what runs at loading, needs."""
    waiting = [one.tensor for signature in said.signatures for one in signature.outputs]
    for name in _INITIAL & said.collections.keys():
        waiting.extend(_members(source, said.collections[name]))
    seen: set[str] = set()
    while waiting:
        name = node_name(waiting.pop())
        if name in nodes and name not in seen:
            seen.add(name)
            waiting.extend(nodes[name].inputs)
    return seen


def _members(source: Source, collection: Field) -> Iterator[str]:
    """Names in a list of nodes."""
    for kind in message(source, collection):
        if kind.number == 1 and kind.wire == BYTES:
            for item in message(source, kind):
                if item.number == 1 and item.wire == BYTES and item.length <= _MOST_TEXT:
                    yield bytes_of(source, item, _MOST_TEXT).decode("utf-8", "replace")


def node_name(tensor: str) -> str:
    """`save/Const` of `save/Const:0`, `^save/Const` and a function's `save/Const:output:0`."""
    return tensor.removeprefix("^").partition(":")[0]
