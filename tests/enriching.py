"""Single steps of `service.enrich.pipeline` on whole models, for tests that look at one of them."""

from __future__ import annotations

from msgspec.structs import replace

from service.enrich.cost.add import costed
from service.enrich.counts import Counting
from service.enrich.explain import Explaining
from service.enrich.likeness import alike
from service.enrich.seeds import set_apart
from service.tree import Model


def explain_layers(model: Model) -> Model:
    """`model` with counts and explanations, and the findings where one fails; states of random generators apart."""
    model = set_apart(model)
    sorts = alike(model.layers)
    counting, explaining = Counting(sorts), Explaining(model.info.framework, sorts)
    layers = tuple(
        replace(layer, counts=counting.of(at, layer), explanation=explaining.of(at, layer))
        for at, layer in enumerate(model.layers)
    )
    return replace(model, layers=layers, findings=(*model.findings, *explaining.findings()))


def add_costs(model: Model, batch: int = 1, input_shapes: tuple[tuple[int, ...], ...] | None = None) -> Model:
    """`model` with costs for `batch` examples of these inputs."""
    layers, cost = costed(model.layers, model.info, batch, input_shapes)
    return replace(model, layers=layers, cost=cost)
