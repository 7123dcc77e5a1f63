"""Recurrent cells of formats beside Keras and PyTorch: the formula follows from arrays as each format keeps them."""

from __future__ import annotations

import pytest

from service.enrich.explain import explained
from service.tree import Explanation, Layer
from tests.builders import layer, weight

Held = tuple[str, str, tuple[int, ...], str | None]


def explanation(one: Layer, framework: str) -> Explanation:
    """What is said of a layer; no finding holds the file to be wrong."""
    found, findings = explained(one, framework)
    assert found is not None
    assert not findings
    return found


def made(kind: str, *held: Held) -> Layer:
    """A recurrent layer of a recorded class."""
    return layer("l", kind, *(weight(name, shape, role, layout=layout) for name, role, shape, layout in held),
                 type=kind.upper())  # fmt: skip


def gates(prefix: str, role: str, shape: tuple[int, ...], names: tuple[str, ...]) -> list[Held]:
    """One array for each gate."""
    return [(prefix.format(name), role, shape, "out-in" if len(shape) == 2 else None) for name in names]


LSTM = ("input", "forget", "cell", "output")
TFLITE = (
    *gates("input_to_{}_weights", "kernel", (4, 3), LSTM),
    *gates("recurrent_to_{}_weights", "recurrent_kernel", (4, 2), LSTM),
    *gates("cell_to_{}_weights", "parameter", (4,), ("input", "forget", "output")),
    *gates("{}_gate_bias", "bias", (4,), LSTM),
    ("projection_weights", "projection_kernel", (2, 4), "out-in"), ("projection_bias", "bias", (2,), None),
    *gates("{}_layer_norm_coefficients", "scale", (4,), LSTM),
)  # fmt: skip
COREML = tuple(
    one
    for way in ("forward/", "backward/")
    for one in (
        *gates(way + "{}WeightMatrix", "kernel", (4, 3), LSTM),
        *gates(way + "{}RecursionMatrix", "recurrent_kernel", (4, 4), LSTM),
        *gates(way + "{}BiasVector", "bias", (4,), LSTM),
        *gates(way + "{}PeepholeVector", "weight", (4,), LSTM[:3]),
    )
)
CASES: dict[str, tuple[str, str, tuple[Held, ...], str]] = {
    "onnx lstm with peepholes": (
        "onnx", "lstm",
        (("W", "kernel", (1, 16, 3), None), ("R", "recurrent_kernel", (1, 16, 4), None), ("B", "bias", (1, 32), None),
         ("P", "parameter", (1, 12), None)),
        "4 × (3 × 4 + 4 × 4 + 4 + 4) + 3 × 4 = 156",
    ),
    "onnx gru of two directions": (
        "onnx", "gru", (("W", "kernel", (2, 12, 3), None), ("R", "recurrent_kernel", (2, 12, 4), None)),
        "3 × (3 × 4 + 4 × 4) + 3 × (3 × 4 + 4 × 4) = 168",
    ),
    "openvino gru with a bias more for the candidate": (
        "openvino", "gru",
        (("W", "kernel", (1, 12, 3), None), ("R", "recurrent_kernel", (1, 12, 4), None), ("B", "bias", (1, 16), None)),
        "3 × (3 × 4 + 4 × 4 + 4) + 1 × 4 = 100",
    ),
    "openvino cell": (
        "openvino", "simple_rnn",
        (("W", "kernel", (4, 3), None), ("R", "recurrent_kernel", (4, 4), None), ("B", "bias", (4,), None)),
        "1 × (3 × 4 + 4 × 4 + 4) = 32",
    ),
    "ncnn lstm with a projection": (
        "ncnn", "lstm",
        (("weight_xc", "kernel", (16, 3), "out-in"), ("bias_c", "bias", (4, 4), None),
         ("weight_hc", "recurrent_kernel", (16, 2), "out-in"), ("weight_hr", "projection_kernel", (2, 4), "out-in")),
        "4 × (3 × 4 + 2 × 4 + 4) + 2 × 4 = 104",
    ),
    "ncnn gru": (
        "ncnn", "gru",
        (("weight_xc", "kernel", (12, 3), "out-in"), ("bias_c", "bias", (4, 4), None),
         ("weight_hc", "recurrent_kernel", (12, 4), "out-in")),
        "3 × (3 × 4 + 4 × 4 + 4) + 1 × 4 = 100",
    ),
    "tflite lstm with everything": (
        "tflite", "lstm", TFLITE, "4 × (3 × 4 + 2 × 4 + 4) + 2 × 4 + 2 + 3 × 4 + 4 × 4 = 134",
    ),
    "core ml lstm of two directions": (
        "coreml", "lstm", COREML,
        "4 × (3 × 4 + 4 × 4 + 4) + 3 × 4 + 4 × (3 × 4 + 4 × 4 + 4) + 3 × 4 = 280",
    ),
    "core ml program": (
        "coreml", "lstm",
        (("weight_ih", "kernel", (16, 3), "out-in"), ("weight_hh", "recurrent_kernel", (16, 4), "out-in"),
         ("bias", "bias", (16,), None), ("weight_ih_back", "kernel", (16, 3), "out-in"),
         ("weight_hh_back", "recurrent_kernel", (16, 4), "out-in"), ("bias_back", "bias", (16,), None)),
        "4 × (3 × 4 + 4 × 4 + 4) + 4 × (3 × 4 + 4 × 4 + 4) = 256",
    ),
    "paddle's old gru": (
        "paddle", "gru", (("Weight", "recurrent_kernel", (4, 12), "in-out"), ("Bias", "bias", (1, 12), None)),
        "3 × (4 × 4 + 4) = 60",
    ),
    "paddle's old lstm, peepholes in the bias": (
        "paddle", "lstm", (("Weight", "recurrent_kernel", (4, 16), "in-out"), ("Bias", "bias", (1, 28), None)),
        "4 × (4 × 4 + 4) + 3 × 4 = 92",
    ),
    "a file that does not name its framework": (
        "unknown", "lstm",
        (("weight_ih_l0", "kernel", (16, 3), "out-in"), ("weight_hh_l0", "recurrent_kernel", (16, 4), "out-in"),
         ("bias_ih_l0", "bias", (16,), None), ("bias_hh_l0", "recurrent_bias", (16,), None)),
        "4 × (3 × 4 + 4 × 4 + 4 + 4) = 144",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_formulas(case: tuple[str, str, tuple[Held, ...], str]) -> None:
    """Gates × (inputs + state + biases), once per direction, and what few cells have behind it."""
    framework, kind, held, formula = case
    found = explanation(made(kind, *held), framework)
    assert (found.formula, found.status) == (formula, "complete")


UNKNOWN: dict[str, tuple[str, str, tuple[Held, ...]]] = {
    "coupled gates": (
        "tflite", "lstm",
        (*gates("input_to_{}_weights", "kernel", (4, 3), LSTM[1:]),
         *gates("recurrent_to_{}_weights", "recurrent_kernel", (4, 4), LSTM[1:])),
    ),
    "a weight of no known role": (
        "onnx", "gru",
        (("W", "kernel", (1, 12, 3), None), ("R", "recurrent_kernel", (1, 12, 4), None),
         ("X", "parameter", (1, 4), None)),
    ),
    "arrays of different directions": (
        "onnx", "gru", (("W", "kernel", (2, 12, 3), None), ("R", "recurrent_kernel", (1, 12, 4), None)),
    ),
    "a flat array": ("paddle", "lstm", (("w_0", "kernel", (624,), "out-in"),)),
    "no units": (
        "ncnn", "lstm",
        (("weight_xc", "kernel", (0, 3), "out-in"), ("weight_hc", "recurrent_kernel", (0, 0), "out-in")),
    ),
    "half a bias": (
        "onnx", "simple_rnn",
        (("W", "kernel", (1, 4, 3), None), ("R", "recurrent_kernel", (1, 4, 4), None), ("B", "bias", (1, 6), None)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_the_honest_sum_where_a_weight_is_not_understood(case: tuple[str, str, tuple[Held, ...]]) -> None:
    """No formula is claimed, and no finding blames the file."""
    framework, kind, held = case
    one = made(kind, *held)
    found = explanation(one, framework)
    assert "the sum of their sizes" in str(found.text) or not found.total
    assert found.total == sum(weight.count or 0 for weight in one.weights)


def test_what_few_cells_have_is_said() -> None:
    """Peepholes, a bias of the candidate, normalised gates, inputs that another layer multiplies."""
    text = str(explanation(made("lstm", *TFLITE), "tflite").text)
    assert "3 gates see the cell through a weight of each unit (peepholes)." in text
    assert "4 gates are normalised, with a scale for each unit." in text
    old = explanation(made("gru", *CASES["paddle's old gru"][2]), "paddle")
    assert "another layer multiplies the inputs" in str(old.text)
    ncnn = explanation(made("gru", *CASES["ncnn gru"][2]), "ncnn")
    assert "The candidate has one bias more for each unit." in str(ncnn.text)


def test_fixed_tensors_are_no_part_of_a_cell() -> None:
    """OpenVINO lists the initial states beside the weights: they are in no count."""
    one = layer(
        "l", "gru", weight("input_1", (1, 1, 4), "constant", "other"), weight("W", (1, 12, 3), "kernel"),
        weight("R", (1, 12, 4), "recurrent_kernel"), type="GRUSequence",
    )  # fmt: skip
    assert explanation(one, "openvino").formula == "3 × (3 × 4 + 4 × 4) = 84"
