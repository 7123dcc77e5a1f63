"""Recurrent layers: gates × (inputs × units + units × units + biases), once per direction and stacked layer.

Knows that Keras keeps one bias per gate (a GRU with `reset_after` two), PyTorch two, and that PyTorch stacks layers
and directions in one module (`weight_ih_l0`, `weight_ih_l0_reverse`) where Keras wraps two in Bidirectional.
"""

from __future__ import annotations

import re

from service.enrich.explanations.recipe import Recipe, Sum, term
from service.enrich.explanations.shapes import sizes
from service.tree import Layer, Term, Weight

KINDS = ("simple_rnn", "lstm", "gru", "bidirectional", "rnn", "rnn_cell")
_GATES = {1: "one candidate", 3: "update, reset and candidate", 4: "input, forget, cell and output"}
_SUFFIX = re.compile(r"^(?:weight|bias)_(?:ih|hh|hr)(?P<cell>_l\d+(?:_reverse)?)?$")
_REFERENCES = {
    "lstm": "Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735",
    "gru": "Cho et al. 2014, arXiv:1406.1078",
}


_Held = dict[str, tuple[int, ...] | None]


def explain(layer: Layer, framework: str) -> Recipe | None:
    """One sum per cell (direction, stacked layer); None if the weights are not those of plain gated cells."""
    cells: dict[str, list[Weight]] = {}
    for weight in layer.weights:
        cells.setdefault(_cell_of(weight), []).append(weight)
    found = [_cell(name, weights, framework) for name, weights in cells.items()]
    known = [cell for cell in found if cell is not None]
    if not known or len(known) != len(found):
        return None
    sums = tuple(part for parts, _ in known for part in parts)
    return Recipe(sums=sums, text=" ".join(sentence for _, sentence in known), reference=_REFERENCES.get(layer.kind))


def _cell_of(weight: Weight) -> str:
    match = _SUFFIX.match(weight.name)
    if match:
        return (match["cell"] or "").lstrip("_")
    return weight.name.rpartition("/")[0]


def _cell(name: str, weights: list[Weight], framework: str) -> tuple[list[Sum], str] | None:
    held = {weight.role: sizes(weight) for weight in weights}
    kernel, recurrent = held.get("kernel"), held.get("recurrent_kernel")
    if kernel is None or recurrent is None or len(kernel) != 2 or len(recurrent) != 2 or None in held.values():
        return None
    if framework == "torch":
        kernel, recurrent = kernel[::-1], recurrent[::-1]
    projection = held.get("projection_kernel")
    units = projection[1] if projection else recurrent[0]
    gates, rest = divmod(kernel[1], units) if units else (0, 1)
    if rest or gates not in _GATES or recurrent[1] != gates * units:
        return None
    return _sums(name, kernel[0], units, gates, held), _text(name, kernel[0], units, gates, held)


def _sums(name: str, inputs: int, units: int, gates: int, held: _Held) -> list[Sum]:
    """The gated sum, and the projection, which has no gates, beside it."""
    projected = held.get("projection_kernel")
    carried = projected[0] if projected else units
    where = f" of {name}" if name else ""
    unit = term("units", f"units{where}", units)
    products: list[tuple[Term, ...]] = [
        (term("inputs", f"input features{where}", inputs), unit),
        (term("state", f"values carried to the next step{where}", carried), unit),
    ]
    products += [(unit,)] * _bias_vectors(held, gates * units)
    gated = Sum(outer=(term("gates", f"gates: {_GATES[gates]}", gates),), products=tuple(products))
    if not projected:
        return [gated]
    down = (term("projection", f"projected size (proj_size){where}", carried), unit)
    return [gated, Sum(products=(down,))]


def _bias_vectors(held: _Held, width: int) -> int:
    """How many bias vectors of one value per gate and unit there are."""
    found = [held.get("bias"), held.get("recurrent_bias")]
    return sum(shape[0] if len(shape) == 2 else shape[0] // width for shape in found if shape)


def _text(name: str, inputs: int, units: int, gates: int, held: _Held) -> str:
    vectors = _bias_vectors(held, gates * units)
    biases = {0: "no bias", 1: "one bias"}.get(vectors, "two biases (one beside the inputs, one beside the state)")
    where = f"{name}: " if name else ""
    gate = "The cell has one set of weights" if gates == 1 else f"There are {gates} gates ({_GATES[gates]}), each"
    linked = "" if gates == 1 else " with weights"
    return (
        f"{where}{gate}{linked} from {inputs} inputs and from the previous state to {units} units, "
        f"with {biases} per unit."
    )
