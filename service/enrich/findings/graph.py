"""What feeds what, as far as the file truly tells; knows no rule of findings and guesses no edge.

Keras records the graph of its models, and a layer list says it: there `Layer.inputs` are the edges. An exported
PyTorch program looks through the operations between modules, and other PyTorch files hold no graph at all: there the
only edges are those between neighbours in a `torch.nn.Sequential`, which calls its children one after the other.

A nested model stands for its own first and last layers, an occurrence of a shared layer for the layer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from service.tree import Layer, Model

_MODULE_FORMATS = ("layer_list",)
"""PyTorch formats whose `inputs` are exact."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Edges between layers by path. A path that is missing has neighbours that nobody can tell."""

    before: Mapping[str, tuple[str, ...]]
    after: Mapping[str, tuple[str, ...]]


def graph_of(model: Model) -> Graph:
    """The known edges of a model, in time linear in its layers and inputs."""
    tells = any([layer.inputs is not None or layer.type == "Sequential" for layer in model.layers])  # noqa: C419 - faster as a list
    if model.info.type != "Sequential" and not tells:  # files of bare weights
        return Graph({}, {})
    if model.info.framework == "torch" and model.info.format not in _MODULE_FORMATS:
        return _chained(model)
    return _recorded(model)


@dataclass(slots=True)
class _Edges:
    """Edges while they are collected; what was put into `open_*` has neighbours beyond those."""

    before: dict[str, dict[str, None]] = field(default_factory=dict)
    after: dict[str, dict[str, None]] = field(default_factory=dict)
    open_before: set[str] = field(default_factory=set)
    open_after: set[str] = field(default_factory=set)

    def node(self, path: str) -> None:
        self.before.setdefault(path, {})
        self.after.setdefault(path, {})

    def edge(self, source: str, target: str) -> None:
        self.after.setdefault(source, {})[target] = None
        self.before.setdefault(target, {})[source] = None

    def known(self) -> Graph:
        return Graph(
            before={path: tuple(found) for path, found in self.before.items() if path not in self.open_before},
            after={path: tuple(found) for path, found in self.after.items() if path not in self.open_after},
        )


# Recorded graphs


def _recorded(model: Model) -> Graph:
    layers = {layer.path: layer for layer in model.layers}
    inner = _inside(layers)
    exits = _exits(layers, inner)
    edges = _Edges()
    for layer in layers.values():
        if layer.path in inner or (layer.parent is not None and layer.parent not in inner):
            continue
        _enter(edges, layer, layers, exits)
    _open_consumers(edges, layers, inner)
    edges.open_after.update(_outputs(model))
    return edges.known()


def _outputs(model: Model) -> Iterator[str]:
    """Layers whose output the model returns beside others: it goes further than the edges say."""
    listed = model.info.tags.get("outputs")
    for name in listed if isinstance(listed, list) else ():
        if isinstance(name, str):
            yield name


def _inside(layers: Mapping[str, Layer]) -> dict[str, list[Layer]]:
    """Nested models whose inside is known, with their layers: each of them says what feeds it."""
    children: dict[str, list[Layer]] = {}
    for layer in layers.values():
        if layer.parent is not None:
            children.setdefault(layer.parent, []).append(layer)
    known: dict[str, list[Layer]] = {}
    for path, members in children.items():
        owner = layers.get(path)
        if owner is not None and owner.kind in ("container", "model") and all(m.inputs is not None for m in members):
            known[path] = members
    return known


def _exits(layers: Mapping[str, Layer], inner: Mapping[str, list[Layer]]) -> dict[str, str | None]:
    """Nested model -> the layer whose output is the model's, None if that is not certain.

    Everything in a functional model leads to an output. With one output, the one layer that feeds no other is it.
    """
    found: dict[str, str | None] = {}
    for path in reversed([*layers]):  # parents come before children
        if path in inner:
            found[path] = _exit(layers[path], inner[path], found)
    return found


def _exit(owner: Layer, members: list[Layer], found: Mapping[str, str | None]) -> str | None:
    feeding = {path for member in members for path in member.inputs or ()}
    last = [member for member in members if member.path not in feeding]
    single = owner.type == "Sequential" or (owner.output_shapes is not None and len(owner.output_shapes) == 1)
    if len(last) != 1 or not single:
        return None
    return found.get(last[0].path, _first(last[0]))


def _first(layer: Layer) -> str:
    return layer.shared_with or layer.path


def _enter(edges: _Edges, layer: Layer, layers: Mapping[str, Layer], exits: Mapping[str, str | None]) -> None:
    path = _first(layer)
    edges.node(path)
    if layer.inputs is None:
        edges.open_before.add(path)
        return
    for source in layer.inputs:
        origin = exits[source] if source in exits else _first(layers[source]) if source in layers else None
        if origin is None:
            edges.open_before.add(path)
        else:
            edges.edge(origin, path)


def _open_consumers(edges: _Edges, layers: Mapping[str, Layer], inner: Mapping[str, list[Layer]]) -> None:
    """Whatever may also feed a layer that does not say what feeds it has consumers that nobody can tell."""
    blind = {
        layer.parent
        for layer in layers.values()
        if layer.inputs is None and layer.path not in inner and layer.kind != "parameter"
    }
    if not blind:
        return
    for layer in layers.values():
        if layer.parent in blind or layer.inputs is None:
            edges.open_after.add(_first(layer))


# Neighbours in a Sequential


def _chained(model: Model) -> Graph:
    layers = {layer.path: layer for layer in model.layers}
    children: dict[str | None, list[Layer]] = {}
    for layer in layers.values():
        children.setdefault(layer.parent if layer.parent in layers else None, []).append(layer)
    edges = _Edges()
    exported = model.info.format == "torch_export"
    placed: set[str] = set()
    for chain, is_model in _chains(model, layers, children):
        placed.update(chain)
        _link(edges, [layers[path] for path in chain], is_model=is_model, exported=exported)
    _open_strays(edges, layers, placed)
    return edges.known()


def _is_sequential(layer: Layer) -> bool:
    return layer.type == "Sequential" and layer.type_source == "recorded" and not layer.custom


def _chains(
    model: Model, layers: Mapping[str, Layer], children: Mapping[str | None, list[Layer]]
) -> Iterator[tuple[list[str], bool]]:
    """Paths in the order of their calls, one list per outermost Sequential, and whether it is the whole model."""
    whole = model.info.type == "Sequential" and "." not in layers
    if whole:
        yield _flat(children.get(None, ()), children), True
        return
    for layer in layers.values():
        above = layers.get(layer.parent) if layer.parent is not None else None
        if _is_sequential(layer) and layer.path in children and (above is None or not _is_sequential(above)):
            yield _flat(children[layer.path], children), False


def _flat(members: Iterable[Layer], children: Mapping[str | None, list[Layer]]) -> list[str]:
    """The layers of a Sequential with those of its inner Sequentials in their places."""
    found: list[str] = []
    pending = [*members][::-1]
    while pending:
        layer = pending.pop()
        if _is_sequential(layer) and layer.path in children:
            pending.extend(reversed(children[layer.path]))
        else:
            found.append(layer.path)
    return found


def _link(edges: _Edges, chain: list[Layer], *, is_model: bool, exported: bool) -> None:
    if not chain:
        return
    for layer in chain:
        edges.node(_first(layer))
    for source, target in itertools.pairwise(chain):
        if not exported or target.inputs == (source.path,):
            edges.edge(_first(source), _first(target))
        else:
            edges.open_after.add(_first(source))
            edges.open_before.add(_first(target))
    if not is_model:
        edges.open_before.add(_first(chain[0]))
        edges.open_after.add(_first(chain[-1]))


def _open_strays(edges: _Edges, layers: Mapping[str, Layer], placed: set[str]) -> None:
    """A layer that also occurs outside of a Sequential, or within one that occurs again, has more neighbours."""
    again = {layer.shared_with for layer in layers.values() if layer.shared_with is not None}
    repeated = {path for path in again if path in layers and _is_sequential(layers[path])}
    inside: set[str] = set()
    for layer in layers.values():  # parents come before children
        if layer.path in repeated or layer.parent in inside:
            inside.add(layer.path)
    strays = inside | {_first(layer) for layer in layers.values() if layer.path not in placed}
    edges.open_before.update(strays)
    edges.open_after.update(strays)
