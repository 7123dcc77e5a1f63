"""Recurrent layers: gates × (inputs × units + units × units + biases), once per direction and stacked layer.

Knows that Keras keeps one bias per gate (a GRU with `reset_after` two), PyTorch two, and that PyTorch stacks layers
and directions in one module (`weight_ih_l0`, `weight_ih_l0_reverse`) where Keras wraps two in Bidirectional.
"""

from __future__ import annotations

from collections.abc import Iterable

from service.enrich.explanations.cell import GATES, Cell
from service.enrich.explanations.cells import cells_of
from service.enrich.explanations.recipe import Claim, Recipe, Sum, evaluate, listed, term
from service.enrich.explanations.recurrent_words import expert, gates_named, text
from service.enrich.explanations.references import reference
from service.frameworks import OWN_RULES
from service.language import Message, msg
from service.tree import Layer, Term

KINDS = ("simple_rnn", "lstm", "gru", "bidirectional", "rnn", "rnn_cell")
_FOLDED = 3
"""From so many equal cells on they become one factor instead of as many summands."""


def explain(layer: Layer, framework: str) -> Recipe | None:
    """One sum per cell (direction, stacked layer); None if the weights are not those of plain gated cells."""
    cells = cells_of(layer, framework)
    if not cells:
        return None
    folded = [part for group in _equal(cells) for part in _folded_sums(group)]
    sums = tuple(folded)
    return Recipe(
        sums=sums,
        text=text(layer, cells),
        expert=expert(layer, framework, cells, evaluate(sums)),
        reference=reference(layer, framework),
        claims=_claims(layer, framework, cells),
    )


def _equal(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Cells of equal sizes together, where there are so many that a sum of all would be hard to read."""
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.sizes, []).append(cell)
    return [
        part for group in groups.values() for part in ([group] if len(group) >= _FOLDED else [[one] for one in group])
    ]


def _folded_sums(group: list[Cell]) -> list[Sum]:
    """The gated sum, and the projection, which has no gates, beside it."""
    cell, several = group[0], len(group) > 1
    where = None if several else cell.name or None
    outer = (
        term("cells", msg("equal cells: {names}", names=listed(tuple(one.name for one in group))), len(group)),
    ) * several
    unit = term("units", _of(where, msg("units"), msg("units of {cell}", cell=where)), cell.units)
    inputs = term("inputs", _of(where, msg("input features"), msg("input features of {cell}", cell=where)), cell.inputs)
    carried = msg("values carried to the next step")
    state = term(
        "state", _of(where, carried, msg("values carried to the next step of {cell}", cell=where)), cell.carried
    )
    read = [(inputs, unit)] if cell.inputs else []
    products: list[tuple[Term, ...]] = [*read, (state, unit), *[(unit,)] * cell.biases]
    gates = term("gates", gates_named(cell.gates), cell.gates)
    found = [Sum(outer=(*outer, gates), products=tuple(products))]
    if cell.projected:
        down = term("projection", msg("projected size (proj_size)"), cell.carried)
        bias = ((down,),) if cell.projection_bias else ()
        found.append(Sum(outer=outer, products=((down, unit), *bias)))
    return found + _vectors(cell, outer, unit)


def _vectors(cell: Cell, outer: tuple[Term, ...], unit: Term) -> list[Sum]:
    """What some cells have one or a few vectors of."""
    several = (
        term("candidate biases", msg("biases of the candidate gate alone"), cell.candidate_biases),
        term("peepholes", msg("gates that see the cell: input, forget and output"), cell.peepholes),
        term("scales", msg("gates that are normalised, with a scale each"), cell.scales),
    )
    return [Sum(outer=outer, products=((each, unit),)) for each in several if each.value]


def _of(where: str | None, alone: Message, named: Message) -> Message:
    return alone if where is None else named


def _claims(layer: Layer, framework: str, cells: list[Cell]) -> tuple[Claim, ...]:
    first = cells[0]
    if framework not in OWN_RULES:
        return ()
    if layer.kind in ("rnn", "bidirectional", "rnn_cell") and framework == "keras":
        return ()
    if framework == "keras":
        own: tuple[Claim, ...] = (("units", first.units), ("use_bias", first.biases > 0))
        return (*own, ("reset_after", first.biases > 1)) if first.gates == GATES["gru"] and first.biases else own
    size: tuple[Claim, ...] = (("input_size", first.inputs), ("hidden_size", first.units), ("bias", first.biases > 0))
    if layer.kind == "rnn_cell":
        return size
    backward = any(cell.name.endswith("_reverse") for cell in cells)
    return (
        *size,
        ("bidirectional", backward),
        ("num_layers", len(cells) // (2 if backward else 1)),
        ("proj_size", first.carried if first.projected else 0),
    )
