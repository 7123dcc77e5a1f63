"""One network in the formats of several frameworks: proved equal, the transforms told, and a planted mistake named."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgpack
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.corpus import corpus_dir
from tests.service.compare.formats import (
    RANDOM,
    RECURRENT,
    Arrays,
    Files,
    both_ways,
    codes,
    files,
    is_proved,
    network,
    proved,
    regated,
    torch,
    verdicts,
    weights,
    written,
)

# Keras and the other formats of TensorFlow


@pytest.mark.parametrize("name", ["network", "plain", "recurrent"])
@pytest.mark.parametrize("ending", ["_saved", "_checkpoint"])
def test_keras_and_tensorflow(name: str, ending: str) -> None:
    """The archive against a SavedModel and a checkpoint: the same arrays, and the same count."""
    folder = corpus_dir("keras_formats")
    found = both_ways(files(folder / f"{name}.keras"), files(folder / f"{name}{ending}"))
    assert found.gap == 0
    assert str(found.summary).startswith(f"Both models count {found.left.counted:,}. ")


def test_keras_and_tensorflow_lite() -> None:
    """Kernels are OHWI and (out, in) there; the order of what was made flat is the same."""
    folder = corpus_dir("keras_formats")
    found = both_ways(files(folder / "plain.keras"), files(folder / "plain.tflite"))
    assert str(found.summary) == (
        "Both models count 5,200. Everything else is equal. The values of all 8 weights are equal."
    )
    told = codes(found)
    assert told["conv", "kernel"] == "permute"
    assert told["deep", "kernel"] == "reshape + transpose"
    assert told["hidden", "kernel"] == told["square", "kernel"] == "transpose"


def test_what_the_converter_folded() -> None:
    """TensorFlow Lite multiplies a normalisation into the convolution: that is the cause, and no mistake."""
    folder = corpus_dir("keras_formats")
    found = both_ways(files(folder / "network.keras"), files(folder / "network.tflite"))
    assert [(cause.code, cause.count) for cause in found.causes] == [("batch_norm_folded", -32)]
    assert str(found.summary).startswith("The right model counts 32 less than the left one. Normalisations that are ")


def tfjs(arrays: Arrays) -> Files:
    """A manifest and one file of weights."""
    weights_ = [{"name": name, "shape": array.shape, "dtype": "float32"} for name, array in arrays.items()]
    manifest = json.dumps([{"paths": ["group1-shard1of1.bin"], "weights": weights_}]).encode()
    data = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    return {"weights_manifest.json": manifest, "group1-shard1of1.bin": data}


def plain() -> dict[str, np.ndarray]:
    """The weights of `plain.keras` by the names that TensorFlow.js gives them."""
    names = ("conv/kernel", "conv/bias", "deep/depthwise_kernel", "deep/bias", "hidden/kernel", "hidden/bias",
             "square/kernel", "square/bias")  # fmt: skip
    with np.load(corpus_dir("keras_formats") / "plain.npz") as stored:
        return dict(zip(names, stored.values(), strict=True))


def test_keras_and_tensorflow_js() -> None:
    """Right; and with a kernel whose axes were exchanged."""
    keras = files(corpus_dir("keras_formats") / "plain.keras")
    both_ways(keras, tfjs(plain()))
    wrong = {**plain(), "square/kernel": plain()["square/kernel"].T}
    assert [problem.code for problem in proved(keras, tfjs(wrong)).problems] == ["not_transposed"]


# PyTorch's state_dict and what others make of it


def test_openvino() -> None:
    """Gates f, i, c, o in an axis of directions, one bias; the normalisation's statistics count nowhere."""
    found = both_ways(torch(weights()), written("network.xml", "network.bin"))
    assert codes(found)["lstm", "weight_ih_l0"] == "reshape + transpose + gate_order"
    assert codes(found)["lstm", "bias_ih_l0 bias_hh_l0"] == "bias_sum + reshape + gate_order"
    assert [(cause.code, cause.count) for cause in found.causes] == [("second_bias", -28)]
    assert "one model keeps one bias for the input and one for the state" in str(found.causes[0].text)


def test_core_ml() -> None:
    """Gates i, f, o, z; its converter folds the normalisation."""
    found = both_ways(torch(weights()), written("network.mlpackage"))
    assert codes(found)["lstm", "weight_hh_l0"] == "gate_order"
    assert {cause.code for cause in found.causes} == {"second_bias", "batch_norm_folded"}


def test_paddle() -> None:
    """Linear kernels are (in, out), in a state and in a program."""
    both_ways(torch(network()), written("network.pdparams"))
    found = both_ways(torch(network()), written("network.json", "network.pdiparams"))
    assert codes(found)["hidden", "weight"] == "transpose"
    assert found.gap == 0


def test_flax() -> None:
    """Channels last: kernels are HWIO, and what was made flat is in another order."""
    found = both_ways(torch(network()), written("network.msgpack"))
    assert codes(found)["conv", "weight"] == "permute"
    assert codes(found)["hidden", "weight"] == "transpose + flatten_order"


def test_attention_of_flax() -> None:
    """Four layers with an axis for the heads against PyTorch's stacked rows; query and key exchanged are named."""
    width, heads = 24, 4
    held = {part: (RANDOM.normal(size=(width, width)), RANDOM.normal(size=width)) for part in ("query", "key", "value")}
    out = RANDOM.normal(size=(width, width)), RANDOM.normal(size=width)
    arrays = {
        "attn.in_proj_weight": np.concatenate([kernel for kernel, _ in held.values()]),
        "attn.in_proj_bias": np.concatenate([bias for _, bias in held.values()]),
        "attn.out_proj.weight": out[0], "attn.out_proj.bias": out[1],
    }  # fmt: skip
    tree = {part: {"kernel": extension(kernel.T.reshape(width, heads, -1)), "bias": extension(bias.reshape(heads, -1))}
            for part, (kernel, bias) in held.items()}  # fmt: skip
    tree["out"] = {"kernel": extension(out[0].T.reshape(heads, -1, width)), "bias": extension(out[1])}
    both_ways(torch(arrays), of_flax(tree))
    wrong = {**tree, "query": tree["key"], "key": tree["query"]}
    assert "projections_swapped" in {problem.code for problem in proved(torch(arrays), of_flax(wrong)).problems}


def extension(array: np.ndarray) -> msgpack.ExtType:
    """An array as Flax packs it."""
    return msgpack.ExtType(1, msgpack.packb((array.shape, array.dtype.name, np.ascontiguousarray(array).tobytes())))


def of_flax(tree: object) -> Files:
    """Parameters of an attention."""
    return {"m.msgpack": msgpack.packb({"params": {"MultiHeadDotProductAttention_0": tree}})}


def test_keras_statistics_and_other_frameworks() -> None:
    """Who counts a BatchNormalization's statistics is told by the frameworks' names, not by Keras' and PyTorch's."""
    left = files(corpus_dir("keras_formats") / "network.keras")
    with np.load(corpus_dir("keras_formats") / "network.npz") as stored:
        right = onnx_of_keras(dict(stored))
    found = proved(left, right)
    is_proved(found)
    assert str(found.summary).startswith(
        "The gap of 16 is BatchNormalization's moving mean (8) and moving variance (8): Keras counts them as weights,"
        " ONNX has them beside its parameters. Everything else is equal."
    )


# ONNX


def model(nodes: list[onnx.NodeProto], inputs: Mapping[str, list[int]], arrays: Arrays) -> Files:
    """A file with these nodes and arrays."""
    made = [helper.make_tensor_value_info(name, 1, shape) for name, shape in inputs.items()]
    outputs = [helper.make_tensor_value_info(node.output[0], 1, None) for node in nodes[-1:]]
    held = [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()]
    return {"model.onnx": helper.make_model(helper.make_graph(nodes, "g", made, outputs, held)).SerializeToString()}


def onnx_of_keras(held: Arrays) -> Files:
    """`network.keras` as a converter from Keras would write it: channels first, transposed before it is made flat."""
    node = helper.make_node
    nodes = [
        node("Transpose", ["image"], ["x"], perm=[0, 3, 1, 2]),
        node("Conv", ["x", "cw", "cb"], ["c"], kernel_shape=[3, 3]),
        node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"]), node("Relu", ["n"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Transpose", ["p"], ["t"], perm=[0, 2, 3, 1]), node("Flatten", ["t"], ["f"]),
    ]  # fmt: skip
    arrays = {
        "cw": held["conv/0"].transpose(3, 2, 0, 1), "cb": held["conv/1"], "g": held["norm/0"], "b": held["norm/1"],
        "m": held["norm/2"], "v": held["norm/3"],
    }  # fmt: skip
    above = "f"
    for name in ("hidden", "square", "out"):
        nodes.append(node("MatMul", [above, f"{name}_w"], [f"{name}_m"], name=f"{name}/MatMul"))
        nodes.append(node("Add", [f"{name}_m", f"{name}_b"], [name], name=f"{name}/Add"))
        arrays |= {f"{name}_w": held[f"{name}/0"], f"{name}_b": held[f"{name}/1"]}
        above = name
    return model(nodes, {"image": [1, 8, 8, 3]}, arrays)


def onnx_of_torch(lstm: tuple[int, ...] = (0, 3, 1, 2)) -> Files:
    """The state_dict of `network` and `RECURRENT` as an exporter writes it; `lstm`: the order that its gates get."""
    ends = ("", "_reverse")

    def stacked(name: str) -> np.ndarray:
        return np.stack([regated(RECURRENT[f"rnn.{name}_l0{end}"], lstm) for end in ends])

    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    gru = {name: regated(RECURRENT[f"gru.{name}_l0"], (1, 0, 2)) for name in names}
    arrays = {
        **network(), "w1": network()["square.weight"].T, "W": stacked("weight_ih"), "R": stacked("weight_hh"),
        "B": np.concatenate((stacked("bias_ih"), stacked("bias_hh")), axis=1),
        "W2": gru["weight_ih"][None], "R2": gru["weight_hh"][None],
        "B2": np.concatenate((gru["bias_ih"], gru["bias_hh"]))[None],
    }  # fmt: skip
    del arrays["square.weight"]
    norm = [f"norm.{name}" for name in ("weight", "bias", "running_mean", "running_var")]
    node = helper.make_node
    nodes = [
        node("LSTM", ["s", "W", "R", "B"], ["z"], name="/rnn/LSTM", hidden_size=7, direction="bidirectional"),
        node("GRU", ["z2", "W2", "R2", "B2"], ["g"], name="/gru/GRU", hidden_size=4, linear_before_reset=1),
        node("Conv", ["x", "conv.weight", "conv.bias"], ["c"], name="/conv/Conv", kernel_shape=[3, 3]),
        node("BatchNormalization", ["c", *norm], ["n"], name="/norm/BatchNormalization"),
        node("Relu", ["n"], ["r"]), node("Flatten", ["r"], ["f"]),
        node("Gemm", ["f", "hidden.weight", "hidden.bias"], ["h"], name="/hidden/Gemm", transB=1),
        node("MatMul", ["h", "w1"], ["m"], name="/square/MatMul"),
        node("Add", ["square.bias", "m"], ["y"], name="/square/Add"),
    ]  # fmt: skip
    return model(nodes, {"x": [1, 3, 8, 8], "s": [6, 1, 5], "z2": [6, 1, 14]}, arrays)


def test_onnx() -> None:
    """Gates i, o, f, c and z, r, h, both directions and both biases in one array, a bias in an addition of its own."""
    found = both_ways(torch({**network(), **RECURRENT}), onnx_of_torch())
    assert found.gap == 0
    told = codes(found)
    assert told["square", "weight"] == "transpose"
    assert told["rnn", "weight_ih_l0_reverse"] == "stack + gate_order"
    assert told["gru", "weight_ih_l0"] == "reshape + transpose + gate_order"
    assert told["gru", "bias_hh_l0"] == "stack + gate_order"
    parts = [weight.transform.parameters["elements"] for pair in found.layers if pair.left == "gru"
             for weight in pair.weights if weight.transform and "elements" in weight.transform.parameters]  # fmt: skip
    assert sorted(parts) == [[0, 12], [12, 24]]


def test_gates_in_the_order_of_another_framework() -> None:
    """PyTorch's order left as it is: named for both directions."""
    problems = proved(torch({**network(), **RECURRENT}), onnx_of_torch((0, 1, 2, 3))).problems
    assert {problem.code for problem in problems} == {"gate_order"}
    assert all("in the order input, forget, cell and output instead of input, output, forget and cell" in str(one.text)
               for one in problems)  # fmt: skip


# Planted mistakes


def test_a_square_matrix_that_was_not_transposed() -> None:
    """Against Paddle's (in, out), TensorFlow Lite's (out, in), OpenVINO and Flax."""
    wrong = {**network(), "square.weight": network()["square.weight"].T}
    for right in (written("network.json", "network.pdiparams"), written("network.msgpack")):
        problems = proved(torch(wrong), right).problems
        assert [problem.code for problem in problems] == ["not_transposed"]
        assert problems[0].layers[0] == "square"


def test_mean_and_variance_swapped_in_an_ir() -> None:
    """Named for OpenVINO as for any other."""
    held = weights()
    wrong = {**held, "norm.running_mean": held["norm.running_var"], "norm.running_var": held["norm.running_mean"]}
    problems = proved(torch(wrong), written("network.xml", "network.bin")).problems
    assert [problem.code for problem in problems] == ["mean_variance_swapped"]


def test_inputs_in_the_other_order() -> None:
    """Flax' map is flattened with channels last; a kernel copied as it is gets named."""
    hidden = network()["hidden.weight"].reshape(16, 8, 36).swapaxes(1, 2).reshape(16, 288)
    wrong = {**network(), "hidden.weight": hidden}
    problems = proved(torch(wrong), written("network.msgpack")).problems
    assert [problem.code for problem in problems] == ["flatten_order"]


# Codes in the place of values


def test_quantised_weights_are_not_held_against_their_values() -> None:
    """Whole numbers that a scale turns into values: no difference is claimed, the transform says what they are."""
    folder = corpus_dir("keras_tflite")
    found = proved(files(folder / "float.tflite"), files(folder / "whole.tflite"))
    assert found.problems == ()
    assert found.status == "partial"
    assert verdicts(found) == {"equal", "unknown"}
    assert "quantize" in codes(found).values()
    assert "differ" not in str(found.summary)
