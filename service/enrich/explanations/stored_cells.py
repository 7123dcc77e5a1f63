"""Recurrent cells as formats other than Keras' and PyTorch's keep them; knows names, roles and shapes, no wording.

ONNX, OpenVINO and ncnn keep both directions in one array, Core ML and TensorFlow Lite a matrix per gate, PaddlePaddle's
old operators no kernel on the inputs, which another layer multiplies; some have peepholes.
Sources: ONNX Operators (LSTM, GRU, RNN), OpenVINO operation specification (LSTMSequence, GRUSequence), Core ML's
NeuralNetwork.proto, TensorFlow Lite's lstm.cc, ncnn's lstm.cpp and gru.cpp, Paddle's lstm_op.cc and gru_op.cc.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from service.enrich.explanations.cell import GATES, Cell
from service.enrich.explanations.recipe import counted
from service.enrich.explanations.shapes import Sizes, sizes
from service.frameworks import conventions
from service.tree import Layer, Weight

_SUFFIX = re.compile(
    r"^(?:(?P<way>forward|backward)/.*|(?:weight|bias|peephole)(?:_(?:ih|hh|hr))?(?:_(?P<cell>l\d+(?:_reverse)?|back))?)$"
)
_PEEPHOLE = re.compile(r"peephole|cell_to_|^P$", re.IGNORECASE)
_ROLES = {"kernel": "kernel", "recurrent_kernel": "recurrent", "projection_kernel": "projection", "bias": "bias",
          "recurrent_bias": "bias", "scale": "scale"}  # fmt: skip
_DIRECTIONS = {1: ("",), 2: ("forward", "backward")}
_STACKED_RANK = 3
_PEEPHOLES = 3
"""The gates of an LSTM that may see the cell: input, forget and output."""

Held = dict[str, list[Sizes]]
"""Shapes by what the weights are; matrices as (outputs, inputs)."""


def stored_cells(layer: Layer, framework: str) -> list[Cell] | None:
    """The cells in order; None if there is a weight that plain gated cells do not have, or sizes that do not fit."""
    turned = conventions(framework) == "keras"
    grouped = _grouped(counted(layer, framework), turned=turned)
    if not grouped:
        return None
    found = [_cell(name, held) for name, held in grouped]
    wanted = GATES.get(layer.kind)  # an LSTM with coupled gates has the three matrices of a GRU
    known = [cell for cell in found if cell is not None and wanted in (None, cell.gates)]
    return known if len(known) == len(found) else None


def _grouped(weights: tuple[Weight, ...], *, turned: bool) -> list[tuple[str, Held]] | None:
    cells: dict[str, Held] = {}
    directions = _directions(weights)
    names = _DIRECTIONS.get(directions or 1)
    for weight in weights:
        shape, what = sizes(weight), _what(weight)
        if not shape or what is None or names is None or (directions and shape[0] != directions):
            return None
        own = shape[1:] if directions else shape
        if len(own) == 2 and (weight.layout == "in-out" or (turned and weight.layout is None)):
            own = own[::-1]
        for name in names if directions else (_name(weight),):
            cells.setdefault(name, {}).setdefault(what, []).append(own)
    return list(cells.items())


def _directions(weights: tuple[Weight, ...]) -> int | None:
    """How many directions the arrays hold; None where an array is of one cell."""
    shapes = (sizes(weight) for weight in weights if weight.role in ("kernel", "recurrent_kernel"))
    return next((shape[0] for shape in shapes if shape and len(shape) == _STACKED_RANK), None)


def _what(weight: Weight) -> str | None:
    local = weight.name.rpartition("/")[2]
    if _PEEPHOLE.search(local):
        return "peephole"
    if weight.role == "bias" and local == "projection_bias":
        return "projection_bias"
    return _ROLES.get(weight.role)


def _name(weight: Weight) -> str:
    match = _SUFFIX.match(weight.name)
    return (match["way"] or match["cell"] or "") if match else ""


def _cell(name: str, held: Held) -> Cell | None:
    """A cell of arrays that all fit together."""
    kernel, recurrent = _stacked(held.get("kernel")), _stacked(held.get("recurrent"))
    projection = _stacked(held.get("projection"))
    if recurrent is None or (kernel is None and "kernel" in held) or (projection is None and "projection" in held):
        return None
    units, carried = projection[1] if projection else recurrent[1], recurrent[1]
    gates, rest = divmod(recurrent[0], units) if units else (0, 1)
    fits = (kernel is None or kernel[0] == recurrent[0]) and (projection is None or projection[0] == carried)
    vectors = _vectors(held, gates, units) if not rest and gates in GATES.values() and fits else None
    down = held.get("projection_bias", [])
    if vectors is None or (down and (projection is None or down != [(carried,)])):
        return None
    biases, candidate, peepholes, scales = vectors
    return Cell(
        name=name, inputs=kernel[1] if kernel else 0, units=units, gates=gates, carried=carried, biases=biases,
        projected=projection is not None, candidate_biases=candidate, peepholes=peepholes, scales=scales,
        projection_bias=bool(down),
    )  # fmt: skip


def _stacked(shapes: list[Sizes] | None) -> Sizes | None:
    """One matrix, or equal ones per gate, as one: all outputs below each other."""
    if not shapes or len(shapes[0]) != 2 or any(shape != shapes[0] for shape in shapes):
        return None
    return (len(shapes) * shapes[0][0], shapes[0][1])


def _vectors(held: Held, gates: int, units: int) -> tuple[int, int, int, int] | None:
    """Vectors of biases per gate, of the candidate, of peepholes and of scales; None where values are left over."""
    values = _values(held.get("bias", ()))
    biases, rest = divmod(values, gates * units)
    candidate, left = divmod(rest, units)
    peepholes, odd = divmod(_values(held.get("peephole", ())), units)
    scales, uneven = divmod(_values(held.get("scale", ())), units)
    if candidate and gates == GATES["lstm"] and candidate == _PEEPHOLES:
        candidate, peepholes = 0, peepholes + candidate  # PaddlePaddle keeps them behind the biases, in the same array
    gru = gates == GATES["gru"] and candidate <= 1
    lstm = gates == GATES["lstm"]
    if left or odd or uneven or (candidate and not gru) or (peepholes and not lstm) or biases > 2:
        return None
    return biases, candidate, peepholes, scales


def _values(shapes: Iterable[Sizes]) -> int:
    return sum(math.prod(shape) for shape in shapes)
