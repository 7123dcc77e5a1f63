"""Recurrent cells of TensorFlow 1, whose kernels hold inputs and state together: which class, told by names and shapes.

Knows what `tf.nn.rnn_cell` and `tf.contrib.rnn` call their scopes and variables; must not know files. All of it is by
rule. Source: tensorflow/python/ops/rnn_cell_impl.py and tensorflow/contrib/rnn of TensorFlow 1.15.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from service.language import Message, msg
from service.tree import Layer, Shape

_CELL = re.compile(r"(?:.*_)?cell(?:_\d+)?")
_NUMBER = re.compile(r"_\d+$")
_CLASSES = {
    "basic_lstm_cell": ("BasicLSTMCell", "lstm"),
    "lstm_cell": ("LSTMCell", "lstm"),
    "cudnn_compatible_lstm_cell": ("CudnnCompatibleLSTMCell", "lstm"),
    "layer_norm_basic_lstm_cell": ("LayerNormBasicLSTMCell", "lstm"),
    "lstm_fused_cell": ("LSTMBlockFusedCell", "lstm"),
    "gru_cell": ("GRUCell", "gru"),
    "basic_rnn_cell": ("BasicRNNCell", "simple_rnn"),
}
"""Class and kind by the name that TensorFlow gives the scope, where the program gives none."""
_OLD_NAMES = {"weights": "kernel", "biases": "bias"}
"""What the first versions called what Keras calls otherwise."""
_GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}
_PARTS = ("gates", "candidate", "projection")
"""Scopes inside a cell's that hold variables of it."""
_PEEPHOLES = frozenset({"w_i_diag", "w_f_diag", "w_o_diag"})

Shapes = Mapping[str, Shape | None]
"""Shapes of a cell's variables by their names relative to it: `kernel`, `gates/kernel`, `w_i_diag`."""


class Told(NamedTuple):
    """What a cell is. `type` is None where its scope does not bear a class's name, `doubt` says what is open."""

    type: str | None
    kind: str
    doubt: Message | None = None


def cells_in(variables: Iterable[tuple[str, Shape | None]]) -> dict[str, Told]:
    """The cells among variables, given by name and shape; by scope."""
    scopes: dict[str, dict[str, Shape | None]] = {}
    for name, shape in variables:
        scope, _, local = name.rpartition("/")
        scopes.setdefault(scope, {})[_OLD_NAMES.get(local, local)] = shape
    found: dict[str, Told] = {}
    for scope, own in scopes.items():
        above = part_of(scope)
        holder = scope if above is None else above
        if holder in found or not (is_cell(holder) or above is not None or not _PEEPHOLES.isdisjoint(own)):
            continue
        shapes = dict(scopes.get(holder, {}))
        for part in _PARTS:
            shapes.update((f"{part}/{name}", shape) for name, shape in scopes.get(f"{holder}/{part}", {}).items())
        cell = told(holder, shapes)
        if cell is not None:
            found[holder] = cell
    return found


def part_of(scope: str) -> str | None:
    """The scope of the cell that `scope` would be a part of, None if it is none by its name."""
    above, _, last = scope.rpartition("/")
    return above if above and last in _PARTS else None


def is_cell(scope: str) -> bool:
    """Whether a scope bears the name of a cell."""
    return _CELL.fullmatch(scope.rpartition("/")[2]) is not None


def role_in(name: str) -> str:
    """What a variable of a cell is, by its name relative to it."""
    if name in _PEEPHOLES:
        return "weight"
    return "projection_kernel" if name == "projection/kernel" else name.rpartition("/")[2]


def told(scope: str, shapes: Shapes) -> Told | None:
    """The cell that variables of these shapes in `scope` are; None where nothing says that they are one."""
    fitting = tuple(kind for kind, fits in _FITS.items() if fits(shapes))
    class_name, kind = _CLASSES.get(_NUMBER.sub("", scope.rpartition("/")[2]), (None, None))
    if kind is not None:
        return Told(class_name, kind) if kind in fitting else None
    if "gru" in fitting:
        return Told(None, "gru")
    if "lstm" in fitting and not _PEEPHOLES.isdisjoint(shapes):
        return Told(None, "lstm")
    if not fitting or not is_cell(scope):
        return None
    return Told(None, "lstm") if "projection/kernel" in shapes else Told(None, "rnn_cell", _DOUBT)


_DOUBT = msg(
    "Its scope is called a recurrent cell, but not of which class, and cells of several classes keep such variables: "
    "how many units it has is not told."
)


def with_cells(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Operations of a graph, those that multiply by the kernel of a cell with a note that says so."""
    kernels = [weight for layer in layers for weight in layer.weights if weight.role in ("kernel", "bias")]
    cells = cells_in((weight.stored_as or "", weight.shape) for weight in kernels)
    return tuple([_noted(layer, cells) for layer in layers]) if cells else layers


def _noted(layer: Layer, cells: Mapping[str, Told]) -> Layer:
    kernel = next((weight for weight in layer.weights if weight.role == "kernel"), None)
    if kernel is None or layer.kind != "linear":
        return layer
    scope = (kernel.stored_as or "").rpartition("/")[0]
    cell = cells.get(scope) or cells.get(scope.removesuffix("/gates").removesuffix("/candidate"))
    if cell is None or cell.type is None:
        return layer
    note = msg(
        "By the names of its weights this is a product inside a recurrent cell of TensorFlow 1, {cell}: its kernel "
        "reads the inputs of a step and the state of the step before side by side.",
        cell=cell.type,
    )
    return msgspec.structs.replace(layer, notes=(*layer.notes, note))


def state_of(kind: str, kernel: Shape | None, projection: Shape | None = None) -> tuple[int, int, int] | None:
    """Inputs, units and values carried of a cell whose `kernel` reads both side by side; None if it cannot be."""
    if kernel is None or len(kernel) != 2 or not kernel[0] or not kernel[1] or kernel[1] % _GATES[kind]:
        return None
    rows, units = kernel[0], kernel[1] // _GATES[kind]
    carried = units
    if projection is not None:
        if len(projection) != 2 or projection[0] != units or not projection[1]:
            return None
        carried = projection[1]
    return (rows - carried, units, carried) if rows > carried else None


def _fits_lstm(shapes: Shapes) -> bool:
    found = state_of("lstm", shapes.get("kernel"), shapes.get("projection/kernel"))
    if found is None or not _only(shapes, {"kernel", "bias", "projection/kernel", *_PEEPHOLES}):
        return False
    units = found[1]
    return _are(shapes, {"bias": (4 * units,), **dict.fromkeys(_PEEPHOLES, (units,))})


def _fits_gru(shapes: Shapes) -> bool:
    gates, candidate = shapes.get("gates/kernel"), shapes.get("candidate/kernel")
    found = state_of("simple_rnn", candidate)
    names = {"gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias"}
    if found is None or candidate is None or not _only(shapes, names):
        return False
    units = found[1]
    return gates == (candidate[0], 2 * units) and _are(
        shapes, {"gates/bias": (2 * units,), "candidate/bias": (units,)}
    )


def _fits_plain(shapes: Shapes) -> bool:
    found = state_of("simple_rnn", shapes.get("kernel"))
    return found is not None and _only(shapes, {"kernel", "bias"}) and _are(shapes, {"bias": (found[1],)})


def _only(shapes: Shapes, names: set[str]) -> bool:
    return set(shapes) <= names


def _are(shapes: Shapes, wanted: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether those of the variables that are there have these shapes."""
    return all(shapes[name] == shape for name, shape in wanted.items() if name in shapes)


_FITS = {"lstm": _fits_lstm, "gru": _fits_gru, "simple_rnn": _fits_plain}
