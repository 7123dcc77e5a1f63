"""What the operations of an exported program leave in memory: bytes kept for training, bytes alive at once.

Knows which operations of ATen only look at memory that is there (torch/_C view and in-place operations); no layer.
Sizes may hold one symbol, the batch: every amount is a pair, the fixed part and the part per example.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from service.catalog.torch_dtypes import EXPORT_TYPES, stored_bytes
from service.catalog.torch_graph import Graph, Node, symbolic_size

Amount = tuple[int, int]
"""(always, per example)."""

_NOTHING: Amount = (0, 0)
_MAX_AMOUNT = 2**62
_MAX_CORNERS = 32
_MAX_RANK = 64

_VIEWS = frozenset({
    "alias", "as_strided", "chunk", "detach", "diagonal", "expand", "expand_as", "imag", "movedim", "mH", "mT", "H",
    "adjoint", "narrow", "numpy_T", "permute", "real", "select", "slice", "split", "split_with_sizes", "squeeze",
    "swapaxes", "swapdims", "t", "T", "tensor_split", "transpose", "unbind", "unflatten", "unfold", "unsqueeze",
    "view", "view_as", "view_as_complex", "view_as_real", "dropout", "feature_dropout", "alpha_dropout",
})  # fmt: skip
"""Operations that return their input's memory, seen differently. A dropout does when it serves."""
_COPY_IF_NEEDED = frozenset({"contiguous", "flatten", "ravel", "reshape", "reshape_as"})
_CONVERSIONS = frozenset({"to", "type_as"})
_DROPOUTS = frozenset({"dropout", "feature_dropout", "alpha_dropout"})


class _Unknown(Exception):
    """A size that is not known."""


def activations(graph: Graph, values: Mapping[str, Any], weights: frozenset[str]) -> dict[str, Any]:
    """Tag of a program whose operations leave tensors that are no layer's output; empty where there are none.

    Returns:
        `kept_bytes`, `kept_elements`: Inputs and outputs of all operations, as [always, per example].
        `live_bytes`: The same pairs of every moment that may be the worst, which it is depends on the batch.
        `unknown`: Instead of all that, True where a size is open or an operation holds a graph of its own.
    """
    made = _Made(values, _entering(graph, weights), weights)
    allocated = {name for node in graph.nodes for name in made.run(node)}
    of_layers = {name for seen in graph.leaves().values() for name in seen.outputs}
    if allocated <= of_layers:
        return {}
    try:
        return {"activations": _amounts(graph, made)}
    except _Unknown:
        return {"activations": {"unknown": True}}


def _entering(graph: Graph, weights: frozenset[str]) -> list[str]:
    """Tensors that are read, but made nowhere: the inputs."""
    made = {name for node in graph.nodes for name in node.outputs}
    read = (name for node in graph.nodes for name in node.inputs)
    return [name for name in dict.fromkeys(read) if name not in made and name not in weights]


class _Made:
    """Which tensor's memory each tensor is; filled operation by operation."""

    def __init__(self, values: Mapping[str, Any], inputs: list[str], weights: frozenset[str]) -> None:
        self.values, self.inputs = values, inputs
        self.owner: dict[str, str | None] = {**dict.fromkeys(weights), **{name: name for name in inputs}}
        self.dropped: set[str] = set()
        """Outputs of dropouts: memory of their own while training."""

    def run(self, node: Node) -> Iterator[str]:
        """Note where the outputs of `node` lie; the names of those that are new memory."""
        shared = bool(node.inputs) and self._shares(node)
        for name in node.outputs:
            self.owner[name] = self.owner.get(node.inputs[0], node.inputs[0]) if shared else name
            if shared and _operation(node) in _DROPOUTS:
                self.dropped.add(name)
            if not shared:
                yield name

    def _shares(self, node: Node) -> bool:
        operation, source = _operation(node), self.values.get(node.inputs[0])
        if operation in _VIEWS or (operation.endswith("_") and not operation.endswith("__")):
            return True
        result = self.values.get(node.outputs[0]) if node.outputs else None
        if operation in _COPY_IF_NEEDED:
            return _in_order(source) or not _in_order(result)
        return operation in _CONVERSIONS and _kind(source) == _kind(result)


def _operation(node: Node) -> str:
    """`reshape` of `torch.ops.aten.reshape.default`."""
    parts = node.target.split(".")
    return parts[3] if parts[:3] == ["torch", "ops", "aten"] and len(parts) > 3 else ""


def _kind(meta: Any) -> Any:
    return meta.get("dtype") if isinstance(meta, dict) else None


def _in_order(meta: Any) -> bool:
    """Whether a tensor lies in C order: then another shape is the same memory; one that did not is copied into it."""
    sizes, strides = (meta.get(name) if isinstance(meta, dict) else None for name in ("sizes", "strides"))
    if not isinstance(sizes, list) or not isinstance(strides, list) or len(sizes) != len(strides):
        return False
    step: tuple[int, tuple[str, ...]] = (1, ())
    for size, stride in zip(reversed(sizes[:_MAX_RANK]), reversed(strides[:_MAX_RANK]), strict=True):
        known, jump = symbolic_size(size), symbolic_size(stride)
        if known is None or jump is None:
            return False
        if known != (1, None) and (jump[0], (jump[1],) if jump[1] else ()) != step:
            return False
        step = (step[0] * known[0], (*step[1], known[1]) if known[1] else step[1])
    return True


# Amounts


def _amounts(graph: Graph, made: _Made) -> dict[str, Any]:
    if any(".higher_order." in node.target for node in graph.nodes):
        raise _Unknown
    sizes = _Sizes(made.values, made.inputs)
    owned = dict.fromkeys([*made.inputs, *(name for name, owner in made.owner.items() if owner == name)])
    kept = [*owned, *made.dropped]
    return {
        "kept_bytes": list(_sum(map(sizes.bytes, kept))),
        "kept_elements": list(_sum(map(sizes.elements, kept))),
        "live_bytes": [list(amount) for amount in _worst(_living(graph, made, sizes))],
    }


class _Sizes:
    """Elements and bytes of tensors."""

    def __init__(self, values: Mapping[str, Any], inputs: list[str]) -> None:
        self._values = values
        axes = [self._sizes(name)[:1] for name in inputs]
        symbols = {axis[0][1] for axis in axes if axis and axis[0][1] is not None}
        self._batch = symbols.pop() if len(symbols) == 1 else None

    def elements(self, name: str) -> Amount:
        """Elements of one tensor."""
        count, examples = 1, 0
        for factor, symbol in self._sizes(name):
            if symbol is not None and symbol != self._batch:
                raise _Unknown
            count, examples = count * factor, examples + (symbol is not None)
        if examples > 1 or count > _MAX_AMOUNT:
            raise _Unknown
        return (0, count) if examples else (count, 0)

    def bytes(self, name: str) -> Amount:
        """Bytes of one tensor."""
        kind = _kind(self._values.get(name))
        dtype = EXPORT_TYPES.get(kind) if type(kind) is int else None
        found = [stored_bytes(dtype, count) for count in self.elements(name)]
        if found[0] is None or found[1] is None:
            raise _Unknown
        return found[0], found[1]

    def _sizes(self, name: str) -> list[tuple[int, str | None]]:
        meta = self._values.get(name)
        sizes = meta.get("sizes") if isinstance(meta, dict) else None
        found = [symbolic_size(size) for size in sizes[:_MAX_RANK]] if isinstance(sizes, list) else [None]
        known = [size for size in found if size is not None]
        if len(known) < len(found):
            raise _Unknown
        return known


def _sum(amounts: Iterable[Amount]) -> Amount:
    always = each = 0
    for amount in amounts:
        always, each = always + amount[0], each + amount[1]
    if max(always, each) > _MAX_AMOUNT:
        raise _Unknown
    return always, each


def _living(graph: Graph, made: _Made, sizes: _Sizes) -> Iterator[Amount]:
    """What lives during each operation: a tensor from the one that makes it to the last that reads it."""
    last: dict[str | None, int] = {}
    for number, node in enumerate(graph.nodes):
        last.update((made.owner.get(name), number) for name in (*node.inputs, *node.outputs))
    last.update((made.owner.get(name), len(graph.nodes)) for name in graph.results)
    ending: dict[int, list[str]] = defaultdict(list)
    for owner, end in last.items():
        if owner is not None:
            ending[end].append(owner)
    living = _sum(map(sizes.bytes, made.inputs))
    for number, node in enumerate(graph.nodes):
        living = _sum([living, *(sizes.bytes(name) for name in node.outputs if made.owner[name] == name)])
        yield living
        gone = _sum(map(sizes.bytes, ending.get(number, ())))
        living = living[0] - gone[0], living[1] - gone[1]


def _worst(moments: Iterable[Amount]) -> list[Amount]:
    """The moments that no other exceeds in both parts."""
    corners: list[Amount] = []
    for moment in moments:
        if any(corner[0] >= moment[0] and corner[1] >= moment[1] for corner in corners):
            continue
        corners = [corner for corner in corners if corner[0] > moment[0] or corner[1] > moment[1]]
        corners.append(moment)
        if len(corners) > _MAX_CORNERS:
            raise _Unknown
    return corners or [_NOTHING]
