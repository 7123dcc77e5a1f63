"""Recurrent cells as Keras and PyTorch keep them; knows names and shapes, no wording, and who knows other formats.

Keras keeps the gates of a kernel side by side, Keras 1 in arrays of their own, PyTorch one below the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from service.enrich.explanations.cell import GATES, Cell
from service.enrich.explanations.joined_cells import joined_cell
from service.enrich.explanations.shapes import Sizes, sizes
from service.enrich.explanations.stored_cells import stored_cells
from service.tree import Layer, Weight

_SUFFIX = re.compile(r"^(?:weight|bias)_(?:ih|hh|hr)(?:_(?P<cell>l\d+(?:_reverse)?))?$")
_NAMED_ALIKE = frozenset({"keras", "tensorflow", "torch"})
"""Frameworks whose recurrent weights bear the names of Keras or PyTorch."""
_MOST_BIASES = 2
"""No cell has more vectors of biases; a formula would spell out each of a stored shape's."""


def cells_of(layer: Layer, framework: str) -> list[Cell] | None:
    """The cells in order; None if the weights are not those of plain gated cells."""
    if framework not in _NAMED_ALIKE:
        return stored_cells(layer, framework)
    joined = joined_cell(layer) if framework == "tensorflow" else None
    if joined is not None:
        return [joined]
    grouped = _by_suffix(layer) if framework == "torch" else _by_kernel(layer)
    found = [_cell(name, weights, framework) for name, weights in grouped]
    known = [cell for cell in found if cell is not None]
    return known if len(known) == len(found) else None


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
    biases = sum(_vectors(held.get(role), gates * units) for role in ("bias", "recurrent_bias"))
    if biases > _MOST_BIASES:
        return None
    return Cell(
        name=name,
        inputs=kernel[0],
        units=units,
        gates=gates,
        carried=recurrent[0],
        biases=biases,
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
