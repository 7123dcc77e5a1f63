"""ONNX models: layers and weights as the onnx package sees them, roles by operator input, explanations that hold."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.tree import Model
from tests.service.readers.onnx_files import FLOAT, floats, graph, ints, layer, model, one, read, roles, weights

node = helper.make_node


def formulas(found: Model) -> dict[str, str]:
    """Formulas of layers that have complete ones, by path; none may contradict the file."""
    assert not [finding for finding in found.findings if finding.rule in ("formula_mismatch", "config_mismatch")]
    return {
        layer.path: layer.explanation.formula
        for layer in found.layers
        if layer.explanation is not None and layer.explanation.status == "complete"
    }


def test_the_model_says_who_made_it() -> None:
    """IR version, opsets, producer, graph name and metadata."""
    made = model(graph([node("Relu", ["x"], ["y"])], {"x": ["N", 3]}, ["y"]), domain="org.example", model_version=7)
    helper.set_model_props(made, {"author": "somebody"})
    found = read(made)
    assert (found.info.format, found.info.framework, found.info.name) == ("onnx", "onnx", "tested")
    assert (found.info.format_version, found.info.framework_version) == (str(made.ir_version), "21")
    assert found.info.producer == "tester 1.2"
    assert found.info.tags == {
        "opset_import": {"ai.onnx": 21}, "metadata": {"author": "somebody"}, "domain": "org.example",
        "model_version": 7,
    }  # fmt: skip
    assert [(one.path, one.kind, one.type, one.inputs) for one in found.layers] == [
        ("x", "input", "Input", ()), ("Relu_1", "activation", "Relu", ("x",)),
    ]  # fmt: skip
    assert found.layers[1].output_shapes == ((None, 3),)


@pytest.mark.parametrize(
    ("kernel", "attributes", "shape", "kind", "layout", "formula"),
    [
        ((8, 3, 5), {}, ("N", 3, 20), "conv1d", "OIW", "8 × 3 × 5 + 8 = 128"),
        ((8, 3, 3, 3), {}, ("N", 3, 8, 8), "conv2d", "OIHW", "8 × 3 × 3 × 3 + 8 = 224"),
        ((8, 3, 3, 3, 2), {}, ("N", 3, 8, 8, 8), "conv3d", "OIDHW", "8 × 3 × 3 × 3 × 2 + 8 = 440"),
        ((8, 3, 3, 3), {"group": 2}, ("N", 6, 8, 8), "conv2d", "OIHW", "8 × 3 × 3 × 3 + 8 = 224"),
        ((8, 1, 3, 3), {"group": 4}, ("N", 4, 8, 8), "depthwise_conv2d", "OIHW", "8 × 1 × 3 × 3 + 8 = 80"),
    ],
)
def test_convolutions(kernel, attributes, shape, kind, layout, formula) -> None:
    """Kind by rank and group, kernel as [filters, inputs per group, window], exact formula, shape of the output."""
    convolution = node("Conv", ["x", "k", "b"], ["y"], name="/features/0/Conv", **attributes)
    made = model(graph([convolution], {"x": shape}, ["y"], [floats("k", *kernel), floats("b", 8)]))
    found = read(made)
    assert [(one.path, one.kind, one.parent) for one in found.layers[1:]] == [
        ("features", "container", None), ("features/0", "container", "features"),
        ("features/0/Conv", kind, "features/0"),
    ]  # fmt: skip
    assert formulas(found) == {"features/0/Conv": formula}
    held = weights(found)
    assert held["features/0/Conv/W"].layout == layout
    assert {name: (one.role, one.stored_as, one.group) for name, one in held.items()} == {
        "features/0/Conv/W": ("kernel", "k", "unknown"), "features/0/Conv/B": ("bias", "b", "unknown"),
    }  # fmt: skip
    inferred = onnx.shape_inference.infer_shapes(made).graph.output[0].type.tensor_type.shape
    assert found.layers[-1].output_shapes == (tuple(one.dim_value or None for one in inferred.dim),)


def test_transposed_convolution() -> None:
    """Its kernel begins with the input channels."""
    found = one(node("ConvTranspose", ["x", "k", "b"], ["y"], strides=[2, 2]), ["N", 6, 8, 8],
                floats("k", 6, 4, 3, 3), floats("b", 4))  # fmt: skip
    assert layer(found, "ConvTranspose_1").kind == "conv_transpose2d"
    assert formulas(found) == {"ConvTranspose_1": "6 × 4 × 3 × 3 + 4 = 220"}
    assert layer(found, "ConvTranspose_1").output_shapes == ((None, 4, 17, 17),)


@pytest.mark.parametrize(
    ("op", "kernel", "attributes", "layout"),
    [
        ("Gemm", (5, 7), {}, "in-out"),
        ("Gemm", (7, 5), {"transB": 1}, "out-in"),
        ("MatMul", (5, 7), {}, "in-out"),
    ],
)
def test_fully_connected(op, kernel, attributes, layout) -> None:
    """Gemm and MatMul of a matrix are linear, whichever way round the kernel lies."""
    inputs = ["x", "k", "b"] if op == "Gemm" else ["x", "k"]
    found = one(node(op, inputs, ["y"], name="fc", **attributes), ["N", 5], floats("k", *kernel), floats("b", 7))
    assert layer(found, "fc").kind == "linear"
    assert weights(found)["fc/B"].layout == layout
    assert formulas(found)["fc"] == ("5 × 7 + 7 = 42" if op == "Gemm" else "5 × 7 = 35")
    assert layer(found, "fc").output_shapes == ((None, 7),)


def test_a_matrix_product_of_two_inputs_is_no_layer_with_weights() -> None:
    """Nor is one with a vector: neither has a formula, and nothing contradicts the file."""
    product = model(graph([node("MatMul", ["a", "b"], ["y"])], {"a": ["N", 2, 3], "b": ["N", 3, 4]}, ["y"]))
    assert [(one.kind, one.output_shapes) for one in read(product).layers[2:]] == [("operation", ((None, 2, 4),))]
    found = one(node("MatMul", ["x", "v"], ["y"]), ["N", 5], floats("v", 5))
    assert layer(found, "MatMul_1").kind == "operation"
    assert formulas(found) == {"MatMul_1": "5 = 5"}


def test_a_bias_that_is_no_vector_of_units() -> None:
    """Gemm adds any matrix that can be stretched: only a vector with a value per unit is a linear layer's bias."""
    found = one(node("Gemm", ["x", "k", "b"], ["y"]), [4, 5], floats("k", 5, 7), floats("b", 4, 7))
    assert layer(found, "Gemm_1").kind == "operation"
    assert formulas(found) == {"Gemm_1": "5 × 7 + 4 × 7 = 63"}


def test_batch_normalization_roles_by_position() -> None:
    """Scale and offset are parameters, trained or not, nobody says; the moving statistics never are."""
    found = one(node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"]), ["N", 6, 4],
                *(floats(name, 6) for name in "sbmv"))  # fmt: skip
    assert {name: (one.role, one.group, one.trainable) for name, one in weights(found).items()} == {
        "BatchNormalization_1/scale": ("scale", "unknown", None),
        "BatchNormalization_1/B": ("offset", "unknown", None),
        "BatchNormalization_1/input_mean": ("moving_mean", "statistic", False),
        "BatchNormalization_1/input_var": ("moving_variance", "statistic", False),
    }
    assert formulas(found) == {"BatchNormalization_1": "2 × 6 = 12"}
    assert found.totals.parameters == found.totals.statistics == 12


@pytest.mark.parametrize(
    ("op", "kind", "domain", "vectors", "more"),
    [
        ("LayerNormalization", "layer_norm", "", 2, {}),
        ("InstanceNormalization", "instance_norm", "", 2, {}),
        ("GroupNormalization", "group_norm", "", 2, {"num_groups": 2}),
        ("SimplifiedLayerNormalization", "rms_norm", "", 1, {}),
        ("RMSNormalization", "rms_norm", "", 1, {}),
    ],
)
def test_other_normalizations(op, kind, domain, vectors, more) -> None:
    """Vectors of one value per feature, learned and nothing tracked."""
    found = one(node(op, ["x", "s", "b"][: vectors + 1], ["y"], domain=domain, **more), ["N", 6, 6],
                floats("s", 6), floats("b", 6))  # fmt: skip
    made = layer(found, f"{op}_1")
    assert made.kind == kind
    assert [weight.role for weight in made.weights] == ["scale", "offset"][:vectors]
    assert formulas(found)[f"{op}_1"] == f"{vectors} × 6 = {vectors * 6}"


def test_skip_normalization_with_a_bias_of_its_own() -> None:
    """The bias added to what is skipped is none of the normalisation's vectors: no formula is claimed."""
    skip = node("SkipLayerNormalization", ["x", "x", "g", "b", "e"], ["y"], domain="com.microsoft")
    found = one(skip, ["N", 3, 6], *(floats(name, 6) for name in "gbe"), domains=["com.microsoft"])
    made = layer(found, "SkipLayerNormalization_1")
    assert (made.kind, made.module, made.custom) == ("operation", "com.microsoft", False)
    assert roles(made) == {"gamma": "scale", "beta": "offset", "bias": "bias"}
    assert formulas(found) == {"SkipLayerNormalization_1": "6 + 6 + 6 = 18"}


@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent_layers(op, gates) -> None:
    """W, R, B (and an LSTM's peepholes) by position, their sizes kept as stored."""
    names = ["x", "w", "r", "b"] + (["", "", "", "p"] if op == "LSTM" else [])
    peepholes = [floats("p", 2, 15)] if op == "LSTM" else []
    found = one(node(op, names, ["y"], hidden_size=5, direction="bidirectional"), ["T", "N", 7],
                floats("w", 2, gates * 5, 7), floats("r", 2, gates * 5, 5), floats("b", 2, 2 * gates * 5),
                *peepholes)  # fmt: skip
    made = layer(found, f"{op}_1")
    assert made.kind == {"LSTM": "lstm", "GRU": "gru", "RNN": "simple_rnn"}[op]
    expected = {"W": "kernel", "R": "recurrent_kernel", "B": "bias"} | ({"P": "parameter"} if op == "LSTM" else {})
    assert roles(made) == expected
    assert made.output_shapes == ((None, 2, None, 5),)
    assert found.totals.parameters == 2 * gates * 5 * (7 + 5 + 2) + (30 if op == "LSTM" else 0)
    formulas(found)


def test_embedding_and_tied_head() -> None:
    """A table that is looked up and, transposed, is the head's kernel: told twice, counted once."""
    nodes = [
        node("Gather", ["table", "x"], ["h"], name="/embed/Gather"),
        node("Transpose", ["table"], ["t"], perm=[1, 0]),
        node("MatMul", ["h", "t"], ["y"], name="/head/MatMul"),
    ]
    made = graph(nodes, {}, ["y"], [floats("table", 11, 4)])
    made.input.append(helper.make_tensor_value_info("x", TensorProto.INT64, ["N", "T"]))
    found = read(model(made))
    assert formulas(found) == {"embed/Gather": "11 × 4 = 44", "head/MatMul": "4 × 11 = 44"}
    head = weights(found)["head/MatMul/B"]
    assert (head.tied_to, head.layout, head.shape) == ("embed/Gather/data", "out-in", (11, 4))
    assert (found.totals.parameters, found.totals.parameters_with_repeats) == (44, 88)
    assert layer(found, "head/MatMul").output_shapes == ((None, None, 11),)


def test_shapes_and_limits_are_constants() -> None:
    """What only steers an operator is a constant and never trained; a vector that is added may be a bias."""
    nodes = [
        node("Reshape", ["x", "shape"], ["a"]), node("Clip", ["a", "low", "high"], ["b"]),
        node("Mul", ["b", "half"], ["c"]), node("Add", ["c", "bias"], ["y"]),
    ]  # fmt: skip
    found = one(nodes, ["N", 4, 3], ints("shape", 0, -1), floats("low"), floats("high"), floats("half", 1),
                floats("bias", 12))  # fmt: skip
    assert {name: (weight.role, weight.group) for name, weight in weights(found).items()} == {
        "Reshape_1/shape": ("constant", "statistic"), "Clip_1/min": ("constant", "statistic"),
        "Clip_1/max": ("constant", "statistic"), "Mul_1/B": ("constant", "statistic"), "Add_1/B": ("bias", "unknown"),
    }  # fmt: skip
    assert (found.totals.parameters, found.totals.statistics) == (12, 5)
    assert layer(found, "Reshape_1").output_shapes == ((None, 12),)


def test_constant_nodes_in_every_form() -> None:
    """A Constant node is no layer: what it holds belongs to the layer that uses it."""
    sparse = helper.make_sparse_tensor(floats("v", 2), ints("i", 1, 4), [6])
    forms = {
        "value": floats("", 2, 3), "sparse_value": sparse, "value_float": 1.5, "value_floats": [1.0, 2.0],
        "value_int": 3, "value_ints": [1, 2, 3], "value_string": "s", "value_strings": ["a", "b"],
    }  # fmt: skip
    nodes = [node("Constant", [], [f"c_{form}"], **{form: value}) for form, value in forms.items()]
    nodes.append(node("Sum", [f"c_{form}" for form in forms], ["y"]))
    found = read(model(graph(nodes, {}, ["y"])))
    assert [one.path for one in found.layers] == ["Sum_1"]
    assert found.info.tags["constant_nodes"] == len(forms)
    assert [(one.stored_as, one.shape, one.dtype, one.stored_count) for one in found.layers[0].weights] == [
        ("c_value", (2, 3), "float32", None), ("c_sparse_value", (6,), "float32", 2),
        ("c_value_float", (), "float32", None),
        ("c_value_floats", (2,), "float32", None), ("c_value_int", (), "int64", None),
        ("c_value_ints", (3,), "int64", None), ("c_value_string", (), "string", None),
        ("c_value_strings", (2,), "string", None),
    ]  # fmt: skip


def test_constant_of_shape_is_counted_and_not_stored() -> None:
    """Its count follows from its constant input, its bytes are none."""
    fill = node("ConstantOfShape", ["shape"], ["zeros"], value=helper.make_tensor("v", FLOAT, [1], [0.5]))
    found = one([fill, node("Add", ["x", "zeros"], ["y"])], ["N", 40], ints("shape", 30, 40))
    zeros, shape = layer(found, "Add_1").weights
    assert (zeros.shape, zeros.count, zeros.bytes, zeros.stored_as) == ((30, 40), 1200, 0, None)
    assert (zeros.group, zeros.trainable) == ("statistic", False)
    assert (shape.stored_as, shape.role, shape.bytes) == ("shape", "constant", 16)


def test_sparse_initializers() -> None:
    """Counted as they are meant, stored as few values and where they lie."""
    made = graph([node("MatMul", ["x", "k"], ["y"])], {"x": ["N", 10]}, ["y"])
    made.sparse_initializer.append(helper.make_sparse_tensor(floats("k", 3), ints("at", 1, 7, 30), [10, 5]))
    found = read(model(made))
    kernel = weights(found)["MatMul_1/B"]
    assert (kernel.role, kernel.shape, kernel.count, kernel.stored_count) == ("kernel", (10, 5), 50, 3)
    assert (kernel.bytes, kernel.location, kernel.stored_as) == (3 * 4 + 3 * 8, None, "k")


PACKED = {"UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6}
SPELLED = {
    "FLOAT": "float32", "DOUBLE": "float64", "FLOAT4E2M1": "float4_e2m1fn", "FLOAT8E8M0": "float8_e8m0fnu",
    "FLOAT8E4M3FN": "float8_e4m3fn", "FLOAT8E4M3FNUZ": "float8_e4m3fnuz", "FLOAT8E5M2": "float8_e5m2",
    "FLOAT8E5M2FNUZ": "float8_e5m2fnuz", "FLOAT6E2M3": "float6_e2m3fn", "FLOAT6E3M2": "float6_e3m2fn",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(dict(TensorProto.DataType.items())) - {"UNDEFINED", "STRING"}))
def test_every_element_type(name) -> None:
    """Type, count and stored bytes of each element type that the onnx package has, and where whole ones lie."""
    number = TensorProto.DataType.Value(name)
    bits = PACKED.get(name) or np.dtype(helper.tensor_dtype_to_np_dtype(number)).itemsize * 8
    size = -(-5 * bits // 8)
    tensor = helper.make_tensor("t", number, [5], bytes(size), raw=True)
    found = read(model(graph([node("Sum", ["t"], ["y"])], {}, ["y"], [tensor])))
    (weight,) = found.layers[0].weights
    assert (weight.dtype, weight.count, weight.bytes) == (SPELLED.get(name, name.lower()), 5, size)
    assert (weight.location is None) == (name in PACKED and name not in ("INT4", "UINT4"))
    assert not found.findings


def test_values_are_where_the_file_says() -> None:
    """The location of every weight holds exactly the bytes of its values, raw or as packed floats."""
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    typed = helper.make_tensor("typed", FLOAT, [3, 4], values.ravel().tolist())
    tensors = [numpy_helper.from_array(values, "raw"), typed]
    made = model(graph([node("Sum", ["raw", "typed"], ["y"])], {}, ["y"], tensors))
    data = made.SerializeToString()
    for weight in read(data).layers[0].weights:
        place = weight.location
        assert data[place.offset : place.offset + place.length] == values.tobytes()


def test_weights_inside_branches_and_loops() -> None:
    """Subgraphs hang below their node; they see the initializers around them, which are tied where used again."""
    then = graph([node("MatMul", ["x", "inner"], ["t"], name="fc")], {}, ["t"], [floats("inner", 4, 4)])
    other = graph([node("MatMul", ["x", "outer"], ["e"], name="fc")], {}, ["e"])
    body = graph([node("Add", ["state", "outer"], ["next"]), node("Identity", ["go"], ["on"])],
                 {"i": [], "go": [], "state": [4, 4]}, ["on", "next"])  # fmt: skip
    nodes = [
        node("If", ["cond"], ["h"], name="choose", then_branch=then, else_branch=other),
        node("Loop", ["", "", "h"], ["y"], body=body),
    ]
    made = graph(nodes, {"x": ["N", 4]}, ["y"], [floats("outer", 4, 4)])
    made.input.append(helper.make_tensor_value_info("cond", TensorProto.BOOL, []))
    found = read(model(made))
    assert [(one.path, one.kind) for one in found.layers] == [
        ("x", "input"), ("cond", "input"), ("choose", "container"), ("choose/then_branch", "container"),
        ("choose/then_branch/fc", "linear"), ("choose/else_branch", "container"), ("choose/else_branch/fc", "linear"),
        ("Loop_1", "container"), ("Loop_1/body", "container"), ("Loop_1/body/Add_1", "operation"),
        ("Loop_1/body/Identity_1", "reshape"),
    ]  # fmt: skip
    assert layer(found, "Loop_1/body/Add_1").inputs == ("choose",)
    assert weights(found)["Loop_1/body/Add_1/B"].tied_to == "choose/else_branch/fc/B"
    assert found.totals.parameters == 32
    assert formulas(found)["choose/then_branch/fc"] == "4 × 4 = 16"
