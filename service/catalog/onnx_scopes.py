"""Names within an ONNX model: which value a name means where, and a readable, unique path for every node.

A subgraph sees the names around it, a function only its own. Exporters write the module a node came from into its
name (`/layer1/conv1/Conv`), so that names with `/` give the tree. Knows names; knows no operator.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from service.catalog.onnx_constants import Value
from service.parsers.onnx_messages import Attribute, Node
from service.tree import Shape

Key = tuple[str, str, str]
"""Domain, name and overload of a function."""
_MAX_STEPS = 24
"""Most steps of a path that one name may make."""
_MAX_PATH = 1000
"""Longest path, in characters, below that of another layer: what is nested deep gets short names."""


@dataclass(slots=True)
class Scope:
    """The names of one graph.

    Attributes:
        prefix: Path of the layer that holds this graph, "" at the top.
        outer: The scope around it, None for the main graph and for functions.
        values: What names mean here; None for an input of a function that the call leaves out.
        told: Element type and sizes as the graph states them.
        function: The function whose body this is (also within its subgraphs), None in the main graph.
        active: Functions that are being called here, itself included.
        given: Attributes of the call, for those that the body refers to.
    """

    prefix: str
    outer: Scope | None = None
    values: dict[str, Value | None] = field(default_factory=dict)
    told: dict[str, tuple[int, Shape | None]] = field(default_factory=dict)
    function: Key | None = None
    active: frozenset[Key] = frozenset()
    given: Mapping[str, Attribute] = field(default_factory=dict)

    def find(self, name: str) -> Value | None:
        """What a name means here; None for the name of an input left out, an empty value for one nobody makes."""
        if not name:
            return None
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.outer
        return Value()


class Step(NamedTuple):
    """A node where it stands: its attributes and inputs as they mean there, and how deep in other graphs it is."""

    scope: Scope
    node: Node
    attributes: Mapping[str, Attribute]
    ins: tuple[Value | None, ...]
    depth: int

    @property
    def key(self) -> Key:
        """By which a function is found."""
        return self.node.domain, self.node.op, self.node.overload


@dataclass(slots=True)
class Paths:
    """Paths that are taken, and those that hold others."""

    taken: set[str] = field(default_factory=set)
    holders: set[str] = field(default_factory=set)
    numbers: dict[str, int] = field(default_factory=dict)

    def reserve(self, prefix: str, names: Iterable[str]) -> None:
        """Note which paths will hold others once all nodes of these names are placed below `prefix`."""
        for name in names:
            if "/" in name:
                parent = _path(prefix, name).rpartition("/")[0]
                while len(parent) > len(prefix) and parent not in self.holders:
                    self.holders.add(parent)
                    parent = parent.rpartition("/")[0]

    def place(self, prefix: str, name: str, op: str) -> str:
        """A free path for a node; one without a name is called by its operator and a number."""
        own = _path("", name)
        if not own or (prefix and len(prefix) + len(name) > _MAX_PATH):
            return self._free(f"{prefix}/{op or 'node'}" if prefix else op or "node", numbered=True)
        path = f"{prefix}/{own}" if prefix else own
        return self._free(f"{path}/{op or 'node'}" if path in self.holders else path)

    def _free(self, path: str, *, numbered: bool = False) -> str:
        found = path
        while numbered or found in self.taken or found in self.holders:
            count = self.numbers.get(path, 0 if numbered else 1) + 1
            self.numbers[path] = count
            found, numbered = f"{path}_{count}", False
        self.taken.add(found)
        return found


def _path(prefix: str, name: str) -> str:
    """The path that a name gives below `prefix`; of several names that TensorFlow Lite joined with `;` the first does.

    Empty steps are none, and beyond the most that there may be the rest is one.
    """
    path = name.partition(";")[0].strip("/") if ";" in name else name.strip("/")
    if "//" in path or path.count("/") >= _MAX_STEPS:
        steps = [step for step in path.split("/") if step]
        if len(steps) > _MAX_STEPS:
            steps = [*steps[: _MAX_STEPS - 1], ".".join(steps[_MAX_STEPS - 1 :])]
        path = "/".join(steps)
    return f"{prefix}/{path}" if prefix and path else prefix or path
