"""Recurrent cells of TensorFlow 1, whose kernels read inputs and state together; knows roles and shapes, no wording.

An LSTM has one kernel `[inputs + state, 4 × units]`, a GRU two, `[inputs + state, 2 × units]` for its gates and
`[inputs + state, units]` for the candidate. Source: tensorflow/python/ops/rnn_cell_impl.py of TensorFlow 1.15.
"""

from __future__ import annotations

import math

from service.enrich.explanations.cell import GATES, Cell
from service.enrich.explanations.shapes import Sizes, sizes
from service.tree import Layer

_KERNELS = {1: (1,), 3: (2, 1), 4: (4,)}
"""Widths of the kernels, in units, by how many gates they hold together."""
_MOST_PEEPHOLES = 3


def joined_cell(layer: Layer) -> Cell | None:
    """The cell; None if there is a kernel on the state alone, or there are weights that do not fit."""
    gates = GATES.get(layer.kind)
    held: dict[str, list[Sizes]] = {}
    for weight in layer.weights:
        held.setdefault(weight.role, []).append(sizes(weight) or ())
    if gates is None or not held.keys() <= {"kernel", "bias", "projection_kernel", "weight"}:
        return None
    kernels, projections = held.get("kernel", []), held.get("projection_kernel", [])
    if any(len(kernel) != 2 for kernel in (*kernels, *projections)):
        return None
    units, rest = divmod(sum(kernel[1] for kernel in kernels), gates)
    rows = {kernel[0] for kernel in kernels}
    widths = sorted((kernel[1] for kernel in kernels), reverse=True)
    if rest or len(rows) != 1 or widths != [units * one for one in _KERNELS[gates]]:
        return None
    carried = projections[0][1] if projections else units
    biases, peepholes = _vectors(held.get("bias", []), gates * units), _vectors(held.get("weight", []), units)
    fits = len(projections) <= 1 and all(one[0] == units for one in projections) and min(rows) > carried
    if not fits or biases not in (0, 1) or peepholes is None or peepholes > _MOST_PEEPHOLES * (gates == GATES["lstm"]):
        return None
    return Cell(
        name="", inputs=min(rows) - carried, units=units, gates=gates, carried=carried, biases=biases,
        projected=bool(projections), peepholes=peepholes, joined=True,
    )  # fmt: skip


def _vectors(found: list[Sizes], width: int) -> int | None:
    """How many vectors of `width` values the arrays hold; None where values are left over, or one is no vector."""
    count, rest = divmod(sum(math.prod(shape) for shape in found), width) if width else (0, 1)
    return None if rest or any(len(shape) != 1 for shape in found) else count
