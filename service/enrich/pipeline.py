"""The order in which a model is enriched; knows the enrichers, which do not know one another."""

from __future__ import annotations

from service.enrich import counted_as, counts, explain, seeds, sharing, totals
from service.enrich.blocks import build as blocks
from service.enrich.cost import add as cost
from service.enrich.findings import run as findings
from service.tree import Model

STEPS = (
    seeds.set_apart,
    counts.count_layers,
    totals.add_totals,
    counted_as.count_as_tools_do,
    explain.explain_layers,
    blocks.add_blocks,
    cost.add_costs,
    findings.add_findings,
    sharing.say_once,
)
"""Totals need the per-layer weights to be final; what tools count, and findings that give a share, need the totals."""


def enrich(model: Model) -> Model:
    """`model` with counts, totals, the counts of well-known tools, explanations, blocks, costs and findings."""
    for step in STEPS:
        model = step(model)
    return model


def warm() -> None:
    """Import what enrichers look up on first use."""
    explain.rules()
    findings.rule_ids()
