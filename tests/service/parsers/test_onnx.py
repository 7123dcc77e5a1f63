"""ONNX' messages: what the onnx package writes is read back, values stay in the file, graphs stay fields."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from service.config import Limits
from service.parsers.onnx import function_of, graph_of, model_of, training_of
from service.parsers.onnx_messages import EXTERNAL, Graph
from service.parsers.onnx_reading import Reading
from service.parsers.protobuf import Blocks
from service.source import BytesSource, Meter


def reading(made: onnx.ModelProto) -> Reading:
    limits = Limits()
    return Reading(Blocks(BytesSource(made.SerializeToString(), Meter(limits))), limits)


def graph(*nodes: onnx.NodeProto, initializers: tuple[TensorProto, ...] = (), inputs: tuple = ()) -> Graph:
    given = reading(helper.make_model(helper.make_graph(list(nodes), "g", list(inputs), [], list(initializers))))
    found = model_of(given).graph
    assert found is not None
    return graph_of(given, found)


def test_attributes_of_every_sort() -> None:
    """Numbers, texts and lists as values; tensors and graphs as fields that nobody has read yet."""
    inner = helper.make_graph([], "inner", [], [])
    node = helper.make_node("Op", ["a", "", "b"], ["c"], name="n", domain="d", f=0.5, i=-3, s="word", fs=[1.0, 2.0],
                            is_=[1, -2], ss=["a", "b"], t=helper.make_tensor("t", 1, [1], [1.0]), g=inner)  # fmt: skip
    (found,) = graph(node).nodes
    assert (found.name, found.op, found.domain, found.inputs, found.outputs) == ("n", "Op", "d", ("a", "", "b"), ("c",))
    held = {one.name: one for one in found.attributes.listed}
    assert {name: held[name].value for name in ("f", "i", "s", "fs", "is_", "ss")} == {
        "f": 0.5, "i": -3, "s": "word", "fs": (1.0, 2.0), "is_": (1, -2), "ss": ("a", "b"),
    }  # fmt: skip
    assert (len(held["t"].tensors), len(held["g"].graphs), held["is_"].size) == (1, 1, 2)


def test_long_lists_are_counted_and_kept_in_part() -> None:
    """Trees and linear models of ai.onnx.ml keep their numbers in attributes."""
    (node,) = graph(helper.make_node("TreeEnsemble", [], ["y"], values=[0.5] * 9000)).nodes
    assert (node.attributes.listed[0].size, len(node.attributes.listed[0].value)) == (9000, 4096)


def test_tensors_keep_their_values_in_the_file() -> None:
    """Sizes, type and where the data is: raw, typed, or in another file."""
    raw = helper.make_tensor("raw", TensorProto.INT8, [2, 3], b"abcdef", raw=True)
    typed = helper.make_tensor("typed", TensorProto.INT64, [3], [1, -1, 300])
    outside = TensorProto(name="out", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    entry = outside.external_data.add()
    entry.key, entry.value = "location", "w.bin"
    first, second, third = graph(initializers=(raw, typed, outside)).initializers
    assert (first.name, first.dims, first.type, first.raw.length, first.typed) == ("raw", (2, 3), 3, 6, ())
    assert (second.raw, second.typed_bytes, [one.number for one in second.typed]) == (None, 13, [7])
    assert (third.location, third.external) == (EXTERNAL, (("location", "w.bin"),))


def test_sizes_of_inputs() -> None:
    """Symbolic sizes and those not told are open; what is no tensor has no sizes."""
    inputs = (
        helper.make_tensor_value_info("a", TensorProto.FLOAT16, ["N", 3, None]),
        helper.make_tensor_value_info("b", TensorProto.FLOAT, None),
        helper.make_tensor_value_info("c", TensorProto.FLOAT, []),
        helper.make_tensor_sequence_value_info("d", TensorProto.FLOAT, [3]),
    )
    found = graph(inputs=inputs).inputs
    assert [(one.name, one.type, one.shape) for one in found] == [
        ("a", 10, (None, 3, None)), ("b", 1, None), ("c", 1, ()), ("d", 0, None),
    ]  # fmt: skip


def test_functions_and_training() -> None:
    """A function's names and body; which initializers a training algorithm updates."""
    function = helper.make_function("d", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])],
                                    [helper.make_opsetid("", 21)])  # fmt: skip
    made = helper.make_model(helper.make_graph([], "g", [], []), functions=[function])
    training = made.training_info.add()
    training.algorithm.name = "adam"
    binding = training.update_binding.add()
    binding.key, binding.value = "w", "new"
    given = reading(made)
    top = model_of(given)
    found = function_of(given, top.functions[0])
    assert (found.domain, found.name, [one.name for one in found.body.inputs]) == ("d", "F", ["a"])
    assert [node.op for node in found.body.nodes] == ["Relu"]
    trained = training_of(given, top.training[0])
    assert trained.algorithm is not None
    assert (trained.algorithm.name, trained.updated) == ("adam", ("w",))
