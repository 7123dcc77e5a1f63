"""Which constants an operation reads, through the operations that only turn a stored constant into the one it reads.

Knows the patterns of compressed weights: `Const (u8, i4, nf4 ...) -> Convert -> Subtract -> Multiply -> Reshape`,
halves that are converted on load, and `FakeQuantize` on a constant. Nothing is computed: a pattern is followed, not
folded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from service.catalog.openvino_graph import Graph, Op
from service.catalog.openvino_ops import RANGES, dtype_of
from service.tree import Shape, element_count

_FOLDED = frozenset({"Convert", "Subtract", "Multiply", "Reshape", "Transpose", "Unsqueeze", "Squeeze", "FakeQuantize",
                     "FakeConvert"})  # fmt: skip
_REORDERING = frozenset({"Transpose"})
_MAX_CHAIN = 16
_MAX_LEAVES = 16
_LONGEST = 1400
"""Characters of a `shape` with as many sizes, of as many digits, as are read."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One stored constant below an input.

    Attributes:
        op: The Const.
        part: value, scale, zero_point, range or control: what it is to the constant that is read.
        name: A word to tell several of one part from each other.
        shape: Sizes as the operation that reads it sees them; its own where its values are put in another order.
        reordered: Whether a Transpose lies between.
    """

    op: Op
    part: str
    name: str
    shape: Shape
    reordered: bool = False


@dataclass(slots=True)
class Constants:
    """A graph with what is constant in it, and who reads what."""

    graph: Graph
    constant: set[int] = field(default_factory=set)
    readers: dict[tuple[int, int], list[tuple[int, int]]] = field(default_factory=dict)
    feeds: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    """Operation -> (input, feeding operation, its output), by input."""
    leaves: dict[int, tuple[Leaf, ...]] = field(default_factory=dict)


def find_constants(graph: Graph) -> Constants:
    """`graph` with the operations that nothing but constants flows into, following the order of the file."""
    found = Constants(graph)
    for (target, into), source in graph.edges.items():
        found.readers.setdefault(source, []).append((target, into))
        found.feeds.setdefault(target, []).append((into, *source))
    for feeding in found.feeds.values():
        feeding.sort()
    for number, op in graph.ops.items():
        feeding = found.feeds.get(number, [])
        if op.type == "Const" or (
            op.type in _FOLDED and feeding and all(source in found.constant for _, source, _ in feeding)
        ):
            found.constant.add(number)
    return found


def leaves_of(found: Constants, number: int) -> tuple[Leaf, ...]:
    """The stored constants below the constant operation `number`: the values first, what goes with them after."""
    if number not in found.leaves:
        found.leaves[number] = tuple(_leaves(found, number))
    return found.leaves[number]


def _leaves(found: Constants, number: int) -> Iterator[Leaf]:
    pending = [(number, "value", "")]
    for _ in range(_MAX_LEAVES):
        if not pending:
            return
        start, part, name = pending.pop(0)
        chain, beside = _chain(found, start)
        end = found.graph.ops[chain[-1]]
        reordered = any(found.graph.ops[one].type in _REORDERING for one in chain)
        if end.type == "Const":
            yield Leaf(end, part, name, _shape(found.graph.ops[start], end, reordered), reordered)
        low = _is_low(end)
        pending.extend((one, _word(part, word, low), label) for one, word, label in beside)


def _chain(found: Constants, start: int) -> tuple[list[int], list[tuple[int, str, str]]]:
    """From an operation down its first inputs to the Const; and the other inputs met on the way."""
    chain = [start]
    beside: list[tuple[int, str, str]] = []
    for _ in range(_MAX_CHAIN):
        op = found.graph.ops[chain[-1]]
        if op.type == "Const":
            break
        feeding = found.feeds.get(chain[-1], [])
        beside.extend((source, *_beside(op.type, into)) for into, source, _ in feeding[1:])
        if not feeding:
            break
        chain.append(feeding[0][1])
    return chain, beside


def _beside(type_name: str, into: int) -> tuple[str, str]:
    if type_name == "Multiply":
        return "scale", "scale"
    if type_name == "Subtract":
        return "zero_point", "zero_point"
    if type_name == "FakeQuantize":
        return "range", RANGES[into] if into < len(RANGES) else "range"
    return ("range", "scale") if type_name == "FakeConvert" else ("control", type_name.lower())


def _word(part: str, word: str, low: bool) -> str:
    """A factor or shift of values that are stored in full is no scale of a quantisation."""
    if part not in ("value", "scale"):
        return "control" if word == "control" else part
    return word if low or word in ("range", "control") else "control"


def _is_low(op: Op) -> bool:
    dtype = dtype_of(op.data.get("element_type")) or ""
    return dtype.startswith(("int", "uint", "nf", "float8", "float4"))


def _shape(start: Op, end: Op, reordered: bool) -> Shape:
    own = shape_of(end)
    seen = start.outputs[0].dims if start.outputs else own
    same = element_count(seen) is not None and element_count(seen) == element_count(own)
    return seen if same and not reordered else own


def shape_of(op: Op) -> Shape:
    """Sizes of a Const: those of its `shape`, which its output port repeats."""
    written = op.data.get("shape")
    found = _sizes(written) if written is not None and len(written) <= _LONGEST else None
    if found is not None:
        return found
    return op.outputs[0].dims if op.outputs else ()


@lru_cache(maxsize=4096)
def _sizes(written: str) -> tuple[int, ...] | None:
    """The sizes as numbers; None where they are none. A model has many constants of few shapes."""
    sizes = [size.strip() for size in written.split(",")] if written.strip() else []
    if all(size.isascii() and size.isdigit() and len(size) < 20 for size in sizes) and len(sizes) <= 64:
        return tuple(int(size) for size in sizes)
    return None
