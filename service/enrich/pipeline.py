"""The order in which a model is enriched; knows the enrichers, which do not know one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from service.enrich import counted_as, explain, seeds, totals
from service.enrich.blocks import build as blocks
from service.enrich.cost.add import Costing
from service.enrich.counts import Counting
from service.enrich.explain import Explaining
from service.enrich.findings import run as findings
from service.enrich.likeness import Alike, alike
from service.enrich.sharing import Sharing
from service.tree import Layer, Model

Deliver = Callable[[Iterable[Layer]], tuple[Layer, ...]]
"""Takes finished layers as they are made, and gives those that shall be kept in the model."""


def enrich(model: Model, deliver: Deliver = tuple) -> Model:
    """`model` with counts, totals, the counts of well-known tools, explanations, blocks, costs and findings.

    Totals need the weights of each layer to be final; what tools count, and findings that give a share, need the
    totals. Nothing but a layer itself needs its explanation and its cost: each layer is finished by itself and
    delivered, so that those of a very large model are never all there at once.
    """
    model = seeds.set_apart(model)
    sorts = alike(model.layers)
    model = counted_as.count_as_tools_do(totals.add_totals(model, sorts), sorts)
    explaining = Explaining(model.info.framework, sorts)
    costing = Costing(model.layers, model.info, sorts)
    kept = deliver(_finished(model, sorts, explaining, costing))
    model = replace(model, cost=costing.total(), findings=(*model.findings, *explaining.findings()))
    model = findings.add_findings(blocks.add_blocks(model, sorts))
    return replace(model, layers=kept)


def _finished(model: Model, sorts: Alike, explaining: Explaining, costing: Costing) -> Iterator[Layer]:
    """Each layer with its counts, its explanation and its cost, or the path of an earlier one that has the same."""
    counting, sharing = Counting(sorts), Sharing(len(model.layers))
    for at, layer in enumerate(model.layers):
        counts, explanation = counting.of(at, layer), explaining.of(at, layer)
        cost, first = costing.of(at, explanation)
        like = sharing.like(layer.path, (first, None if explanation is None else sorts.numbers[at]))
        if like is None:
            yield replace(layer, counts=counts, explanation=explanation, cost=cost)
        else:
            yield replace(layer, counts=counts, like=like)


def warm() -> None:
    """Import what enrichers look up on first use."""
    explain.rules()
    findings.rule_ids()
