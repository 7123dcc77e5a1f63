"""Builds the parts of a model from the innermost container outwards; knows the steps, not what each looks for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

import msgspec

from service.enrich.blocks.branches import joined
from service.enrich.blocks.graph import graph_of
from service.enrich.blocks.grouping import groups, order_of
from service.enrich.blocks.names import is_made_up, split_path, steps
from service.enrich.blocks.parts import Part, PartKind, Table, common_stem, number, positions, together
from service.enrich.blocks.signatures import AIDS, COMPOSITE, signature
from service.enrich.blocks.stems import staged
from service.enrich.likeness import Alike
from service.tree import Layer, Model

_DOMINATES = 0.8
"""A container that holds so much of a model is a shell around it, and its content is what a person wants to see."""

_AIDED = 3
"""What prepares data and is taken by so many is a mask or the like."""


COARSE = 20_000
"""Layers above which the innermost containers are taken as they are."""


class _Tree:
    """The layers of a model, what each holds, and the parts that are made of them."""

    def __init__(self, model: Model, sorts: Alike) -> None:
        self.layers = model.layers
        self._sorts = sorts.numbers
        self.framework = model.info.framework
        self.table: Table = {}
        self.held = _held(model.layers)
        self.graph = graph_of(model.layers, frozenset(model.layers[at].path for at in self.held if at >= 0))
        self.made: dict[int, Part] = {}
        self.coarse = len(model.layers) > COARSE
        self._marks: dict[int, int] = {}
        self._alone: dict[int, tuple[int, int]] = {}
        self._first: dict[Hashable, Part] = {}
        self._closed: dict[Hashable, Part] = {}

    def part(self, at: int) -> Part:
        """The part of one layer with all that it holds, which is made already."""
        return self.made[at] if at in self.made else self._lone(at)

    def make(self, at: int) -> None:
        """Make the part of a container, from the parts of what it holds."""
        layer = self.layers[at]
        if layer.kind in COMPOSITE:
            within = [place for held in self.held[at] for place in positions(self.part(held))]
            self.made[at] = self._leaf([at, *sorted(within)])
            return
        if self.coarse and not any([held in self.made for held in self.held[at]]):  # noqa: C419 - faster as a list
            self.made[at] = self._shut(at)
            return
        if not self.coarse or self.graph.takers:
            self.made[at] = self._open(at)
            return
        alike = self._likeness(at)
        known = self._first.get(alike)
        self.made[at] = made = self._open(at) if known is None else self._again(at, known)
        if made.kind == "stage" and made.name == layer.path:
            self._first.setdefault(alike, made)

    def opened(self, part: Part) -> Part:
        """The part, or the first occurrence in it, taken apart."""
        if part.closed is not None:
            return self._open(part.closed)
        if part.kind == "repeat" and part.parts[0].closed is not None:
            return msgspec.structs.replace(part, parts=(self._open(part.parts[0].closed), *part.parts[1:]))
        return part

    def _open(self, at: int) -> Part:
        """A container as what it consists of."""
        layer = self.layers[at]
        inner = self.listed(self.held[at], layer)
        own = [self._leaf([at])] if layer.weights else []
        return _container(layer, [*own, *inner], self.table)

    def _likeness(self, at: int) -> Hashable:
        """Equal for containers that are taken apart alike, with parts of equal names."""
        layer, held = self.layers[at], self.held[at]
        marks = [self.made[place].mark if place in self.made else self._mark(place) for place in held]
        own = self._mark(at) if layer.weights else None
        names = [(self.layers[place].name, self.layers[place].shared_with is None) for place in held]
        return layer.type, is_made_up(layer.name, layer.type), own, *marks, *names

    def _again(self, at: int, known: Part) -> Part:
        """A container like an earlier one, in a model so large that only the first of them is taken apart."""
        layer = self.layers[at]
        places = [at] if layer.weights else []
        for held in self.held[at]:
            places += positions(self.made[held]) if held in self.made else (held,)
        own = tuple(places)
        return msgspec.structs.replace(known, name=layer.path, stem=_stem(layer), own=own, parts=(), closed=at)

    def _shut(self, at: int) -> Part:
        """An innermost container of a model so large that few of them are looked into."""
        layer, sorts = self.layers[at], self._sorts
        places = (at, *self.held[at]) if layer.weights else tuple(self.held[at])
        alike = (layer.type, *[sorts[place] for place in places])
        known = self._closed.get(alike)
        if known is None:
            known = self._closed[alike] = self._first_shut(layer, places)
        several = len(places) > 1
        return msgspec.structs.replace(
            known,
            name=layer.path if several else self.layers[places[0]].path,
            own=places,
            stem=_stem(layer),
            closed=at if several else None,
        )

    def _first_shut(self, layer: Layer, places: Sequence[int]) -> Part:
        """The first of such containers."""
        inside = [self.layers[place] for place in places]
        return Part(
            kind="stage" if len(places) > 1 else "layer",
            name=layer.path,
            mark=number(self.table, ("stage", layer.type, tuple(map(self._mark, places)))),
            loose=number(self.table, ("stage", "loose", *[one.kind for one in inside])),
            size=len(places),
            weighty=any(one.weights for one in inside),
            type=layer.type,
        )

    def _mark(self, at: int) -> int:
        """The number of one layer's signature; layers of one sort are equal in structure."""
        sort = self._sorts[at]
        known = self._marks.get(sort)
        if known is None:
            known = self._marks[sort] = number(self.table, signature(self.layers[at]))
        return known

    def _lone(self, at: int) -> Part:
        """One layer as a part."""
        layer, sort = self.layers[at], self._sorts[at]
        known = self._alone.get(sort)
        if known is None:
            known = number(self.table, (signature(layer),)), number(self.table, ("loose", layer.kind))
            self._alone[sort] = known
        return Part(
            kind="layer", name=layer.path, mark=known[0], loose=known[1], size=1, weighty=bool(layer.weights),
            own=(at,), stem=_stem(layer),
        )  # fmt: skip

    def listed(self, items: Sequence[int], container: Layer | None, type_: str | None = None) -> list[Part]:
        """The parts of one list of neighbours: grouped, joined where branches join, staged by name, folded."""
        simple = [at not in self.made for at in items]
        order = order_of([self.layers[at] for at in items], container.type if container else type_, self.framework)
        grouped = groups(self.graph, items, order, simple)
        parts = [self.part(group[0]) if len(group) == 1 else self._leaf(group) for group in grouped]
        if order == "graph":
            parts = joined(parts, self._feeders(grouped), self._free(grouped), self.table)
        if order in ("declared", "stored"):
            parts = [msgspec.structs.replace(part, follows=_counts(part)) for part in parts]
        return staged(parts, self.table)

    def _feeders(self, grouped: Sequence[Sequence[int]]) -> list[list[int]]:
        """For each group, the other groups of the list that feed it."""
        home = {at: index for index, group in enumerate(grouped) for at in group}
        feeders = []
        for index, group in enumerate(grouped):
            sources = {home[place] for at in group for place in self.graph.feeders(at) if place in home}
            feeders.append(sorted(sources - {index}))
        return feeders

    def _free(self, grouped: Sequence[Sequence[int]]) -> list[int | None]:
        """For each group, from how many takers on its value may cross blocks; see `branches.regions`."""
        kinds = [{self.layers[at].kind for at in group} for group in grouped]
        several = sum(kind == {"input"} for kind in kinds) > 1
        return [1 if several and kind == {"input"} else _AIDED if kind <= AIDS else None for kind in kinds]

    def _leaf(self, places: Sequence[int]) -> Part:
        """One layer, or several that make a group."""
        layers = [self.layers[at] for at in places]
        kind: PartKind = "layer" if len(places) == 1 or layers[0].kind in COMPOSITE else "group"
        head = next((layer for layer in layers if layer.weights), layers[0])
        return Part(
            kind=kind,
            name=head.path,
            mark=number(self.table, tuple(signature(layer) for layer in layers)),
            loose=number(self.table, ("loose", *(layer.kind for layer in layers))),
            size=len(places),
            weighty=any(layer.weights for layer in layers),
            own=tuple(places),
            stem=common_stem(_stem(layer) for layer in layers),
        )


def parts_of(model: Model, sorts: Alike) -> tuple[list[Part], Table, Callable[[Part], Part]]:
    """What the model consists of, at the top; the numbers of its structures; and who takes a closed part apart."""
    tree = _Tree(model, sorts)
    for at in _inside_out(tree.held):
        tree.make(at)
    top = tree.listed(tree.held.get(-1, []), None, model.info.type)
    return _unwrapped(top), tree.table, tree.opened


def _held(layers: Sequence[Layer]) -> dict[int, list[int]]:
    """Positions of what each layer holds; -1 stands for the model. A parent that does not come before is none."""
    parents = {layer.parent for layer in layers}
    places: dict[str | None, int] = {}
    held: dict[int, list[int]] = {}
    last: str | None = ""
    inside: list[int] | None = None
    for at, layer in enumerate(layers):
        if inside is None or layer.parent != last:
            last = layer.parent
            inside = held.setdefault(places.get(last, -1), [])
        inside.append(at)
        if layer.path in parents:
            places.setdefault(layer.path, at)
            inside = None
    return held


def _inside_out(held: Mapping[int, Sequence[int]]) -> Iterator[int]:
    """Containers in order, each behind those that it holds."""
    outer = {at: inner for at, inside in held.items() if (inner := [one for one in inside if one in held])}
    waiting = outer.get(-1, [])[::-1]
    while waiting:
        at = waiting.pop()
        if at < 0:
            yield ~at
        elif at in outer:
            waiting.append(~at)
            waiting += reversed(outer[at])
        else:
            yield at


def _stem(layer: Layer) -> tuple[str, ...] | None:
    """The steps of a layer's own name before the last; None where the framework made the name up."""
    return None if is_made_up(layer.name, layer.type) else steps(layer.name)[:-1]


def _container(layer: Layer, parts: Sequence[Part], table: Table) -> Part:
    """A container's part; one that holds a single part is no more than that."""
    if len(parts) > 1:
        whole = together("stage", layer.path, parts, table, layer.type)
        return msgspec.structs.replace(whole, stem=_stem(layer), follows=True)
    only = parts[0]
    named = only.kind == "group" or (only.kind == "repeat" and _is_direct(only, layer))
    return msgspec.structs.replace(only, stem=_stem(layer), follows=True, name=layer.path if named else only.name)


def _is_direct(repeat: Part, layer: Layer) -> bool:
    """Whether the occurrences lie right in the container, so that its name is theirs."""
    return all(split_path(one.name)[0][:-1] == layer.path for one in repeat.parts)


def _counts(part: Part) -> bool:
    """Whether a part that was declared after another runs after it: modules in a list, blocks of several layers."""
    return part.kind in ("stage", "repeat") or part.name.rpartition(".")[2].isdigit()


def _unwrapped(parts: list[Part]) -> list[Part]:
    """`parts` without the shells that hold nearly the whole model."""
    total = sum(part.size for part in parts)
    found = parts
    while True:
        shell = next((part for part in found if part.kind == "stage" and part.size >= _DOMINATES * total), None)
        if shell is None:
            return found
        at = found.index(shell)
        found = [*found[:at], *shell.parts, *found[at + 1 :]]
