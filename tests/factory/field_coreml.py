"""Writes Core ML models of every kind with coremltools, and what coremltools reads back of each, into the folder given.

expected.json: name -> {"layers": {operation or layer: {"type", "arrays": {operand: {"shape", "dtype"} or elements}}},
"values": {operand: first float}}. Packages are folders; `.mlmodel` files are single.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import coremltools as ct
import coremltools.optimize.coreml as cto
import numpy as np
from coremltools.converters.mil import Builder as mb  # noqa: N813 - as its documentation writes it
from coremltools.converters.mil.mil import types
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder
from coremltools.models.neural_network.quantization_utils import quantize_weights
from coremltools.models.utils import load_spec, save_spec
from coremltools.proto import MIL_pb2, Model_pb2

warnings.filterwarnings("ignore")
OUT = Path(sys.argv[1])
EXPECTED: dict[str, dict] = {}
RNG = np.random.default_rng(0)


def values(*shape: int) -> np.ndarray:
    """Random floats."""
    return RNG.standard_normal(shape).astype(np.float32)


# Programs


@mb.program(input_specs=[mb.TensorSpec((1, 3, 32, 32)), mb.TensorSpec((1, 7), dtype=types.int32)],
            opset_version=ct.target.iOS18)  # fmt: skip
def program(x, ids):
    """Every operation that has weights."""
    y = mb.conv(x=x, weight=values(32, 3, 5, 5), bias=values(32), name="conv_1")
    y = mb.relu(x=y, name="relu_1")
    y = mb.batch_norm(x=y, mean=values(32), variance=abs(values(32)), gamma=values(32), beta=values(32), name="bn_1")
    y = mb.conv(x=y, weight=values(32, 1, 3, 3), groups=32, name="dw")
    y = mb.conv_transpose(x=y, weight=values(32, 16, 2, 2), bias=values(16), strides=[2, 2], name="ct")
    y = mb.prelu(x=y, alpha=values(16), name="pr")
    y = mb.reduce_mean(x=y, axes=[2, 3], keep_dims=False)
    y = mb.layer_norm(x=y, axes=[1], gamma=values(16), beta=values(16), name="ln")
    y = mb.linear(x=y, weight=values(40, 16), bias=values(40), name="fc")
    e = mb.gather(x=values(100, 16), indices=ids, axis=0, name="emb")
    e = mb.transpose(x=e, perm=[1, 0, 2])
    zero = np.zeros((1, 8), np.float32)
    h, _, _ = mb.lstm(x=e, initial_h=zero, initial_c=zero, weight_ih=values(32, 16), weight_hh=values(32, 8),
                      bias=values(32), name="lstm")  # fmt: skip
    g, _ = mb.gru(x=h, initial_h=np.zeros((1, 6), np.float32), weight_ih=values(18, 8), weight_hh=values(18, 6),
                  bias=values(18), name="gru")  # fmt: skip
    m = mb.matmul(x=y, y=values(40, 6), name="mm")
    return mb.add(x=m, y=mb.reduce_sum(x=g, axes=[0], keep_dims=False), name="out")


@mb.program(input_specs=[mb.TensorSpec((1, 3, 32, 32))], opset_version=ct.target.iOS16)
def older(x):
    """What older compression knows."""
    y = mb.conv(x=x, weight=values(32, 3, 5, 5), bias=values(32), name="conv_1")
    y = mb.reduce_mean(x=y, axes=[2, 3], keep_dims=False)
    return mb.linear(x=y, weight=values(40, 32), bias=values(40), name="fc")


@mb.program(input_specs=[mb.TensorSpec((4, 8)), mb.TensorSpec((1,))], opset_version=ct.target.iOS16)
def branching(x, flag):
    """A linear layer in each branch of a condition."""
    weight = [values(5, 8), values(5, 8)]
    flag = mb.squeeze(x=mb.cast(x=flag, dtype="bool"))
    return mb.cond(
        pred=flag,
        _true_fn=lambda: mb.linear(x=x, weight=weight[0], name="when_true"),
        _false_fn=lambda: mb.linear(x=x, weight=weight[1], name="when_false"),
        name="choice",
    )


def packages() -> None:
    """Programs, plain and compressed."""
    new = ct.convert(program, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS18,
                     compute_precision=ct.precision.FLOAT32)  # fmt: skip
    old = ct.convert(older, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS16)
    both = ct.convert(branching, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS16)
    keep(new, "plain")
    keep(ct.convert(program, convert_to="mlprogram", minimum_deployment_target=ct.target.iOS18), "fp16")
    keep(both, "branching")
    small = {"weight_threshold": 100}
    linear = cto.OpLinearQuantizerConfig(**small)
    nibbles = cto.OpLinearQuantizerConfig(dtype="int4", granularity="per_block", block_size=8, **small)
    keep(cto.linear_quantize_weights(new, config(linear)), "linear8")
    keep(cto.linear_quantize_weights(new, config(nibbles)), "linear4")
    for bits in (3, 4):
        palette = cto.OpPalettizerConfig(mode="uniform", nbits=bits, **small)
        keep(cto.palettize_weights(new, config(palette)), f"palette{bits}")
    sparse = cto.OpMagnitudePrunerConfig(target_sparsity=0.6, **small)
    keep(cto.prune_weights(new, config(sparse)), "sparse")
    keep(cto.linear_quantize_weights(old, config(linear)), "old_linear8")
    keep(cto.palettize_weights(old, config(cto.OpPalettizerConfig(mode="uniform", nbits=4, **small))), "old_palette4")
    keep(cto.prune_weights(old, config(sparse)), "old_sparse")


def config(one):
    """One way of compressing for all operations."""
    return cto.OptimizationConfig(global_config=one)


def keep(model, name: str) -> None:
    """Save a package and what its protobuf says."""
    model.save(str(OUT / f"{name}.mlpackage"))
    spec = load_spec(str(OUT / f"{name}.mlpackage"))
    layers: dict[str, dict] = {}
    for function in spec.mlProgram.functions.values():
        walk(function.block_specializations[function.opset], {}, layers)
    EXPECTED[f"{name}.mlpackage"] = {"layers": layers, "version": spec.specificationVersion}


def walk(block, constants: dict[str, dict], layers: dict[str, dict]) -> None:
    """Operations and the arrays among their operands, by name."""
    for one in block.operations:
        if one.type == "const" or one.type.startswith("constexpr_"):
            constants[one.outputs[0].name] = kind(one.outputs[0].type)
            continue
        arrays = {}
        for operand, argument in one.inputs.items():
            for bound in argument.arguments:
                if bound.WhichOneof("binding") == "name" and bound.name in constants:
                    arrays[operand] = constants[bound.name]
        name = one.attributes["name"].immediateValue.tensor.strings.values[0]
        layers[name] = {"type": one.type, "arrays": arrays}
        for inner in one.blocks:
            walk(inner, constants, layers)


def kind(value) -> dict:
    """Shape and element type of a constant."""
    tensor = value.tensorType
    sizes = [axis.constant.size for axis in tensor.dimensions]
    return {"shape": sizes, "dtype": MIL_pb2.DataType.Name(tensor.dataType).lower()}


# Neural networks


def network(*, updatable: bool = False, recurrent: bool = True):
    """Layers with weights of every sort."""
    inputs = [("image", datatypes.Array(3, 16, 16)), ("ids", datatypes.Array(1))]
    outputs = [("probabilities", datatypes.Array(10)), ("vector", datatypes.Array(6))]
    outputs += [("state", datatypes.Array(8))] * recurrent
    builder = NeuralNetworkBuilder(inputs, outputs, disable_rank5_shape_mapping=False)
    add = builder
    add.add_convolution("conv", 3, 8, 3, 3, 1, 1, "valid", 1, values(3, 3, 3, 8), values(8), True, input_name="image",
                        output_name="c1")  # fmt: skip
    add.add_activation("act", "PRELU", "c1", "c2", values(8))
    add.add_batchnorm("bn", 8, values(8), values(8), values(8), abs(values(8)), input_name="c2", output_name="c3")
    add.add_convolution("dw", 1, 8, 3, 3, 1, 1, "same", 8, values(3, 3, 1, 8), None, False, input_name="c3",
                        output_name="c4")  # fmt: skip
    add.add_convolution("up", 8, 4, 2, 2, 2, 2, "valid", 1, values(2, 2, 8, 4), values(4), True, is_deconv=True,
                        input_name="c4", output_name="c5")  # fmt: skip
    add.add_scale("scale", values(4), values(4), True, "c5", "c6", shape_scale=[4], shape_bias=[4])
    add.add_flatten("flat", 0, "c6", "c7")
    add.add_inner_product("fc", values(10, 4 * 28 * 28), values(10), 4 * 28 * 28, 10, True, "c7", "c8")
    add.add_softmax("probabilities", "c8", "probabilities")
    add.add_embedding("emb", values(6, 50), None, 50, 6, False, "ids", "vector")
    add.add_embedding("shifted", values(6, 50), values(6), 50, 6, True, "ids", "shifted")
    if recurrent:
        add.add_unilstm("lstm", [values(8, 8)] * 4, [values(8, 6)] * 4, [values(8)] * 4, hidden_size=8, input_size=6,
                        input_names=["vector"], output_names=["state"])  # fmt: skip
        add.add_gru("gru", [values(8, 8)] * 3, [values(8, 6)] * 3, [values(8)] * 3, hidden_size=8, input_size=6,
                    input_names=["vector"], output_names=["gru_out"])  # fmt: skip
        add.add_simple_rnn("rnn", values(8, 8), values(8, 6), values(8), 8, 6, "TANH", ["vector"], ["rnn_out"])
    if updatable:
        builder.make_updatable(["fc"])
    return builder.spec


def keep_network(spec, name: str) -> None:
    """Save a network and how many elements each array in it has."""
    save_spec(spec, str(OUT / f"{name}.mlmodel"))
    read = load_spec(str(OUT / f"{name}.mlmodel"))
    layers = {}
    for layer in read.neuralNetwork.layers:
        which = layer.WhichOneof("layer")
        layers[layer.name] = {"type": which, "inputs": list(layer.input), "arrays": counts(getattr(layer, which))}
    EXPECTED[f"{name}.mlmodel"] = {"layers": layers, "version": read.specificationVersion}


def counts(params, prefix: str = "") -> dict[str, list]:
    """Elements, bytes and bits of every WeightParams in a message, by the names of the fields that lead to it."""
    found = {}
    for field, value in params.ListFields():
        if field.message_type is None or field.is_repeated:
            continue
        if field.message_type.name == "WeightParams":
            data = len(value.float16Value) // 2 or len(value.rawValue) or len(value.int8RawValue)
            found[prefix + field.name] = [len(value.floatValue) or data, value.quantization.numberOfBits]
        else:
            found |= counts(value, f"{prefix}{field.name}/")
    return found


def networks() -> None:
    """Networks, plain, quantised and updatable."""
    keep_network(network(), "network")
    keep_network(network(updatable=True), "updatable")
    for bits, mode in ((16, "linear"), (8, "linear"), (4, "linear"), (6, "linear_lut")):
        model = ct.models.MLModel(network(recurrent=False), skip_model_load=True)
        packed = quantize_weights(model, bits, mode)
        keep_network(packed.get_spec() if hasattr(packed, "get_spec") else packed, f"network_{mode}{bits}")


# Other models


def classical() -> None:
    """A linear model, trees, support vectors, and a pipeline of a scaler and a network."""
    model = Model_pb2.Model(specificationVersion=1)
    row = model.glmRegressor.weights.add()
    row.value.extend([0.5, 1.5, -2.0])
    model.glmRegressor.offset.append(0.25)
    describe(model, 3)
    save(model, "linear_model", {"weights": 3, "offset": 1})
    trees = Model_pb2.Model(specificationVersion=1)
    ensemble = trees.treeEnsembleRegressor.treeEnsemble
    ensemble.numPredictionDimensions = 1
    ensemble.basePredictionValue.append(0.5)
    for tree in range(2):
        ensemble.nodes.add(treeId=tree, nodeId=0, nodeBehavior=0, branchFeatureValue=1.5, trueChildNodeId=1,
                           falseChildNodeId=2)  # fmt: skip
        for leaf in (1, 2):
            node = ensemble.nodes.add(treeId=tree, nodeId=leaf, nodeBehavior=6)
            node.evaluationInfo.add(evaluationIndex=0, evaluationValue=float(leaf))
    describe(trees, 3)
    save(trees, "trees", {"branchFeatureValue": 2, "evaluationValue": 4, "basePredictionValue": 1})
    custom = Model_pb2.Model(specificationVersion=1)
    custom.customModel.className = "MyModel"
    describe(custom, 3)
    save(custom, "custom", {})
    pipeline = Model_pb2.Model(specificationVersion=4)
    describe(pipeline, 3)
    scaler = pipeline.pipeline.models.add(specificationVersion=1)
    scaler.scaler.shiftValue.extend([1.0, 2.0, 3.0])
    scaler.scaler.scaleValue.extend([1.0])
    describe(scaler, 3)
    pipeline.pipeline.models.add().CopyFrom(network())
    pipeline.pipeline.names.extend(["scale", "net"])
    save(pipeline, "pipeline", {"shiftValue": 3, "scaleValue": 1})


def describe(model, size: int) -> None:
    """An input and an output, so that the file is whole."""
    feature = model.description.input.add(name="features")
    feature.type.multiArrayType.shape.append(size)
    model.description.output.add(name="value").type.doubleType.SetInParent()


def save(model, name: str, arrays: dict[str, int]) -> None:
    """Save a protobuf and the number of values in each array."""
    (OUT / f"{name}.mlmodel").write_bytes(model.SerializeToString())
    EXPECTED[f"{name}.mlmodel"] = {"arrays": arrays, "version": model.specificationVersion}


packages()
networks()
classical()
(OUT / "expected.json").write_text(json.dumps(EXPECTED))
