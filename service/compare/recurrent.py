"""Units of recurrent layers: one per layer of a stack and direction, gates by name; knows both frameworks' orders.

Sources: `keras.layers.LSTMCell` (gates i, f, c, o), `GRUCell` (z, r, h; with `reset_after` two rows of biases);
`torch.nn.LSTM` (i, f, g, o), `torch.nn.GRU` (r, z, n), each with a bias for the input and one for the state.
"""

from __future__ import annotations

import re

from service.compare import kernels
from service.compare.units import Slot, Unit, View, place, sizes, whole
from service.tree import Layer, Weight

FAMILIES = ("lstm", "gru", "simple_rnn")
_GATES: dict[tuple[str, bool], tuple[str, ...]] = {
    ("lstm", False): ("input", "forget", "cell", "output"),
    ("lstm", True): ("input", "forget", "cell", "output"),
    ("gru", False): ("update", "reset", "new"),
    ("gru", True): ("reset", "update", "new"),
}
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


def unit(layer: Layer, weights: list[Weight], tag: str, torch: bool) -> Unit:
    """One level in one direction."""
    family = _family(layer, weights, torch)
    gates = _GATES.get((family, torch), ())
    slots: dict[str, Slot] = {}
    for weight in weights:
        for role, view in _views(layer, weight, torch):
            gated = bool(gates) and role != "projection_kernel" and (view.shape or (0,))[-1] % len(gates) == 0
            place(slots, role, view, gates if gated else ())
    return Unit(layer=layer, family=family, slots=slots, tag=tag)


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
    if weight.role == "bias" and len(sizes(weight) or ()) == 2 and weight.shape and weight.shape[0] == 2:
        return [("bias", kernels.row(layer, weight, 0)), ("recurrent_bias", kernels.row(layer, weight, 1))]
    return [(weight.role if weight.role in ("bias", "recurrent_bias") else weight.name, whole(layer, weight))]
