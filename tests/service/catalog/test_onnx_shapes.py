"""Sizes by rule: whatever is told is what onnx' own shape inference tells; where that knows, so do the common rules."""

from __future__ import annotations

import random

import onnx
import pytest
from onnx import helper

from service.tree import Shape
from tests.service.readers.onnx_files import floats, graph, ints, model, read

node = helper.make_node

CASES = {
    "strided conv": (node("Conv", ["x", "k"], ["y"], strides=[2, 1], pads=[1, 0, 2, 1], dilations=[1, 2]),
                     ["N", 3, 17, 16], [floats("k", 4, 3, 3, 2)]),
    "same conv": (node("Conv", ["x", "k"], ["y"], strides=[2, 2], auto_pad="SAME_UPPER"), ["N", 3, 17, 16],
                  [floats("k", 4, 3, 3, 3)]),
    "valid conv": (node("Conv", ["x", "k"], ["y"], auto_pad="VALID"), ["N", 3, 17], [floats("k", 4, 3, 3)]),
    "transposed": (node("ConvTranspose", ["x", "k"], ["y"], strides=[2, 3], pads=[1, 0, 0, 1], output_padding=[1, 0]),
                   ["N", 4, 7, 6], [floats("k", 4, 5, 3, 3)]),
    "transposed groups": (node("ConvTranspose", ["x", "k"], ["y"], group=2), ["N", 4, 7], [floats("k", 4, 5, 3)]),
    "transposed to": (node("ConvTranspose", ["x", "k"], ["y"], output_shape=[20]), ["N", 4, 7],
                      [floats("k", 4, 5, 3)]),
    "max pool": (node("MaxPool", ["x"], ["y"], kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 0]),
                 ["N", 3, 9, 8], []),
    "average pool": (node("AveragePool", ["x"], ["y"], kernel_shape=[2], auto_pad="SAME_LOWER", strides=[2]),
                     ["N", 3, 9], []),
    "ceil pool": (node("MaxPool", ["x"], ["y"], kernel_shape=[3], strides=[2], ceil_mode=1), ["N", 3, 9], []),
    "global pool": (node("GlobalAveragePool", ["x"], ["y"]), ["N", 3, 9, 8], []),
    "gemm": (node("Gemm", ["x", "k"], ["y"], transA=1), [5, "N"], [floats("k", 5, 7)]),
    "matmul": (node("MatMul", ["x", "k"], ["y"]), ["N", 1, 4, 5], [floats("k", 3, 5, 6)]),
    "matmul vector": (node("MatMul", ["x", "k"], ["y"]), ["N", 4, 5], [floats("k", 5)]),
    "vector matmul": (node("MatMul", ["x", "k"], ["y"]), [5], [floats("k", 2, 5, 6)]),
    "stretched": (node("Add", ["x", "k"], ["y"]), ["N", 1, 5], [floats("k", 4, 1)]),
    "reshape": (node("Reshape", ["x", "s"], ["y"]), ["N", 4, 6], [ints("s", 0, -1, 3)]),
    "reshape whole": (node("Reshape", ["x", "s"], ["y"]), [2, 4, 6], [ints("s", -1, 3)]),
    "flatten": (node("Flatten", ["x"], ["y"], axis=2), ["N", 4, 6, 5], []),
    "flatten from behind": (node("Flatten", ["x"], ["y"], axis=-1), [2, 4, 6], []),
    "transpose": (node("Transpose", ["x"], ["y"], perm=[0, 2, 1]), ["N", 4, 6], []),
    "transpose all": (node("Transpose", ["x"], ["y"]), ["N", 4, 6], []),
    "concat": (node("Concat", ["x", "x", "k"], ["y"], axis=-2), [2, 4, 6], [floats("k", 2, 3, 6)]),
    "squeeze": (node("Squeeze", ["x", "a"], ["y"]), ["N", 1, 6, 1], [ints("a", 1, -1)]),
    "squeeze all": (node("Squeeze", ["x"], ["y"]), [3, 1, 6, 1], []),
    "unsqueeze": (node("Unsqueeze", ["x", "a"], ["y"]), ["N", 6], [ints("a", 0, -1)]),
    "slice": (node("Slice", ["x", "a", "b", "c", "d"], ["y"]), ["N", 10, 9],
              [ints("a", 1, -1), ints("b", 2**40, -9), ints("c", 1, 2), ints("d", 3, -2)]),
    "split": (node("Split", ["x", "s"], ["y", "z"], axis=1), ["N", 9], [ints("s", 4, 5)]),
    "split evenly": (node("Split", ["x"], ["y", "z"], axis=-1, num_outputs=2), ["N", 8], []),
    "pad": (node("Pad", ["x", "p"], ["y"]), ["N", 4, 6], [ints("p", 0, 1, 2, 0, 3, -1)]),
    "resize": (node("Resize", ["x", "", "s"], ["y"]), ["N", 4, 6, 5],
               [helper.make_tensor("s", 1, [4], [1.0, 1.0, 2.5, 1.3])]),
    "resize to": (node("Resize", ["x", "", "", "s"], ["y"]), [1, 4, 6, 5], [ints("s", 1, 4, 9, 9)]),
    "gather": (node("Gather", ["x", "i"], ["y"], axis=1), ["N", 9, 4], [ints("i", 1, 2, 3)]),
    "expand": (node("Expand", ["x", "s"], ["y"]), [3, 1], [ints("s", 2, 1, 6)]),
    "tile": (node("Tile", ["x", "r"], ["y"]), ["N", 4], [ints("r", 1, 3)]),
    "mean": (node("ReduceMean", ["x", "a"], ["y"], keepdims=0), ["N", 4, 6], [ints("a", -1)]),
    "mean of all": (node("ReduceMean", ["x"], ["y"], keepdims=1), ["N", 4, 6], []),
    "sum of none": (node("ReduceSum", ["x"], ["y"], noop_with_empty_axes=1), ["N", 4], []),
    "arg max": (node("ArgMax", ["x"], ["y"], axis=1, keepdims=0), ["N", 4, 6], []),
    "lstm": (node("LSTM", ["x", "w", "r"], ["y", "h", "c"], hidden_size=3, direction="bidirectional"), ["T", "N", 5],
             [floats("w", 2, 12, 5), floats("r", 2, 12, 3)]),
    "gru by batch": (node("GRU", ["x", "w", "r"], ["y", "h"], hidden_size=3, layout=1), ["N", "T", 5],
                     [floats("w", 1, 9, 5), floats("r", 1, 9, 3)]),
    "to space": (node("DepthToSpace", ["x"], ["y"], blocksize=2), ["N", 8, 3, 5], []),
    "to depth": (node("SpaceToDepth", ["x"], ["y"], blocksize=2), ["N", 2, 6, 4], []),
    "shape": (node("Shape", ["x"], ["y"], start=1), ["N", 8, 3], []),
}  # fmt: skip


def ours(made: onnx.ModelProto) -> tuple[Shape, ...] | None:
    return read(made).layers[-1].output_shapes


def theirs(made: onnx.ModelProto) -> list[Shape | None]:
    found = onnx.shape_inference.infer_shapes(made, strict_mode=True, data_prop=True)
    return [
        tuple(axis.dim_value if axis.HasField("dim_value") else None for axis in one.type.tensor_type.shape.dim)
        if one.type.tensor_type.HasField("shape") else None
        for one in found.graph.output
    ]  # fmt: skip


def made(name: str) -> onnx.ModelProto:
    last, shape, initializers = CASES[name]
    outputs = [helper.make_tensor_value_info(out, onnx.TensorProto.UNDEFINED, None) for out in last.output]
    of = graph([last], {"x": shape}, [], initializers)
    of.output.extend(outputs)
    for one in of.output:
        one.ClearField("type")
    return model(of)


@pytest.mark.parametrize("name", CASES)
def test_sizes_are_those_of_onnx_own_inference(name) -> None:
    """Every output of every rule, open batches included."""
    found = ours(made(name))
    assert found is not None
    assert list(found) == theirs(made(name))


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_claimed_of_unknown_inputs(name) -> None:
    """With other ranks and open sizes, what is told never contradicts onnx' own inference, and nothing breaks."""
    draw = random.Random(name)  # noqa: S311 - a corpus, not a secret
    for _ in range(25):
        changed = made(name)
        axes = changed.graph.input[0].type.tensor_type.shape.dim
        for _ in range(draw.randrange(3)):
            if axes and draw.random() < 0.4:
                del axes[draw.randrange(len(axes))]
            elif axes:
                axis = axes[draw.randrange(len(axes))]
                axis.ClearField("dim_value")
                axis.dim_param = "open"
        found = ours(changed)
        try:
            expected = theirs(changed)
        except onnx.shape_inference.InferenceError:
            continue
        for shape, other in zip(found or (), expected, strict=False):
            if other is not None:
                assert len(shape) == len(other)
                assert all(a is None or b is None or a == b for a, b in zip(shape, other, strict=True))


def test_shapes_computed_in_the_graph() -> None:
    """Shape, Gather, Unsqueeze and Concat in front of Reshape are followed: the usual way to flatten a batch."""
    nodes = [
        node("Shape", ["x"], ["s"]), node("Gather", ["s", "zero"], ["n"]), node("Unsqueeze", ["n", "axes"], ["u"]),
        node("Concat", ["u", "rest"], ["shape"], axis=0), node("Reshape", ["x", "shape"], ["y"]),
    ]  # fmt: skip
    zero = helper.make_tensor("zero", onnx.TensorProto.INT64, [], [0])
    for batch, expected in ((6, (6, 20)), ("N", (None, None))):
        found = read(model(graph(nodes, {"x": [batch, 4, 5]}, ["y"], [zero, ints("axes", 0), ints("rest", -1)])))
        assert found.layers[-1].output_shapes == (expected,)


def test_what_the_graph_tells_goes_before_the_rules() -> None:
    """value_info fills what no rule knows, and a rule fills what value_info leaves open."""
    of = graph([node("Strange", ["x"], ["h"], domain="my"), node("Relu", ["h"], ["y"])], {"x": ["N"]}, ["y"])
    of.value_info.append(helper.make_tensor_value_info("h", onnx.TensorProto.FLOAT, ["N", 4]))
    found = read(model(of, domains=["my"]))
    assert found.layers[-1].output_shapes == ((None, 4),)


def test_sizes_stay_bounded() -> None:
    """A chain of operators that add axes or multiply sizes ends in sizes that nobody knows, not in endless ones."""
    grow = [node("Unsqueeze", [f"h{index}", "axes"], [f"h{index + 1}"]) for index in range(9)]
    found = read(model(graph(grow, {"h0": [2]}, ["h9"], [ints("axes", *range(10))])))
    assert found.layers[6].output_shapes == ((*[1] * 60, 2),)
    assert found.layers[7].output_shapes is None
    times = [node("Tile", [f"h{index}", "r"], [f"h{index + 1}"]) for index in range(3)]
    found = read(model(graph(times, {"h0": [2]}, ["h3"], [ints("r", 2**40)])))
    assert [layer.output_shapes for layer in found.layers[1:]] == [((2**41,),), ((None,),), ((None,),)]
