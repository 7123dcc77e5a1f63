"""Where the examples lie around layers that take steps in time first: ONNX models of open and fixed sizes."""

from __future__ import annotations

from typing import Any

import pytest
from onnx import helper

from service.tree import Layer, Model
from tests.builders import layer, model, weight
from tests.enriching import add_costs
from tests.service.readers.onnx_files import floats, ints, one

SIZES = {"T": 9, "N": 3}


def recurrent(
    shape: list[Any], op: str = "LSTM", *, directions: int = 1, batch_first: bool = False, last: bool = False
) -> Model:
    """A model as PyTorch exports one: transposed, recurrent, its directions put side by side, dense."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    held = [floats("w", directions, gates * 5, 7), floats("r", directions, gates * 5, 5)]
    nodes, x = [], "x"
    if batch_first:
        nodes, x = [helper.make_node("Transpose", ["x"], ["turned"], perm=[1, 0, 2])], "turned"
    way = "forward" if directions == 1 else "bidirectional"
    nodes.append(helper.make_node(op, [x, "w", "r"], ["all", "state"], hidden_size=5, direction=way))
    y = "side"
    if last:
        nodes.append(helper.make_node("Gather", ["state", "index"], ["side"], axis=0))
    elif directions == 1:
        nodes.append(helper.make_node("Squeeze", ["all", "axis"], ["side"]))
    else:
        nodes.append(helper.make_node("Transpose", ["all"], ["beside"], perm=[0, 2, 1, 3]))
        nodes.append(helper.make_node("Reshape", ["beside", "joined"], ["side"]))
    if batch_first and not last:
        nodes.append(helper.make_node("Transpose", ["side"], ["back"], perm=[1, 0, 2]))
        y = "back"
    nodes += [helper.make_node("MatMul", [y, "k"], ["product"]), helper.make_node("Relu", ["product"], ["y"])]
    kernel = floats("k", 5 * (1 if last else directions), 4)
    return one(nodes, shape, *held, ints("axis", 1), ints("joined", 0, 0, -1), scalar(), kernel)


def scalar() -> Any:
    """The index 0, without an axis."""
    return helper.make_tensor("index", 7, (), [0])


def costed(made: Model, batch: int) -> dict[str, Layer]:
    """The layers that run, with their costs."""
    return {one.path: one for one in add_costs(made, batch).layers if one.kind != "parameter"}


@pytest.mark.parametrize("options", [
    {"shape": ["T", "N", 7]}, {"shape": ["T", "N", 7], "directions": 2}, {"shape": ["T", "N", 7], "op": "GRU"},
    {"shape": ["N", "T", 7], "batch_first": True}, {"shape": ["N", "T", 7], "batch_first": True, "directions": 2},
    {"shape": ["N", "T", 7], "batch_first": True, "last": True}, {"shape": ["T", "N", 7], "last": True, "op": "RNN"},
])  # fmt: skip
def test_an_open_batch_costs_what_the_fixed_one_costs(options):
    """With the steps fixed and the batch open, three examples cost what the same file says that has three fixed."""
    steps = [9 if size == "T" else size for size in options["shape"]]
    opened = costed(recurrent(**{**options, "shape": steps}), 3)
    fixed = costed(recurrent(**{**options, "shape": [SIZES.get(size, size) for size in options["shape"]]}), 3)
    assert opened.keys() == fixed.keys()
    for path, made in opened.items():
        assert made.cost.macs == fixed[path].cost.macs, path
        assert made.cost.macs.status == "complete", path
        assert made.cost.activation_elements.value == fixed[path].cost.activation_elements.value, path


@pytest.mark.parametrize("shape", [["T", 1, 7], ["T", "N", 7]])
def test_open_steps_are_not_taken_for_the_batch(shape):
    """`['T', 1, 7]`: the first size is the steps' and open, so nothing behind the layer claims to be complete."""
    for made in costed(recurrent(shape), 2).values():
        assert made.cost.activation_elements.value is None, made.path
        if made.kind in ("lstm", "linear"):
            assert made.cost.macs.status == "partial", made.path


def test_a_batch_fixed_behind_the_steps_is_told():
    """The second size of `['T', 1, 7]` is the batch: two examples were asked for and the file has one."""
    found = add_costs(recurrent(["T", 1, 7]), 2)
    assert any("fixed at 1 examples" in str(note) for note in found.cost.macs.assumptions)


def test_the_given_sizes_are_those_without_the_batch():
    """`input_shape=9,7` of `['T', 'N', 7]` is nine steps: the batch goes between."""
    found = add_costs(recurrent(["T", "N", 7]), 3, ((9, 7),))
    entry = next(one for one in found.layers if one.kind == "input")
    assert entry.cost.activation_elements.value == 9 * 3 * 7


@pytest.mark.parametrize("node", [
    helper.make_node("Reshape", ["side", "flat"], ["back"]), helper.make_node("Reshape", ["side", "open"], ["back"]),
])  # fmt: skip
def test_what_a_reshape_makes_of_the_batch_is_not_guessed(node):
    """`[9, N, 5]` as `[9, -1]` or `[-1, 5]`: the open size is no longer the batch's, and stays open."""
    held = [floats("w", 1, 20, 7), floats("r", 1, 20, 5), ints("axis", 1), ints("flat", 9, -1), ints("open", -1, 5)]
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r"], ["all"], hidden_size=5),
        helper.make_node("Squeeze", ["all", "axis"], ["side"]),
        node,
        helper.make_node("Relu", ["back"], ["y"]),
    ]
    found = costed(one(nodes, [9, "N", 7], *held), 3)
    assert next(made for made in found.values() if made.type == "Relu").cost.activation_elements.value is None


def test_layers_that_take_the_batch_first_stay_as_they_were():
    """`layout=1`, or no recurrent layer at all: the first open size is the batch's."""
    held = [floats("w", 1, 20, 7), floats("r", 1, 20, 5)]
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=5, layout=1)]
    lstm = next(made for made in costed(one(nodes, ["N", 9, 7], *held), 3).values() if made.kind == "lstm")
    assert lstm.cost.macs.value == 3 * 9 * (7 + 5) * 20
    assert lstm.cost.activation_elements.value == 3 * 9 * 5


@pytest.mark.parametrize("shape", [(), (None,), (7,), (None, None), (None,) * 9])
def test_recorded_sizes_that_no_such_layer_has(shape):
    """A damaged file's shapes cost an unknown, never an error, whatever sizes are asked for."""
    kernels = weight("W", (1, 20, 7), "kernel"), weight("R", (1, 20, 5), "recurrent_kernel")
    lstm = layer("a", "lstm", *kernels, type="LSTM", inputs=(), input_shapes=(shape,), output_shapes=(shape,))
    behind = layer("b", "reshape", type="Transpose", inputs=("a",), config={"perm": [3, "x"]}, output_shapes=(shape,))
    gathered = layer("c", "operation", type="Gather", inputs=("b",), config={"axis": 9}, input_shapes=(shape, shape))
    for given in (None, ((4,),), ((4, 7),)):
        found = add_costs(model("onnx", lstm, behind, gathered), 2, given)
        assert len(found.layers) == 3
