"""Writes the rarer sorts of Core ML models with coremltools, and what it says of them, into the folder given.

expected.json: "joint": package -> types of the operations that say how its weight is stored; "functions": their names;
"classical": file -> {array: number of values}; "branches": layers inside the branch and the loop, by name.
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
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder
from coremltools.models.utils import MultiFunctionDescriptor, load_spec, save_multifunction, save_spec
from coremltools.proto import Model_pb2

warnings.filterwarnings("ignore")
OUT = Path(sys.argv[1])
RNG = np.random.default_rng(0)
OPTIONS = {"minimum_deployment_target": ct.target.iOS18, "compute_precision": ct.precision.FLOAT32}


def values(*shape: int) -> np.ndarray:
    """Random floats."""
    return RNG.standard_normal(shape).astype(np.float32)


WEIGHT, OTHER = values(40, 16), values(40, 16)


def linear(weight: np.ndarray):
    """A program of one matrix product."""

    @mb.program(input_specs=[mb.TensorSpec((1, 16))], opset_version=ct.target.iOS18)
    def program(x):
        return mb.linear(x=x, weight=weight, name="fc")

    return ct.convert(program, convert_to="mlprogram", **OPTIONS)


def config(one):
    """One way of compressing for all operations."""
    return cto.OptimizationConfig(global_config=one)


def joint() -> dict[str, list[str]]:
    """A sparse weight whose values are codes into a table, and one whose values are quantised."""
    small = {"weight_threshold": 100}
    sparse = cto.prune_weights(linear(WEIGHT), config(cto.OpMagnitudePrunerConfig(target_sparsity=0.6, **small)))
    table = config(cto.OpPalettizerConfig(mode="uniform", nbits=4, **small))
    scaled = config(cto.OpLinearQuantizerConfig(mode="linear_symmetric", **small))
    made = {
        "sparse_table": cto.palettize_weights(sparse, table, joint_compression=True),
        "sparse_scaled": cto.linear_quantize_weights(sparse, scaled, joint_compression=True),
    }
    found = {}
    for name, model in made.items():
        model.save(str(OUT / f"{name}.mlpackage"))
        (function,) = load_spec(str(OUT / f"{name}.mlpackage")).mlProgram.functions.values()
        block = function.block_specializations[function.opset]
        found[name] = [one.type for one in block.operations if one.type.startswith("constexpr_")]
    return found


def functions() -> list[str]:
    """Two functions that share their weight."""
    first = linear(WEIGHT)
    first.save(str(OUT / "first.mlpackage"))
    described = MultiFunctionDescriptor()
    for name in ("left", "right"):
        described.add_function(str(OUT / "first.mlpackage"), "main", name)
    described.default_function_name = "left"
    save_multifunction(described, str(OUT / "functions.mlpackage"))
    return sorted(load_spec(str(OUT / "functions.mlpackage")).mlProgram.functions)


def branches() -> list[str]:
    """A network with a branch and a loop, whose inner networks have weights of their own."""
    builder = NeuralNetworkBuilder([("x", datatypes.Array(4)), ("flag", datatypes.Array(1))],
                                   [("out", datatypes.Array(4))], disable_rank5_shape_mapping=True)  # fmt: skip
    branch = builder.add_branch("choice", "flag")
    yes = NeuralNetworkBuilder(nn_spec=branch.branch.ifBranch)
    yes.add_inner_product("when_true", values(4, 4), values(4), 4, 4, True, "x", "out")
    no = NeuralNetworkBuilder(nn_spec=branch.branch.elseBranch)
    no.add_inner_product("when_false", values(4, 4), None, 4, 4, False, "x", "out")
    loop = builder.add_loop("again", max_iterations=3)
    body = NeuralNetworkBuilder(nn_spec=loop.loop.bodyNetwork)
    body.add_inner_product("inside", values(4, 4), None, 4, 4, False, "out", "out")
    save_spec(builder.spec, str(OUT / "branches.mlmodel"))
    return ["when_true", "when_false", "inside"]


def described(size: int) -> Model_pb2.Model:
    """A model with an input and an output, so that the file is whole."""
    model = Model_pb2.Model(specificationVersion=4)
    model.description.input.add(name="features").type.multiArrayType.shape.append(size)
    model.description.output.add(name="value").type.doubleType.SetInParent()
    return model


def support_vectors() -> dict[str, dict[str, int]]:
    """Support vectors, dense and sparse, of a classifier and a regressor."""
    found = {}
    model = described(3)
    machine = model.supportVectorClassifier
    machine.numberOfSupportVectorsPerClass.extend([2, 1])
    for row in ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]):
        machine.denseSupportVectors.vectors.add().values.extend(row)
    machine.coefficients.add().alpha.extend([0.5, 0.25, -0.75])
    machine.rho.append(0.125)
    machine.probA.append(1.5)
    machine.probB.append(2.5)
    found["classifier"] = {"denseSupportVectors": 9, "coefficients": 3, "rho": 1, "probA": 1, "probB": 1}
    (OUT / "classifier.mlmodel").write_bytes(model.SerializeToString())
    model = described(3)
    machine = model.supportVectorRegressor
    for index in (0, 2):
        machine.sparseSupportVectors.vectors.add().nodes.add(index=index, value=1.5)
    machine.coefficients.alpha.extend([0.5, -0.5])
    machine.rho = 0.25
    found["regressor"] = {"sparseSupportVectors": 2, "coefficients": 2, "rho": 1}
    (OUT / "regressor.mlmodel").write_bytes(model.SerializeToString())
    return found


def others() -> dict[str, dict[str, int]]:
    """Neighbours, a classifier's weights, missing values, a text model whose parameters are opaque."""
    found = support_vectors()
    model = described(3)
    index = model.kNearestNeighborsClassifier.nearestNeighborsIndex
    index.numberOfDimensions = 3
    for row in ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]):
        index.floatSamples.add().vector.extend(row)
    found["neighbours"] = {"floatSamples": 6}
    (OUT / "neighbours.mlmodel").write_bytes(model.SerializeToString())
    model = described(3)
    model.glmClassifier.weights.add().value.extend([0.5, 1.5, -2.0])
    model.glmClassifier.weights.add().value.extend([0.25, 0.5, 1.0])
    model.glmClassifier.offset.extend([0.25, 0.5])
    found["linear"] = {"weights": 6, "offset": 2}
    (OUT / "linear.mlmodel").write_bytes(model.SerializeToString())
    model = described(2)
    model.imputer.imputedDoubleArray.vector.extend([1.0, 2.0])
    found["imputer"] = {"imputedDoubleArray": 2}
    (OUT / "imputer.mlmodel").write_bytes(model.SerializeToString())
    model = described(1)
    model.textClassifier.modelParameterData = bytes(77)
    (OUT / "text.mlmodel").write_bytes(model.SerializeToString())
    return found


EXPECTED = {"joint": joint(), "functions": functions(), "branches": branches(), "classical": others()}
(OUT / "expected.json").write_text(json.dumps(EXPECTED))
