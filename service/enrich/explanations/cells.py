"""Recurrent cells read from weights: inputs, units, gates, biases of each; knows names and shapes, no wording.

Keras keeps the gates of a kernel side by side, Keras 1 in arrays of their own, PyTorch one below the other, ONNX as
PyTorch, with both directions in one array.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from service.enrich.explanations.shapes import Sizes, by_role, sizes
from service.tree import Frozen, Layer, Weight

GATES = {"simple_rnn": 1, "gru": 3, "lstm": 4}
_STACKED_RANK = 3
_DIRECTIONS = {1: ("",), 2: ("forward", "backward")}
_SUFFIX = re.compile(r"^(?:weight|bias)_(?:ih|hh|hr)(?:_(?P<cell>l\d+(?:_reverse)?))?$")


class Cell(Frozen, frozen=True, kw_only=True):
    """One cell. `carried` values go to the next step: `units`, or fewer where they are projected.

    `biases` counts the vectors of one value per gate and unit.
    """

    name: str
    inputs: int
    units: int
    gates: int
    carried: int
    biases: int
    projected: bool

    @property
    def sizes(self) -> tuple[object, ...]:
        """What makes two cells equal."""
        return (self.inputs, self.units, self.gates, self.carried, self.biases, self.projected)

    @property
    def bias_values(self) -> int:
        """Values in one bias vector of all gates."""
        return self.gates * self.units


def cells_of(layer: Layer, framework: str) -> list[Cell] | None:
    """The cells in order; None if the weights are not those of plain gated cells."""
    kernel = sizes(by_role(layer).get("kernel"))
    if kernel is not None and len(kernel) == _STACKED_RANK:
        return _by_direction(layer, kernel)
    grouped = _by_suffix(layer) if framework == "torch" else _by_kernel(layer)
    found = [_cell(name, weights, framework) for name, weights in grouped]
    known = [cell for cell in found if cell is not None]
    return known if len(known) == len(found) else None


def _by_direction(layer: Layer, kernel: Sizes) -> list[Cell] | None:
    """ONNX keeps both directions in arrays of three axes: [directions, gates × units, inputs], two biases in one."""
    held = {weight.role: sizes(weight) for weight in layer.weights if weight.group != "statistic"}
    recurrent, bias = held.get("recurrent_kernel"), held.get("bias")
    directions, width, inputs = kernel
    units = recurrent[-1] if recurrent else 0
    gates, rest = divmod(width, units) if units else (0, 1)
    fits = recurrent == (directions, width, units) and bias in (None, (directions, 2 * width))
    names = _DIRECTIONS.get(directions)
    plain = not set(held) - {"kernel", "recurrent_kernel", "bias"}
    if rest or gates not in GATES.values() or not fits or not plain or names is None:
        return None
    return [
        Cell(name=name, inputs=inputs, units=units, gates=gates, carried=units, biases=0 if bias is None else 2,
             projected=False)
        for name in names
    ]  # fmt: skip


def _by_suffix(layer: Layer) -> Iterable[tuple[str, list[Weight]]]:
    by_cell: dict[str, list[Weight]] = {}
    for weight in layer.weights:
        match = _SUFFIX.match(weight.name)
        by_cell.setdefault((match["cell"] or "") if match else weight.name, []).append(weight)
    return by_cell.items()


def _by_kernel(layer: Layer) -> Iterable[tuple[str, list[Weight]]]:
    """Keras lists a cell's weights one after the other, its kernel first; names of equal cells may be alike."""
    cells: list[tuple[str, list[Weight]]] = []
    for weight in layer.weights:
        name = weight.name.rpartition("/")[0]
        if not cells or (weight.role == "kernel" and name != cells[-1][0]):
            cells.append((name, []))
        cells[-1][1].append(weight)
    return cells


def _cell(name: str, weights: list[Weight], framework: str) -> Cell | None:
    held = {role: _joined(role, weights) for role in dict.fromkeys(weight.role for weight in weights)}
    kernel, recurrent = held.get("kernel"), held.get("recurrent_kernel")
    if kernel is None or recurrent is None or len(kernel) != 2 or len(recurrent) != 2 or None in held.values():
        return None
    if framework == "torch":
        kernel, recurrent = kernel[::-1], recurrent[::-1]
    projection = held.get("projection_kernel")
    units = projection[1] if projection and len(projection) == 2 else recurrent[0]
    gates, rest = divmod(kernel[1], units) if units else (0, 1)
    if rest or gates not in GATES.values() or recurrent[1] != gates * units:
        return None
    return Cell(
        name=name,
        inputs=kernel[0],
        units=units,
        gates=gates,
        carried=recurrent[0],
        biases=sum(_vectors(held.get(role), gates * units) for role in ("bias", "recurrent_bias")),
        projected=projection is not None,
    )


def _joined(role: str, weights: list[Weight]) -> Sizes | None:
    """Shape of the weight of a role; of one array per gate, as Keras 1 kept them, that of all side by side."""
    shapes = [sizes(weight) for weight in weights if weight.role == role]
    first = shapes[0]
    if not first or any(shape != first for shape in shapes):
        return None
    return (*first[:-1], first[-1] * len(shapes))


def _vectors(shape: Sizes | None, width: int) -> int:
    """How many bias vectors of one value per gate and unit a bias holds: (width,), (2, width) or (2 × width,)."""
    if not shape:
        return 0
    return shape[0] if len(shape) == 2 else max(1, shape[0] // width)
