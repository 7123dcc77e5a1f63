"""What a rule may ask of a model: its layers, their neighbours, its weights; finds nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from service.enrich.counts import add
from service.enrich.findings.graph import Graph, graph_of
from service.frameworks import conventions
from service.measured import WeightStatistics
from service.tree import Layer, Model, Weight

_PARAMETERS = ("trainable", "frozen", "unknown")
_MAX_NEIGHBOURS = 256
"""Most neighbours of a layer that are told apart; with more, rules that look at neighbours pass the layer over."""


@dataclass(frozen=True)
class Context:
    """One model under inspection. What takes a walk over all layers is worked out when a rule first asks for it.

    Attributes:
        model: The model.
        graph: Known edges; see `service.enrich.findings.graph`.
        kinds: Its layers by kind, each where it first occurs, in order.
    """

    model: Model
    graph: Graph
    kinds: Mapping[str, tuple[Layer, ...]]

    @cached_property
    def layers(self) -> Mapping[str, Layer]:
        """The layers by path."""
        return {layer.path: layer for layer in self.model.layers}

    @cached_property
    def parameters(self) -> int | None:
        """Elements of all parameters, tied ones once; None if any size is unknown."""
        return add(weight.count for _, weight in parameters(self.model))

    @cached_property
    def unseen(self) -> int:
        """How many layers (not containers) feed nobody knows what."""
        return _unseen(self.model, self.graph)

    @cached_property
    def measured(self) -> bool:
        """Whether the values of any weight were read completely."""
        some = any([weight.statistics is not None for layer in self.model.layers for weight in layer.weights])  # noqa: C419 - faster as a list
        return some and next(measured(self.model), None) is not None

    @cached_property
    def configured(self) -> bool:
        """Whether any layer has hyper-parameters."""
        return any([layer.config for layer in self.model.layers])  # noqa: C419 - faster as a list

    @property
    def framework(self) -> str:
        """`keras` or `torch`: whose conventions the model follows."""
        return conventions(self.model.info.framework)

    def own(self, *kinds: str) -> Iterator[Layer]:
        """The layers of these kinds, kind by kind, each where it first occurs."""
        for kind in kinds:
            yield from self.kinds.get(kind, ())

    def before(self, layer: Layer) -> tuple[Layer, ...] | None:
        """The layers that feed `layer`; () for an entry of the model; None if that is not known."""
        return self._neighbours(layer, self.graph.before)

    def after(self, layer: Layer) -> tuple[Layer, ...] | None:
        """The layers that `layer` feeds; () for an output of the model; None if that is not known."""
        return self._neighbours(layer, self.graph.after)

    def _neighbours(self, layer: Layer, edges: Mapping[str, tuple[str, ...]]) -> tuple[Layer, ...] | None:
        """Neighbours by one direction of the edges; the entries of nested models are passed."""
        found: dict[str, Layer] = {}
        pending = [layer.shared_with or layer.path]
        for _ in range(_MAX_NEIGHBOURS):
            if not pending:
                return tuple(found.values())
            paths = edges.get(pending.pop())
            if paths is None or len(paths) > _MAX_NEIGHBOURS:
                return None
            for other in map(self.layers.get, paths):
                if other is None:
                    return None
                if other.kind == "input" and other.inputs:
                    pending.append(other.path)
                else:
                    found[other.path] = other
        return None


def context_of(model: Model) -> Context:
    """The context of a model, in linear time."""
    return Context(model=model, graph=graph_of(model), kinds=_by_kind(model))


def _by_kind(model: Model) -> dict[str, tuple[Layer, ...]]:
    found: dict[str, list[Layer]] = {}
    for layer in model.layers:
        if layer.shared_with is None:
            found.setdefault(layer.kind, []).append(layer)
    return {kind: tuple(layers) for kind, layers in found.items()}


def _unseen(model: Model, graph: Graph) -> int:
    parents = {layer.parent for layer in model.layers}
    return sum(
        1
        for layer in model.layers
        if layer.shared_with is None and layer.path not in parents and layer.path not in graph.after
    )


def parameters(model: Model) -> Iterator[tuple[Layer, Weight]]:
    """Every parameter with its layer, tied ones once."""
    for layer in model.layers:
        for weight in layer.weights:
            if weight.group in _PARAMETERS and weight.tied_to is None:
                yield layer, weight


def weight_of(layer: Layer, role: str) -> Weight | None:
    """The layer's one weight of this role; None if it has none or several."""
    found = [weight for weight in layer.weights if weight.role == role]
    return found[0] if len(found) == 1 else None


def measured(model: Model) -> Iterator[tuple[Layer, Weight, WeightStatistics]]:
    """Every weight of the model whose values were read completely, tied ones once."""
    for layer in model.layers:
        for weight in layer.weights:
            if weight.tied_to is None and weight.statistics is not None and weight.statistics.status == "complete":
                yield layer, weight, weight.statistics
