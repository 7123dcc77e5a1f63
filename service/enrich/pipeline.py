"""The order in which a model is enriched; knows the enrichers, which do not know one another."""

from __future__ import annotations

from service.enrich import counted_as, counts, explain, seeds, totals
from service.tree import Model

STEPS = (seeds.set_apart, counts.count_layers, totals.add_totals, counted_as.count_as_tools_do, explain.explain_layers)
"""Totals need the per-layer weights to be final; what tools count needs the totals."""


def enrich(model: Model) -> Model:
    """`model` with counts, totals, the counts of well-known tools, and explanations."""
    for step in STEPS:
        model = step(model)
    return model


def warm() -> None:
    """Import what enrichers look up on first use."""
    explain.rules()
