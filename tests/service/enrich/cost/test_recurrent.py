"""Steps, directions and gates of recurrent layers as the formats lay them out, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.config import Limits
from service.costs import LayerCost
from service.formats import Upload
from service.registry import identify, load_readers
from service.source import BytesSource, Meter
from service.tree import Layer, Model
from tests.builders import layer, weight
from tests.enriching import add_costs
from tests.service.enrich.cost.tools import by_path, cost, costed

INPUTS, UNITS = 7, 5
PER_STEP = 20 * INPUTS + 20 * UNITS
FLOPS = 2 * PER_STEP + 40 + UNITS * 13
"""Of an LSTM with both biases of ONNX: two per product, 40 biases, 13 per unit for the gates."""


def lstm(**more: Any) -> Layer:
    """An ONNX LSTM: kernels `[directions, gates × units, ...]`."""
    held = (weight("W", (1, 20, INPUTS), "kernel"), weight("R", (1, 20, UNITS), "recurrent_kernel"),
            weight("B", (1, 40), "bias"))  # fmt: skip
    return layer("x", "lstm", *held, **{"type": "LSTM", **more})


def stored(directions: int, shape: list[Any], op: str = "LSTM", **attributes: Any) -> Model:
    """The same as a file, read."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    sizes = {"W": (gates * UNITS, INPUTS), "R": (gates * UNITS, UNITS), "B": (2 * gates * UNITS,)}
    held = [numpy_helper.from_array(np.ones((directions, *size), np.float32), name) for name, size in sizes.items()]
    node = helper.make_node(op, ["X", "W", "R", "B"], ["Y"], hidden_size=UNITS, name="cell", **attributes)
    ends = [helper.make_tensor_value_info("X", TensorProto.FLOAT, shape)], [
        helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)]  # fmt: skip
    made: onnx.ModelProto = helper.make_model(helper.make_graph([node], "g", *ends, held))
    meter = Meter(Limits())
    upload = Upload({"a.onnx": BytesSource(made.SerializeToString(), meter)}, meter)
    found = identify(upload, load_readers()).read(upload)
    assert isinstance(found, Model)
    return found


def of_cell(model: Model, batch: int = 1) -> LayerCost:
    """The cost of the one recurrent layer."""
    made = add_costs(model, batch)
    found = [one.cost for one in made.layers if one.kind in ("lstm", "gru", "simple_rnn")]
    assert len(found) == 1
    assert found[0] is not None
    return found[0]


@pytest.mark.parametrize(
    ("shape", "attributes", "times"),
    [
        ([12, 1, 7], {}, 12),
        ([12, "N", 7], {}, 36),
        ([12, 2, 7], {}, 24),
        (["N", 12, 7], {"layout": 1}, 36),
    ],
)
def test_known_steps_are_counted(shape: list[Any], attributes: dict[str, Any], times: int) -> None:
    """Batch 3 where the file leaves it open; 12 steps, in front or, with layout 1, behind the batch."""
    found = of_cell(stored(1, shape, **attributes), batch=3)
    assert (found.macs.value, found.macs.status) == (times * PER_STEP, "complete")
    assert (found.flops.value, found.flops.status) == (times * FLOPS, "complete")


@pytest.mark.parametrize(
    ("shape", "attributes", "examples"),
    [(["T", 1, 7], {}, 1), (["T", "N", 7], {}, 3), (["N", "T", 7], {"layout": 1}, 3)],
)
def test_open_steps_are_one_step(shape: list[Any], attributes: dict[str, Any], examples: int) -> None:
    """The batch asked for is never taken for the steps: one step is counted, and said."""
    found = of_cell(stored(1, shape, **attributes), batch=3)
    assert (found.macs.value, found.macs.status) == (examples * PER_STEP, "partial")
    assert any("one step" in str(assumed) for assumed in found.macs.assumptions)


def test_the_gates_of_twelve_steps_of_an_onnx_lstm() -> None:
    """W [1, 20, 7], R [1, 20, 5]: 12 × (2 × 240 + 40 + 65) = 7,020."""
    assert of_cell(stored(1, [12, 1, 7])).flops.value == 7_020


@pytest.mark.parametrize(("op", "gates", "flops"), [("LSTM", 4, 13), ("GRU", 3, 11), ("RNN", 1, 2)])
def test_two_directions_cost_twice(op: str, gates: int, flops: int) -> None:
    """Both directions stand in one kernel of three axes."""
    one, two = (of_cell(stored(n, [12, 1, 7], op, direction="bidirectional" if n > 1 else "forward")) for n in (1, 2))
    assert one.macs.value == 12 * gates * UNITS * (INPUTS + UNITS)
    assert one.flops.value == 2 * one.macs.value + 12 * (2 * gates * UNITS + UNITS * flops)
    assert (two.macs.value, two.flops.value) == (2 * one.macs.value, 2 * one.flops.value)


def test_steps_behind_the_batch_in_openvino() -> None:
    """LSTMSequence reads [batch, steps, features]: an open first size is the batch."""
    held = lstm(type="LSTMSequence", input_shapes=((None, 12, 7),))
    found = cost(held, "openvino", batch=3)
    assert (found.macs.value, found.flops.value, found.macs.status) == (36 * PER_STEP, 36 * FLOPS, "complete")


@pytest.mark.parametrize(
    ("framework", "name", "shape", "expected"),
    [
        ("coreml", "lstm", (None, 1, 7), (1, "partial")),
        ("coreml", "lstm", (12, 1, 7), (12, "complete")),
        ("coreml", "uniDirectionalLSTM", (12, 1, 7, 1, 1), (12, "complete")),
        ("coreml", "uniDirectionalLSTM", (None, 2, 7, 1, 1), (2, "partial")),
        ("coreml", "uniDirectionalLSTM", (7, 1, 1), (3, "partial")),
        ("paddle", "rnn", (12, None, 7), (36, "complete")),
        ("paddle", "rnn", (None, 1, 7), (1, "partial")),
        ("paddle", "lstm", (None, 20), (3, "partial")),
        ("paddle", "lstm", (12, 20), (12, "complete")),
        ("ncnn", "LSTM", None, (3, "partial")),
    ],
)
def test_steps_in_front_elsewhere(framework: str, name: str, shape: Any, expected: tuple[int, str]) -> None:
    """Core ML and Paddle have the steps in front; Core ML's networks with two axes of size one behind the features."""
    held = (weight("w", (20, 7), "kernel", layout="out-in"), weight("r", (20, 5), "recurrent_kernel", layout="out-in"))
    one = layer("x", "lstm", *held, type=name, input_shapes=None if shape is None else (shape,))
    found = cost(one, framework, batch=3).macs
    assert (found.value, found.status) == (expected[0] * PER_STEP, expected[1])


def test_steps_that_only_arrive_are_open() -> None:
    """Where the file has the sizes of the model's input only, its open first size is not the batch either."""
    entry = layer("in", "input", inputs=(), output_shapes=((None, 1, 7),))
    found = by_path(costed("onnx", entry, lstm(inputs=("in",)), batch=3))["x"].macs
    assert (found.value, found.status) == (PER_STEP, "partial")


@pytest.mark.parametrize("config", [{"batch_first": False}, {"time_major": True}])
def test_settings_that_put_the_steps_in_front(config: dict[str, Any]) -> None:
    """PyTorch's batch_first and the time_major of Keras and TFLite: steps known, batch open, and the other way."""
    held = (weight("w", (20, 7), "kernel"), weight("r", (20, 5), "recurrent_kernel"))
    shapes: list[Any] = [(12, None, 7), (None, 1, 7)]
    known, open_ = (
        cost(layer("x", "lstm", *held, type="LSTM", config=config, input_shapes=(shape,)), "torch", batch=3).macs
        for shape in shapes
    )
    assert (known.value, known.status) == (36 * PER_STEP, "complete")
    assert (open_.value, open_.status) == (PER_STEP, "partial")


@pytest.mark.parametrize(
    ("framework", "name", "shape", "layout"),
    [
        ("ncnn", "LSTM", (2, 20, 5), "out-in"),
        ("openvino", "LSTMSequence", (2, 20, 5), None),
        ("onnx", "DynamicQuantizeLSTM", (2, 5, 20), None),
        ("tflite", "LSTM", (40, 5), "out-in"),
        ("paddle", "lstm", (5, 40), "in-out"),
        ("keras", "LSTM", (5, 40), None),
        ("torch", "LSTM", (40, 5), None),
    ],
)
def test_gates_follow_the_layout(framework: str, name: str, shape: Any, layout: str | None) -> None:
    """40 rows of gates in whatever way the kernel is laid out: 40 / 4 units × 13."""
    found = cost(layer("x", "lstm", weight("r", shape, "recurrent_kernel", layout=layout), type=name), framework)
    assert (found.macs.value, found.flops.value) == (200, 400 + 130)
