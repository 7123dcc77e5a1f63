"""Recurrent layers: every kernel once per step in time, for each layer of the stack and each direction."""

from __future__ import annotations

from math import prod
from typing import Any

from service.catalog.keras_classes import kind_of
from service.enrich.cost.convolution import conv_lstm
from service.enrich.cost.work import (
    WEIGHTS_MISSING,
    Call,
    Work,
    bias_elements,
    elements,
    first_shape,
    known_shape,
    unknown,
    whole,
)
from service.language import msg
from service.tree import Shape, Weight

RECURRENT = msg(
    "At every step in time each element of the input, recurrent and projection kernels once, for every layer of the "
    "stack and both directions. FLOPs: two for each, the biases, and the additions and functions of the gates."
)
ONE_STEP = msg(
    "Counted for one step in time of each example, because the number of steps is not known: with more steps it costs "
    "that many times as much."
)
NOT_RECORDED = msg("The file does not record which cell it runs.")
NO_CELL = msg("The class of its cell belongs to neither framework: what it does is not known.")

_ROLES = frozenset({"kernel", "recurrent_kernel", "projection_kernel"})
_GATE_FLOPS = {"lstm": (13, 4), "gru": (11, 3), "simple_rnn": (2, 1)}
"""FLOPs per unit and step beside products and biases, and gates. LSTM: 5 functions, 3 products, 5 additions; GRU: 3, 3
and 5; plain: 1 function, 1 addition."""
_ONNX = frozenset({"LSTM", "GRU", "RNN", "DynamicQuantizeLSTM"})
"""ONNX' operators: kernels `[directions, gates × hidden, inputs]`; `layout` 0 has the steps in front, 1 the batch."""
_BLOBS = frozenset({"simpleRecurrent", "uniDirectionalLSTM", "biDirectionalLSTM"})
"""Layers of Core ML's networks: `[steps, batch, features, 1, 1]`; a shorter input leaves the steps out."""
_STEPS_FIRST = _BLOBS | {"lstm", "gru", "rnn"}
"""And the operations of Core ML's programs and of Paddle."""
_BLOB_AXES = 5
_WITH_DIRECTIONS = 3
_CELLS = {"LSTMCell": "lstm", "GRUCell": "gru", "SimpleRNNCell": "simple_rnn", "RNNCell": "simple_rnn"}


def recurrent(call: Call) -> Work:
    """A recurrent layer of either framework, or one step of it."""
    gates = _cell_kind(call)
    if gates == "conv_lstm":
        return conv_lstm(_inside(call))
    if gates is None:
        recorded = call.kind == "rnn_cell" or isinstance(call.config.get("cell", call.config.get("layer")), dict)
        return unknown(NO_CELL if recorded else NOT_RECORDED)
    held = elements(call, _ROLES) or _configured(call, gates)
    if held is None:
        return unknown(WEIGHTS_MISSING)
    per_step = bias_elements(call, ("bias", "recurrent_bias")) + _gates(call, gates)
    steps = _steps(call)
    if steps is None:
        examples = _examples(call)
        return Work(examples * held, examples * per_step, RECURRENT, (ONE_STEP,), partial=True)
    return Work(steps * held, steps * per_step, RECURRENT)


def _steps(call: Call) -> int | None:
    """Steps in time of all examples together; None where their number is open.

    Where the steps are in front, an open first size is theirs: in `call.ins` the batch stands in its place.
    """
    if not _steps_first(call):
        return prod(call.ins[0][:-1]) if call.ins and len(call.ins[0]) > 1 else None
    sizes = _recorded(call)
    steps = sizes[0] if len(sizes) > 1 else None
    if steps is None:
        return None
    return steps if len(sizes) == 2 else steps * _examples(call)


def _examples(call: Call) -> int:
    """Examples at each step: as recorded behind the steps, else as many as are asked for."""
    sizes = _recorded(call) if _steps_first(call) else ()
    return (sizes[1] if len(sizes) > 2 else None) or call.batch


def _recorded(call: Call) -> Shape:
    """Sizes of the input as the file has them; without, those that arrive, of which the first may be the batch's."""
    sizes: Shape = (None, *call.ins[0][1:]) if call.ins else ()
    if call.layer.input_shapes:
        sizes = call.layer.input_shapes[0]
    return () if call.type in _BLOBS and len(sizes) != _BLOB_AXES else sizes


def _steps_first(call: Call) -> bool:
    """Whether the first axis of the input are the steps, and the examples come second."""
    if call.type in _STEPS_FIRST or call.config.get("time_major") is True:
        return True
    if call.config.get("batch_first") is False:
        return bool(call.layer.input_shapes)
    kernel = first_shape(call, ("recurrent_kernel",)) or ()
    return call.type in _ONNX and len(kernel) == _WITH_DIRECTIONS and not call.config.get("layout")


def _cell_kind(call: Call) -> str | None:
    """lstm, gru, simple_rnn or conv_lstm; None for a cell of the user's own."""
    if call.kind in _GATE_FLOPS:
        return call.kind
    if call.kind == "rnn_cell":
        return _CELLS.get(call.type)
    if call.kind == "bidirectional":
        inner = _entry(call.config.get("layer"))
        kind = kind_of(*inner) if inner else None
        return kind if kind in (*_GATE_FLOPS, "conv_lstm") else _of_cells(_config(call.config.get("layer")))
    return _of_cells(call.config)


def _of_cells(config: dict[str, Any]) -> str | None:
    """The kind of an RNN's cell; of several in a row the first, if all are known."""
    cell = config.get("cell")
    inner = _config(cell).get("cells")
    cells = inner if isinstance(inner, list) else [cell]
    kinds = [_CELLS.get(entry[0]) if (entry := _entry(item)) else None for item in cells[:1000]]
    return kinds[0] if kinds and None not in kinds else None


def _entry(value: Any) -> tuple[str, str | None] | None:
    if not isinstance(value, dict) or not isinstance(value.get("class_name"), str):
        return None
    module = value.get("module")
    return value["class_name"].rsplit(">", 1)[-1], module if isinstance(module, str) else None


def _config(value: Any) -> dict[str, Any]:
    found = value.get("config") if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _inside(call: Call) -> Call:
    """A bidirectional layer of convolutions: the arguments are those of the layer inside."""
    config = _config(call.config.get("layer"))
    outs = call.outs
    return Call(call.kind, call.type, config, call.weights, call.ins, outs, call.batch, call.torch, call.layer)


def _gates(call: Call, kind: str) -> int:
    """FLOPs of the gates per step: their rows are the axis of the recurrent kernels that the state is not on.

    Where inputs and state share a kernel, it is that axis of the kernels.
    """
    flops, gates = _GATE_FLOPS[kind]
    own = [weight for weight in call.weights if weight.role == "recurrent_kernel"]
    read = own or [weight for weight in call.weights if weight.role == "kernel"]
    return sum(_rows(call, weight) for weight in read) * flops // gates


def _rows(call: Call, weight: Weight) -> int:
    """Gates × units of a recurrent kernel, of both directions where it has an axis for them; 0 if it is no matrix."""
    shape = known_shape(weight)
    if shape is None or len(shape) not in (2, _WITH_DIRECTIONS):
        return 0
    if weight.layout is None and call.type != "DynamicQuantizeLSTM":
        first = call.torch or len(shape) == _WITH_DIRECTIONS
    else:
        first = weight.layout == "out-in"
    return prod(shape[:-2]) * shape[-2 if first else -1]


def _configured(call: Call, kind: str) -> int | None:
    units = whole(call.config.get("units"))
    if call.kind not in _GATE_FLOPS or units is None or not call.ins or not call.ins[0]:
        return None
    return _GATE_FLOPS[kind][1] * units * (call.ins[0][-1] + units)


KINDS = dict.fromkeys(("simple_rnn", "lstm", "gru", "rnn", "rnn_cell", "bidirectional"), recurrent)
