"""ONNX models beyond plain layers: quantised in every way, functions, training information, operators of others."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import FunctionProto, TensorProto, helper

from service.errors import MalformedFile
from tests.service.readers.onnx_files import floats, graph, ints, layer, model, one, read, roles, weights

node = helper.make_node
MS = "com.microsoft"


def bytes8(name: str, *shape: int) -> TensorProto:
    return floats(name, *shape, dtype=np.int8)


def test_dequantised_weights_belong_to_their_layer() -> None:
    """QDQ: an int8 kernel behind DequantizeLinear is the convolution's, with scale and zero point; no layer between."""
    nodes = [
        node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]), node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], axis=0), node("DequantizeLinear", ["b", "bs"], ["bd"]),
        node("Conv", ["xd", "wd", "bd"], ["y"], name="conv"),
    ]  # fmt: skip
    found = one(nodes, ["N", 3, 8, 8], bytes8("w", 4, 3, 3, 3), floats("ws", 4), bytes8("wz", 4), floats("bs", 4),
                floats("b", 4, dtype=np.int32), floats("xs"), bytes8("xz"))  # fmt: skip
    assert [layer.path for layer in found.layers] == ["x", "QuantizeLinear_1", "DequantizeLinear_1", "conv"]
    made = layer(found, "conv")
    assert made.kind == "conv2d"
    assert roles(made) == {
        "W": "kernel", "W_scale": "quant_scale", "W_zero_point": "zero_point", "B": "bias", "B_scale": "quant_scale",
    }  # fmt: skip
    kernel = made.weights[0]
    assert (kernel.dtype, kernel.count, kernel.bytes) == ("int8", 108, 108)
    assert (kernel.group, kernel.layout) == ("frozen", "OIHW")
    assert made.explanation.formula == "4 × 3 × 3 × 3 + 4 = 112"
    assert made.explanation.status == "complete"
    assert weights(found)["DequantizeLinear_1/x_scale"].tied_to == "QuantizeLinear_1/y_scale"
    assert found.totals.parameters == 112


def test_operators_on_quantised_numbers() -> None:
    """QOperator: kernel, scales and zero points by position; the count is the convolution's."""
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"]
    made = graph([node("QLinearConv", names, ["y"], name="conv"),
                  node("QLinearMatMul", ["y", "xs", "xz", "m", "ms", "mz", "ys", "yz"], ["z"], name="fc")],
                 {}, ["z"], [floats("xs"), bytes8("xz"), bytes8("w", 4, 3, 1, 1), floats("ws", 4), bytes8("wz", 4),
                             floats("ys"), bytes8("yz"), floats("b", 4, dtype=np.int32), bytes8("m", 8, 5),
                             floats("ms"), bytes8("mz")])  # fmt: skip
    made.input.append(helper.make_tensor_value_info("x", TensorProto.INT8, ["N", 3, 8, 8]))
    found = read(model(made))
    conv, product = layer(found, "conv"), layer(found, "fc")
    assert (conv.kind, product.kind) == ("conv2d", "linear")
    assert (conv.explanation.formula, product.explanation.formula) == ("4 × 3 × 1 × 1 + 4 = 16", "8 × 5 = 40")
    assert conv.explanation.status == product.explanation.status == "complete"
    assert " ".join(roles(conv)) == "x_scale x_zero_point w w_scale w_zero_point y_scale y_zero_point B"
    assert conv.output_shapes == ((None, 4, 8, 8),)
    assert product.output_shapes == ((None, 4, 8, 5),)
    assert {weight.group for weight in conv.weights} == {"frozen", "statistic"}


def test_integer_operators() -> None:
    """ConvInteger and MatMulInteger have kernels as their float relatives do."""
    convolution = node("ConvInteger", ["x", "w", "xz", "wz"], ["y"], name="conv")
    found = one(convolution, ["N", 3, 8], bytes8("w", 4, 3, 3), bytes8("xz"), bytes8("wz"))
    assert (layer(found, "conv").kind, layer(found, "conv").explanation.formula) == ("conv1d", "4 × 3 × 3 = 36")
    product = node("MatMulInteger", ["x", "w", "xz", "wz"], ["y"], name="fc")
    found = one(product, ["N", 8], bytes8("w", 8, 5), bytes8("xz"), bytes8("wz"))
    assert (layer(found, "fc").kind, layer(found, "fc").explanation.formula) == ("linear", "8 × 5 = 40")


def test_kernels_packed_in_blocks() -> None:
    """MatMulNBits: 4-bit values two to a byte, told as what they stand for and as what is stored."""
    packed = node("MatMulNBits", ["x", "w", "s", "z"], ["y"], domain=MS, name="fc", K=64, N=10, bits=4, block_size=32)
    found = one(packed, ["N", 64], floats("w", 10, 2, 16, dtype=np.uint8), floats("s", 20),
                floats("z", 10, dtype=np.uint8), domains=[MS])  # fmt: skip
    made = layer(found, "fc")
    kernel, scales, zeros = made.weights
    assert (kernel.role, kernel.shape, kernel.count, kernel.stored_count) == ("packed_kernel", (10, 64), 640, 320)
    assert (kernel.bytes, kernel.layout, kernel.dtype) == (320, "out-in", "uint8")
    assert (scales.role, zeros.role) == ("quant_scale", "zero_point")
    assert made.explanation.formula.startswith("64 × 10")
    assert made.explanation.status == "complete"
    assert made.output_shapes == ((None, 10),)
    assert (found.totals.parameters, found.totals.statistics) == (640, 30)


def test_four_bit_initializers() -> None:
    """An int4 kernel behind DequantizeLinear: logical count, half the bytes."""
    kernel = helper.make_tensor("w", TensorProto.INT4, [6, 4], bytes(12), raw=True)
    found = one([node("DequantizeLinear", ["w", "s"], ["wd"]), node("MatMul", ["x", "wd"], ["y"], name="fc")],
                ["N", 6], kernel, floats("s"))  # fmt: skip
    assert [(one.dtype, one.count, one.bytes) for one in layer(found, "fc").weights] == [
        ("int4", 24, 12), ("float32", 1, 4),
    ]  # fmt: skip
    assert layer(found, "fc").explanation.formula == "6 × 4 = 24"


# Functions


def dense() -> FunctionProto:
    """A function of a matrix product and a constant bias."""
    return helper.make_function(
        "local", "Dense", ["x", "w"], ["y"],
        [node("MatMul", ["x", "w"], ["h"]), node("Constant", [], ["c"], value=floats("", 4)),
         node("Add", ["h", "c"], ["y"])],
        [helper.make_opsetid("", 21)],
    )  # fmt: skip


def test_a_function_is_described_once() -> None:
    """Its body hangs below the first call; later calls tell what they are given, in the roles it has inside."""
    nodes = [node("Dense", ["x", "k1"], ["h"], domain="local", name="first"),
             node("Dense", ["h", "k2"], ["i"], domain="local", name="second"),
             node("Dense", ["i", "i"], ["y"], domain="local", name="third")]  # fmt: skip
    made = model(graph(nodes, {"x": ["N", 4]}, ["y"], [floats("k1", 4, 4), floats("k2", 4, 4)]),
                 domains=["local"], functions=[dense()])  # fmt: skip
    found = read(made)
    assert [(one.path, one.kind, one.type, one.inputs) for one in found.layers] == [
        ("x", "input", "Input", ()), ("first", "container", "Dense", ("x",)),
        ("first/MatMul_1", "linear", "MatMul", ("x",)), ("first/Add_1", "operation", "Add", ("first/MatMul_1",)),
        ("second", "operation", "Dense", ("first",)), ("third", "operation", "Dense", ("second",)),
    ]  # fmt: skip
    assert weights(found)["first/MatMul_1/B"].stored_as == "k1"
    assert weights(found)["second/w"].role == "kernel"
    assert layer(found, "third").shared_with == "first"
    assert layer(found, "first").output_shapes is None or layer(found, "first").output_shapes == ((None, 4),)
    assert found.totals.parameters == 36
    assert not found.security


def test_a_function_that_nobody_calls_is_told_too() -> None:
    """Its constants are in the file and therefore in the answer."""
    made = model(graph([node("Relu", ["x"], ["y"])], {"x": ["N", 4]}, ["y"]), domains=["local"], functions=[dense()])
    found = read(made)
    assert [str(note) for note in layer(found, "Dense").notes] == ["No node of the graph calls this function."]
    assert found.totals.parameters == 4


@pytest.mark.parametrize("through", [["A"], ["B", "A"]])
def test_functions_that_call_themselves(through) -> None:
    """Directly or through others: ONNX forbids it, and it would never end."""
    names = ["A", *through[:-1]]
    calls = dict(zip(names, through, strict=True))
    functions = [
        helper.make_function("local", name, ["x"], ["y"], [node(callee, ["x"], ["y"], domain="local")],
                             [helper.make_opsetid("local", 1)])
        for name, callee in calls.items()
    ]  # fmt: skip
    made = model(graph([node("A", ["x"], ["y"], domain="local")], {"x": [1]}, ["y"]), domains=["local"],
                 functions=functions)  # fmt: skip
    with pytest.raises(MalformedFile, match="A calls itself"):
        read(made)


def test_attributes_of_a_call_reach_the_body() -> None:
    """A node of a function may take an attribute from the call."""
    inner = node("LeakyRelu", ["x"], ["y"])
    attribute = inner.attribute.add()
    attribute.name, attribute.ref_attr_name, attribute.type = "alpha", "slope", 1
    function = helper.make_function("local", "Leaky", ["x"], ["y"], [inner], [helper.make_opsetid("", 21)], ["slope"])
    made = model(graph([node("Leaky", ["x"], ["y"], domain="local", slope=0.5)], {"x": [1]}, ["y"]),
                 domains=["local"], functions=[function])  # fmt: skip
    assert layer(read(made), "Leaky_1/LeakyRelu_1").config == {"alpha": 0.5}


# Training and operators of others


def test_training_information_says_what_learns() -> None:
    """What the algorithm updates is trainable, the rest frozen, both as recorded; its own tensors are its state."""
    made = model(graph([node("Gemm", ["x", "k", "b"], ["y"], name="fc")], {"x": ["N", 5]}, ["y"],
                       [floats("k", 5, 7), floats("b", 7)]))  # fmt: skip
    training = made.training_info.add()
    training.algorithm.CopyFrom(graph([node("Identity", ["m"], ["k_new"])], {}, ["k_new"], [floats("m", 5, 7)]))
    binding = training.update_binding.add()
    binding.key, binding.value = "k", "k_new"
    found = read(made)
    assert [(one.group, one.trainable, one.trainable_source) for one in layer(found, "fc").weights] == [
        ("trainable", True, "recorded"), ("frozen", False, "recorded"),
    ]  # fmt: skip
    (state,) = found.states
    assert (state.group, [weight.name for weight in state.weights]) == ("optimizer", ["m"])
    assert (found.totals.parameters, found.totals.optimizer) == (42, 35)


def test_operators_that_need_code_of_their_own() -> None:
    """A domain that is neither ONNX' nor ONNX Runtime's is a danger; Python operators are a great one."""
    nodes = [node("Fancy", ["x", "w"], ["h"], domain="my.ops"), node("PyOp", ["h"], ["y"], domain="ai.onnx.contrib")]
    found = one(nodes, ["N", 4], floats("w", 3, 3), domains=["my.ops", "ai.onnx.contrib"])
    assert [(danger.code, danger.severity, danger.detail) for danger in found.security] == [
        ("onnx_python_operator", "high", "ai.onnx.contrib.PyOp"), ("onnx_custom_operator", "low", "my.ops.Fancy"),
    ]  # fmt: skip
    assert (layer(found, "Fancy_1").kind, layer(found, "Fancy_1").custom) == ("custom", True)
    assert roles(layer(found, "Fancy_1")) == {"input_1": "parameter"}


def test_operators_of_onnx_runtime_that_only_compute() -> None:
    """Its own kernels, in its own layouts too, their gradients and the optimizers of ONNX are no dangers."""
    nodes = [
        node("SkipLayerNormalization", ["x", "x", "g"], ["a"], domain=MS), node("BeamSearch", ["a"], ["b"], domain=MS),
        node("Conv", ["b", "k"], ["c"], domain="com.microsoft.nchwc"), node("MoE", ["c"], ["d"], domain=MS),
        node("MaxPool", ["d"], ["e"], domain="com.ms.internal.nhwc"), node("LSTMGrad", ["e"], ["f"], domain=MS),
        node("SoftmaxCrossEntropyLossInternalGrad", ["f"], ["h"], domain=MS),
        node("Adam", ["h"], ["y"], domain="ai.onnx.preview.training"),
    ]  # fmt: skip
    found = one(nodes, ["N", 4], floats("g", 4), floats("k", 2, 2, 3, 3), domains=[MS])
    assert found.security == ()
    assert found.complete


@pytest.mark.parametrize(
    ("domain", "op", "given", "code", "severity"),
    [
        (MS, "PythonOp", {"func_name": "mine.Function"}, "onnx_python_operator", "high"),
        (MS, "PythonOpGrad", {}, "onnx_python_operator", "high"),
        (MS, "PyOp", {"module": "os", "class_name": "system"}, "onnx_python_operator", "critical"),
        (MS, "TritonOp", {"func_name": "triton_f"}, "onnx_python_operator", "high"),
        ("", "PyOp", {}, "onnx_python_operator", "high"),
        ("ai.onnx.contrib", "PyCustomOpDef", {}, "onnx_python_operator", "high"),
        ("org.pytorch.aten", "ATen", {"operator": "embedding"}, "onnx_python_operator", "high"),
        (MS, "EPContext", {"embed_mode": 0, "ep_cache_context": "../../etc/passwd"}, "onnx_file_operator", "high"),
        (MS, "EPContext", {"onnx_model_filename": "/etc/passwd"}, "onnx_file_operator", "high"),
        (MS, "EPContext", {"embed_mode": 0, "ep_cache_context": "m_ctx.bin"}, "onnx_compiled_operator", "medium"),
        (MS, "EPContext", {"ep_cache_context": "/etc"}, "onnx_compiled_operator", "medium"),
        (MS, "Snpe", {}, "onnx_compiled_operator", "medium"),
        ("com.microsoft.extensions", "AzureTritonInvoker", {"model_uri": "https://a"}, "onnx_network_operator", "high"),
        (MS, "NcclAllReduce", {}, "onnx_network_operator", "medium"),
        (MS, "Fancy", {}, "onnx_custom_operator", "low"),
        ("ai.onnx.preview.training", "Fancy", {}, "onnx_custom_operator", "low"),
        ("ai.onnx.contrib", "BertTokenizer", {}, "onnx_custom_operator", "low"),
    ],
)  # fmt: skip
def test_operators_of_onnx_runtime_that_reach_further(domain, op, given, code, severity) -> None:
    """Python, files outside, other machines, compiled programs; what its domains do not have is somebody else's.

    The detail says the operator, and the name, path or address that the node gives it.
    """
    found = one(node(op, ["x"], ["y"], domain=domain, **given), ["N", 4], domains=[domain] if domain else [])
    (danger,) = found.security
    assert (danger.code, danger.severity) == (code, severity)
    assert danger.detail.startswith(f"{domain}.{op}".strip("."))
    assert found.complete is (code not in ("onnx_compiled_operator", "onnx_file_operator"))


def test_a_function_does_not_hide_an_operator() -> None:
    """A function of the model may be called as one of ONNX Runtime's: which of the two runs is the runtime's choice."""
    body = [helper.make_node("Relu", ["x"], ["y"])]
    functions = [helper.make_function(MS, op, ["x"], ["y"], body, [helper.make_opsetid("", 21)])
                 for op in ("EPContext", "Fancy")]  # fmt: skip
    nodes = [node("EPContext", ["x"], ["h"], domain=MS), node("Fancy", ["h"], ["y"], domain=MS)]
    found = read(model(graph(nodes, {"x": [1, 4]}, ["y"]), domains=[MS], functions=functions))
    assert [danger.code for danger in found.security] == ["onnx_compiled_operator"]


def test_weights_in_compiled_programs_are_not_counted() -> None:
    """The answer says so, and how many nodes hold one."""
    nodes = [node("EPContext", ["x"], ["h"], domain=MS), node("EPContext", ["h"], ["y"], domain=MS)]
    found = one(nodes, ["N", 4], domains=[MS])
    assert not found.complete
    assert [str(note) for note in found.notes if "compiled" in str(note)] == [
        "Weights in programs that were compiled for a device are not counted: EPContext (nodes: 2)."
    ]


def test_an_initializer_given_twice_counts_once() -> None:
    """The last is the one that ONNX Runtime takes; dense or sparse, and a finding says which name it is."""
    found = one(node("MatMul", ["x", "w"], ["y"], name="m"), ["N", 4], floats("w", 4, 5), floats("w", 4, 3),
                floats("b", 2))  # fmt: skip
    assert [(told.rule, told.severity, told.path) for told in found.findings] == [
        ("duplicate_initializer", "high", "w")
    ]
    assert weights(found)["m/B"].shape == (4, 3)
    assert found.totals.parameters == 14


def test_the_same_name_in_a_subgraph_is_another_initializer() -> None:
    """Names are those of one graph: an inner one hides an outer one, and both are in the file."""
    branches = {key: graph([node("Add", ["x", "w"], ["o"])], {}, ["o"], [floats("w", 4)])
                for key in ("then_branch", "else_branch")}  # fmt: skip
    nodes = [node("Mul", ["x", "w"], ["h"]), node("If", ["c"], ["y"], **branches)]
    found = read(model(graph(nodes, {"x": ["N", 4], "c": []}, ["y"], [floats("w", 4)])))
    assert (found.totals.parameters, found.findings) == (12, ())


def test_attention_with_its_projections_in_one() -> None:
    """ONNX Runtime's Attention has the kernels of query, key and value side by side."""
    found = one(node("Attention", ["x", "w", "b"], ["y"], domain=MS, num_heads=2), ["N", 3, 6], floats("w", 6, 18),
                floats("b", 18), domains=[MS])  # fmt: skip
    made = layer(found, "Attention_1")
    assert (made.kind, roles(made)) == ("multi_head_attention", {"weights": "qkv_kernel", "bias": "qkv_bias"})
    assert (made.explanation.formula, made.explanation.status) == ("3 × (6 × 6 + 6) = 126", "complete")
    assert not found.findings
    assert found.totals.parameters == 126


def test_names_give_the_tree() -> None:
    """Steps of names are containers; a name that is also a step, and names given twice, stay apart."""
    nodes = [node("Relu", ["x"], ["a"], name="/block"), node("Relu", ["a"], ["b"], name="/block/relu"),
             node("Relu", ["b"], ["c"], name="/block/relu"), node("Relu", ["c"], ["y"], name="x")]  # fmt: skip
    found = one(nodes, ["N", 4])
    assert [(one.path, one.parent) for one in found.layers] == [
        ("x", None), ("block", None), ("block/Relu", "block"), ("block/relu", "block"), ("block/relu_2", "block"),
        ("x_2", None),
    ]  # fmt: skip


def test_initializers_that_nobody_uses() -> None:
    """They are in the file, so they are told, each by itself."""
    found = one(node("Relu", ["x"], ["y"]), ["N", 4], floats("left/over", 3, 3), ints("n", 1))
    assert [(one.path, one.kind) for one in found.layers[2:]] == [
        ("left", "container"), ("left/over", "parameter"), ("n", "parameter"),
    ]  # fmt: skip
    assert (found.totals.parameters, found.totals.statistics) == (9, 1)


def test_initializers_that_are_inputs_too() -> None:
    """Before IR version 4 every initializer was listed as an input; it is none."""
    made = graph([node("MatMul", ["x", "w"], ["y"])], {"x": ["N", 3], "w": [3, 2]}, ["y"], [floats("w", 3, 2)])
    found = read(model(made, ir_version=3))
    assert [one.path for one in found.layers] == ["x", "MatMul_1"]


def test_typed_numbers_steer_shapes() -> None:
    """A shape may be written in int64_data as well as raw."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [3], [-1, 2, 6])
    assert not shape.raw_data
    found = one(node("Reshape", ["x", "shape"], ["y"]), [4, 3, 2], shape)
    assert layer(found, "Reshape_1").output_shapes == ((2, 2, 6),)


def test_several_outputs_are_listed() -> None:
    """No edge tells that the model returns what comes out of them."""
    made = graph([node("Relu", ["x"], ["a"]), node("Tanh", ["a"], ["b"])], {"x": ["N"]}, ["a", "b"])
    assert read(model(made)).info.tags["outputs"] == ["Relu_1", "Tanh_1"]
