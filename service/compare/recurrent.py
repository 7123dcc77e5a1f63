"""Units of recurrent layers: one per layer of a stack and direction, gates by name; knows each framework's order.

Sources: `keras.layers.LSTMCell` (gates i, f, c, o), `GRUCell` (z, r, h; with `reset_after` two rows of biases);
`torch.nn.LSTM` (i, f, g, o), `torch.nn.GRU` (r, z, n), each with a bias for the input and one for the state; ONNX's
operators LSTM (i, o, f, c) and GRU (z, r, h), both biases of a direction in one row; OpenVINO's LSTMSequence (f, i, c,
o) and GRUSequence (z, r, h); coremltools' MIL operations lstm (i, f, o, z) and gru (r, o, z); ncnn's LSTM (I, F, O, G)
and GRU (R, U, N).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from math import prod

from service.compare import kernels
from service.compare.units import Slot, Unit, View, place, sizes, whole
from service.frameworks import conventions
from service.tree import Layer, Weight

FAMILIES = ("lstm", "gru", "simple_rnn")
_GATES: dict[tuple[str, bool], tuple[str, ...]] = {
    ("lstm", False): ("input", "forget", "cell", "output"),
    ("lstm", True): ("input", "forget", "cell", "output"),
    ("gru", False): ("update", "reset", "new"),
    ("gru", True): ("reset", "update", "new"),
}
_OWN_GATES: dict[tuple[str, str], tuple[str, ...]] = {
    ("lstm", "onnx"): ("input", "output", "forget", "cell"),
    ("lstm", "openvino"): ("forget", "input", "cell", "output"),
    ("lstm", "coreml"): ("input", "forget", "output", "cell"),
    ("lstm", "ncnn"): ("input", "forget", "output", "cell"),
    ("gru", "onnx"): ("update", "reset", "new"),
    ("gru", "openvino"): ("update", "reset", "new"),
    ("gru", "coreml"): ("reset", "new", "update"),
}
"""Orders of frameworks that follow neither."""
_BY_BLOCKS = {4: "lstm", 3: "gru", 1: "simple_rnn"}
_LEVEL = re.compile(r"_l(\d{1,6})(_reverse)?\Z")


def is_recurrent(weights: list[Weight]) -> bool:
    """Whether these weights of one group belong to a recurrent layer."""
    return any(weight.role == "recurrent_kernel" and len(weight.shape or ()) == 2 for weight in weights)


def torch_groups(weights: tuple[Weight, ...]) -> dict[str, list[Weight]]:
    """Weights by level and direction: `` and `backward`, then `level 1` and `level 1 backward` ..."""
    groups: dict[str, list[Weight]] = {}
    for weight in weights:
        found = _LEVEL.search(weight.name)
        level, back = (int(found[1]), bool(found[2])) if found else (0, False)
        tag = " ".join(part for part in (f"level {level}" if level else "", "backward" if back else "") if part)
        groups.setdefault(tag, []).append(weight)
    return groups


def unit(layer: Layer, weights: list[Weight], tag: str, framework: str) -> Unit:
    """One level in one direction."""
    torch = conventions(framework) == "torch"
    family = _family(layer, weights, torch)
    views = [found for weight in weights for found in _views(layer, weight, torch)]
    return _gated(layer, family, views, tag, framework)


def _gated(layer: Layer, family: str, views: list[tuple[str, View]], tag: str, framework: str) -> Unit:
    """A unit of these weights; where each gate has a weight of its own, none is a stack of gates."""
    gates = _OWN_GATES.get((family, framework)) or _GATES.get((family, conventions(framework) == "torch"), ())
    counts = Counter(role for role, _ in views)
    slots: dict[str, Slot] = {}
    for role, view in views:
        stacked = role in _STACKED and counts[role] == 1 and (view.shape or (0,))[-1] % max(len(gates), 1) == 0
        place(slots, role, view, gates if stacked else ())
    return Unit(layer=layer, family=family, slots=slots, tag=tag)


_STACKED = frozenset({"kernel", "recurrent_kernel", "bias", "recurrent_bias"})


def is_directed(weights: Iterable[Weight]) -> bool:
    """Whether the first axis of the weights are the directions, as in ONNX, OpenVINO and ncnn."""
    shapes = (sizes(weight) or () for weight in weights if weight.role == "recurrent_kernel")
    return any(len(shape) == 3 and shape[0] in (1, 2) for shape in shapes)


def directed_units(layer: Layer, framework: str) -> list[Unit]:
    """One unit per direction of a layer whose weights begin with an axis of directions."""
    recurrent = next(weight for weight in layer.weights if is_directed([weight]))
    directions, rows, inner = sizes(recurrent) or (1, 0, 0)
    family = layer.kind if layer.kind in FAMILIES else _BY_BLOCKS.get(rows // inner if inner else 0, "rnn")
    units = []
    for index in range(directions):
        cut = (index, index + 1) if directions > 1 else None
        views = [found for weight in layer.weights for found in _directed(layer, weight, directions, cut, rows)]
        units.append(_gated(layer, family, views, "backward" if index else "", framework))
    return units


def _directed(
    layer: Layer, weight: Weight, directions: int, cut: tuple[int, int] | None, rows: int
) -> list[tuple[str, View]]:
    """One direction's share of a weight; what has no directions belongs to the first."""
    shape = sizes(weight)
    if shape is None or len(shape) < 2 or shape[0] != directions or weight.role not in _STACKED:
        return [] if cut is not None and cut[0] else [(weight.name, whole(layer, weight))]
    if len(shape) == 3 and weight.role != "bias":
        view = View(layer, weight, (shape[2], shape[1]), rows=cut, fold=(shape[1], shape[2]), axes=(1, 0))
        return [(weight.role, view)]
    width = prod(shape[1:])
    if width != 2 * rows:
        return [(weight.role, View(layer, weight, (width,), rows=cut, fold=(width,)))]
    return [(role, View(layer, weight, (rows,), rows=cut, fold=(2, rows), part=(half, half + 1)))
            for half, role in enumerate(("bias", "recurrent_bias"))]  # fmt: skip


def _family(layer: Layer, weights: list[Weight], torch: bool) -> str:
    if layer.kind in FAMILIES:
        return layer.kind
    found = (sizes(weight) for weight in weights if weight.role == "recurrent_kernel")
    shape = next((shape for shape in found if shape is not None and len(shape) == 2), (0, 0))
    width, inner = (shape[0], shape[1]) if torch else (shape[1], shape[0])
    whole_blocks = width // inner if inner and width % inner == 0 else 0
    return _BY_BLOCKS.get(whole_blocks, "rnn")


def _views(layer: Layer, weight: Weight, torch: bool) -> list[tuple[str, View]]:
    if weight.role in ("kernel", "recurrent_kernel", "projection_kernel"):
        return [(weight.role, kernels.linear(layer, weight, torch))]
    shape = sizes(weight)
    if weight.role == "bias" and shape is not None and len(shape) == 2 and shape[0] == 2 and not torch:
        return [("bias", kernels.row(layer, weight, 0)), ("recurrent_bias", kernels.row(layer, weight, 1))]
    if weight.role == "bias" and shape is not None and len(shape) == 2:
        return [("bias", kernels.flat(layer, weight))]
    return [(weight.role if weight.role in ("bias", "recurrent_bias") else weight.name, whole(layer, weight))]
