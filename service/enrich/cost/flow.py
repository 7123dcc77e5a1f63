"""Sizes of what goes into and comes out of every layer, for a batch and, where a size is open, for given inputs.

Stored shapes go before everything; what they leave open follows from the layers before, where the file says which
those are: a graph, or a chain of PyTorch modules (`nn.Sequential`). Knows order and shapes, no cost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from service.catalog.keras_config import parse_layer
from service.catalog.keras_shapes import infer_layer
from service.enrich.cost import torch_shapes
from service.enrich.cost.examples_axis import Axis, examples_axes
from service.enrich.cost.inner import inner_inputs
from service.enrich.cost.linear import einsum_output
from service.enrich.cost.work import Sizes
from service.errors import InputError
from service.tree import Layer, Shape

Several = tuple[Sizes, ...] | None
HOLDERS = frozenset({"container", "model", "wrapper"})
"""Kinds that only run what is inside, so that their outputs are those of the last layer in them."""
MAX_CANDIDATES = 64


class Flow:
    """Walks the layers once; afterwards `ins`, `outs` and `sources` (indices; None without order) are filled.

    `blank`: nothing is known of any size or order, as in a file of bare weights.
    """

    def __init__(
        self, layers: Sequence[Layer], *, torch: bool, known: bool, root: str | None, batch: int, given: Several
    ) -> None:
        self.layers, self.torch, self.known, self.batch = layers, torch, known, batch
        self.given: tuple[Sizes, ...] = tuple((batch, *shape) for shape in given or ())
        self.children: dict[int | None, list[int]] = defaultdict(list)
        self._find_children()
        tells = any([  # noqa: C419 - faster as a list
            layer.inputs is not None or layer.input_shapes or layer.output_shapes or layer.kind == "input"
            for layer in layers
        ])  # fmt: skip
        self.sources: list[tuple[int, ...] | None] = [None] * len(layers)
        if tells:
            self.sources = [self._recorded(layer) for layer in layers]
        if torch and root == "Sequential" and all(layer.inputs is None for layer in layers):
            self._chain()
        self.ins: list[Several] = [None] * len(layers)
        self.outs: list[Several] = [None] * len(layers)
        self._closed: dict[tuple[tuple[Shape, ...], Axis], Several] = {}
        self.axes = examples_axes(layers, self.sources) if tells else None
        self._holds = [layer.kind in HOLDERS and number in self.children for number, layer in enumerate(layers)]
        self._entries = 0
        self._ends: dict[int, tuple[int, ...]] = {}
        self.used: bool = False
        self.blank = not tells and self.sources.count(None) == len(layers)
        if not self.blank:
            for number in range(len(layers)):
                self._visit(number)

    @cached_property
    def index(self) -> dict[str, int]:
        """Layers by path."""
        return {layer.path: number for number, layer in enumerate(self.layers)}

    def _find_children(self) -> None:
        parents = {layer.parent for layer in self.layers}
        places = {layer.path: number for number, layer in enumerate(self.layers) if layer.path in parents}
        last: str | None = None
        inside = self.children[None]
        for number, layer in enumerate(self.layers):
            if layer.parent != last:  # neighbours mostly have one parent
                last = layer.parent
                inside = self.children[None if last is None else places.get(last)]
            inside.append(number)

    def holds(self, number: int) -> bool:
        """Whether a layer only runs the layers inside it."""
        return self._holds[number]

    def owner(self, number: int) -> Layer:
        """The layer whose weights this one uses: itself, or the first occurrence of a shared one."""
        layer = self.layers[number]
        first = self.index.get(layer.shared_with) if layer.shared_with is not None else None
        return layer if first is None else self.layers[first]

    def ends(self, number: int) -> tuple[int, ...]:
        """The layers whose outputs a container returns: those in it that feed no sibling; itself if it is none."""
        path, seen = [number], {number}
        while self.holds(path[-1]):
            last = self._last(path[-1])
            if len(last) != 1 or last[0] in seen:
                return last
            path.append(last[0])
            seen.add(last[0])
        return (path[-1],)

    def feeders(self, number: int) -> tuple[int, ...] | None:
        """The layers that feed one, containers replaced by the layers that end them; None without order."""
        sources = self.sources[number]
        if sources is None or not any([self._holds[source] for source in sources]):  # noqa: C419 - faster as a list
            return sources
        return tuple(dict.fromkeys(end for source in sources for end in self.ends(source)))

    def _last(self, number: int) -> tuple[int, ...]:
        found = self._ends.get(number)
        if found is None:
            inside = self.children[number]
            fed = {source for child in inside for source in self.sources[child] or ()}
            found = tuple(child for child in inside if child not in fed and self.layers[child].kind != "input")
            found = found if all(self.sources[child] is not None for child in inside) else ()
            self._ends[number] = found
        return found

    def _recorded(self, layer: Layer) -> tuple[int, ...] | None:
        if layer.inputs is None:
            return None
        found = [self.index[path] for path in layer.inputs if path in self.index]
        return tuple(found) if len(found) == len(layer.inputs) else None

    def _chain(self) -> None:
        """The order of modules in nested `nn.Sequential`s below a root of that class."""
        pending: list[tuple[int | None, tuple[int, ...]]] = [(None, ())]
        while pending:
            parent, before = pending.pop()
            for child in self.children[parent]:
                self.sources[child] = before
                layer = self.layers[child]
                if layer.type == "Sequential" and not layer.custom and child in self.children:
                    pending.append((child, before))
                before = (child,)

    def entering(self, number: int) -> Axis:
        """On which axis of its inputs the examples lie."""
        return 0 if self.axes is None else self.axes[0][number]

    def _visit(self, number: int) -> None:
        layer = self.layers[number]
        leaving = 0 if self.axes is None else self.axes[1][number]
        ins = self._stored(layer.input_shapes, self.entering(number))
        if ins is None and layer.kind != "input":
            ins = self._arriving(number, layer)
        outs = self._stored(layer.output_shapes, leaving)
        if layer.kind == "input":
            outs = ins = outs or self._entered(layer)
        elif outs is None and ins is not None and not self.holds(number):
            outs = self.inferred(number, ins)
            outs = outs if _fits_all(layer.output_shapes, outs) else None
        self.ins[number], self.outs[number] = ins, outs

    def _stored(self, stored: tuple[Shape, ...] | None, axis: Axis) -> Several:
        """Stored shapes with the batch filled in; the same few come again and again."""
        if not stored:
            return None
        if (stored, axis) not in self._closed:
            self._closed[stored, axis] = _concrete(stored, self.batch, axis)
        return self._closed[stored, axis]

    def _entered(self, layer: Layer) -> Several:
        """An input layer: what feeds its model, or the next of the given inputs."""
        number = self.index[layer.path]
        sources = self.sources[number]
        if sources:
            return self._fitted(number, layer.output_shapes, [self._out(source) for source in sources])
        if layer.parent is None:
            self._entries += 1
            chosen = self.given[self._entries - 1 : self._entries]
        else:
            chosen = ()
        return self._take(number, layer.output_shapes, list(chosen))

    def _arriving(self, number: int, layer: Layer) -> Several:
        sources = self.sources[number]
        if sources is None:
            parent = self.index.get(layer.parent) if layer.parent is not None else None
            if parent is None or not self.torch:
                return None
            first = self.index.get(f"{layer.parent}.linear1")
            hidden = self.outs[first] if first is not None else None
            found = inner_inputs(self.layers[parent], layer, self.ins[parent], hidden)
            return found if _fits_all(layer.input_shapes, found) else None
        if not sources:
            return self._take(number, layer.input_shapes, list(self.given))
        return self._fitted(number, layer.input_shapes, [self._out(source) for source in sources])

    def _out(self, number: int) -> Several:
        if self.outs[number] is None and self.holds(number):
            ends = self.ends(number)
            if len(ends) == 1 and not self.holds(ends[0]):
                self.outs[number] = self.outs[ends[0]]
        return self.outs[number]

    def _take(self, number: int, stored: tuple[Shape, ...] | None, candidates: list[Sizes]) -> Several:
        """Given inputs for a layer that nothing feeds."""
        axis = self.entering(number)
        if not candidates or axis is None:
            return None
        candidates = [_led(shape, axis) for shape in candidates]
        if stored is None:
            found: Several = tuple(candidates[:1])
        elif len(stored) == len(candidates) and _fits_all(stored, tuple(candidates)):
            found = tuple(candidates)
        else:
            found = _matched(stored, candidates, self.batch, axis)
        self.used = self.used or found is not None
        return found

    def _fitted(self, number: int, stored: tuple[Shape, ...] | None, arriving: list[Several]) -> Several:
        """The sizes of what arrives, in the places of the stored shapes."""
        known = [shapes for shapes in arriving if shapes]
        if stored is None:
            return tuple(shapes[0] for shapes in known) if len(known) == len(arriving) else None
        first = tuple(shapes[0] for shapes in known)
        if len(known) == len(arriving) and _fits_all(stored, first):
            return first
        candidates = [shape for shapes in known for shape in shapes][:MAX_CANDIDATES]
        return _matched(stored, [*candidates, *self.given], self.batch, self.entering(number))

    def inferred(self, number: int, ins: tuple[Sizes, ...]) -> Several:
        """Output sizes of a layer for `ins` by its framework's rules."""
        layer = self.layers[number]
        if not self.known:
            return None  # settings of other frameworks have other names and other defaults
        return torch_shapes.outputs(layer, self.owner(number), ins) if self.torch else _keras(layer, ins)


def _keras(layer: Layer, ins: tuple[Sizes, ...]) -> Several:
    """Shapes by Keras' rules; the batch is put back in front of what they give."""
    entry: dict[str, Any] = {"class_name": layer.type, "config": layer.config, "module": layer.module}
    try:
        spec = parse_layer(entry)
        found = infer_layer(spec, list(ins)) if spec is not None else None
    except (InputError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
        return None  # arguments of types that no layer takes
    if layer.kind == "einsum_dense" and found:
        closed = einsum_output(layer.config.get("equation"), ins[0], found[0])
        return None if closed is None else (closed,)
    return None if found is None or any(None in shape for shape in found) else _concrete(tuple(found), 1)


def _concrete(stored: tuple[Shape, ...] | None, batch: int, axis: Axis = 0) -> Several:
    """Shapes with the batch filled in at `axis`; None if any other size is open."""
    if not stored:
        return None
    found: list[Sizes] = []
    for shape in stored:
        sizes = tuple(batch if size is None else size for size in shape)
        if (None in shape and not _only_open(shape, axis)) or min(sizes, default=0) < 0:
            return None
        found.append(sizes)
    return tuple(found)


def _only_open(shape: Shape, axis: Axis) -> bool:
    """Whether the size at `axis` is the only one that is open."""
    if axis is None or shape.count(None) != 1:
        return False
    return shape.index(None) == (axis + len(shape) if axis < 0 else axis)


def _fits(pattern: Shape, shape: Sizes) -> bool:
    if len(pattern) != len(shape):
        return False
    return all(size is None or size == found for size, found in zip(pattern, shape, strict=True))


def _fits_all(patterns: tuple[Shape, ...] | None, shapes: Several) -> bool:
    """Whether shapes are what the stored ones, where not open, say."""
    if patterns is None or shapes is None:
        return True
    return len(patterns) >= len(shapes) and all(map(_fits, patterns, shapes))


def _led(shape: Sizes, axis: int) -> Sizes:
    """A shape with its batch, which comes first, at `axis`."""
    place = max(axis + len(shape), 0) if axis < 0 else axis
    return (*shape[1 : place + 1], shape[0], *shape[place + 1 :])


def _matched(patterns: tuple[Shape, ...], candidates: list[Sizes], batch: int, axis: Axis) -> Several:
    """For each pattern the one size that fits it among the candidates; None if none or several do."""
    found: list[Sizes] = []
    for pattern in patterns[:MAX_CANDIDATES]:
        closed = _concrete((pattern,), batch, axis)
        fitting = set(closed) if closed else {shape for shape in candidates if _fits(pattern, shape)}
        if len(fitting) != 1:
            return None
        found.extend(fitting)
    return tuple(found)
