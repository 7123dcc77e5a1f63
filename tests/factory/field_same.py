"""Writes one small network in every format that keeps it as a graph or a tree of arrays, into the folder given.

A convolution of 8 filters of 3 × 3 on 3 channels, a rectifier, a batch normalisation, a mean over positions brought to
another shape, a dense layer of 10 units: 224 + 16 + 90 parameters, and 16 moving statistics, as Keras counts them. The
rectifier keeps every converter from folding the normalisation into the convolution; the shape is what steers.
expected.json: name of the model -> the names of its files.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import coremltools as ct
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import openvino as ov
import orbax.checkpoint as ocp
import paddle
from coremltools.converters.mil import Builder as mb  # noqa: N813 - as its documentation writes it
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder
from flax import serialization
from openvino import opset13

warnings.filterwarnings("ignore")
OUT = Path(sys.argv[1])
RANDOM = np.random.default_rng(0)
EXPECTED: dict[str, list[str]] = {}


def values(*shape: int) -> np.ndarray:
    """Positive numbers that do not repeat."""
    return RANDOM.random(shape).astype(np.float32)


def keep(name: str, *files: str) -> None:
    """Note the files of a model; of a folder all that is in it."""
    found = []
    for file in files:
        path = OUT / file
        inner = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [str(one.relative_to(OUT)) for one in inner if one.is_file()]
    EXPECTED[name] = found


def core_ml() -> None:
    """As a program, and as a neural network."""

    @mb.program(input_specs=[mb.TensorSpec((1, 3, 8, 8))], opset_version=ct.target.iOS16)
    def program(x):
        y = mb.relu(x=mb.conv(x=x, weight=values(8, 3, 3, 3), bias=values(8)))
        y = mb.batch_norm(x=y, mean=values(8), variance=values(8), gamma=values(8), beta=values(8))
        y = mb.reshape(x=mb.reduce_mean(x=y, axes=[2, 3], keep_dims=True), shape=[1, 8])
        return mb.linear(x=y, weight=values(10, 8), bias=values(10))

    options = {"minimum_deployment_target": ct.target.iOS16, "compute_precision": ct.precision.FLOAT32}
    ct.convert(program, convert_to="mlprogram", **options).save(str(OUT / "same.mlpackage"))
    keep("coreml_program", "same.mlpackage")
    add = NeuralNetworkBuilder([("x", datatypes.Array(3, 8, 8))], [("out", datatypes.Array(10))],
                               disable_rank5_shape_mapping=True)  # fmt: skip
    add.add_convolution("conv", 3, 8, 3, 3, 1, 1, "valid", 1, values(3, 3, 3, 8), values(8), True, input_name="x",
                        output_name="a")  # fmt: skip
    add.add_activation("relu", "RELU", "a", "b")
    add.add_batchnorm("bn", 8, values(8), values(8), values(8), values(8), input_name="b", output_name="c")
    add.add_reduce_mean("mean", "c", "d", axes=[2, 3], keepdims=True)
    add.add_reshape_static("reshape", "d", "e", [1, 8])
    add.add_inner_product("fc", values(10, 8), values(10), 8, 10, True, "e", "out")
    ct.models.utils.save_spec(add.spec, str(OUT / "same.mlmodel"))
    keep("coreml_network", "same.mlmodel")


def openvino() -> None:
    """With opset 13, as it is written without a conversion."""
    x = opset13.parameter([1, 3, 8, 8], np.float32)
    y = opset13.convolution(x, opset13.constant(values(8, 3, 3, 3)), [1, 1], [0, 0], [0, 0], [1, 1])
    y = opset13.relu(opset13.add(y, opset13.constant(values(1, 8, 1, 1))))
    y = opset13.batch_norm_inference(y, *(opset13.constant(values(8)) for _ in range(4)), epsilon=1e-3)
    y = opset13.reduce_mean(y, opset13.constant(np.array([2, 3], np.int64)), keep_dims=True)
    y = opset13.reshape(y, opset13.constant(np.array([1, 8], np.int64)), special_zero=False)
    y = opset13.add(opset13.matmul(y, opset13.constant(values(10, 8)), False, True), opset13.constant(values(1, 10)))
    ov.serialize(ov.Model([opset13.result(y)], [x], "same"), str(OUT / "ov.xml"), str(OUT / "ov.bin"))
    keep("openvino", "ov.xml", "ov.bin")


def layers() -> list:
    """The network as Paddle's layers."""
    inside = [paddle.nn.Conv2D(3, 8, 3), paddle.nn.ReLU(), paddle.nn.BatchNorm2D(8), paddle.nn.AdaptiveAvgPool2D(1),
              paddle.nn.Flatten(), paddle.nn.Linear(8, 10)]  # fmt: skip
    for layer in inside:
        layer.eval()
    return inside


def paddle_models() -> None:
    """As Paddle 3 and Paddle 2 save it for inference, and as a state_dict."""
    net = paddle.nn.Sequential(*layers())
    paddle.jit.save(net, str(OUT / "pir"), input_spec=[paddle.static.InputSpec([1, 3, 8, 8], "float32", "x")])
    keep("paddle_json", "pir.json", "pir.pdiparams")
    paddle.save(net.state_dict(), str(OUT / "same.pdparams"))
    keep("paddle_params", "same.pdparams")
    paddle.enable_static()
    with paddle.pir_utils.OldIrGuard():
        main, startup = paddle.static.Program(), paddle.static.Program()
        with paddle.static.program_guard(main, startup):
            x = y = paddle.static.data("x", [1, 3, 8, 8], "float32")
            for layer in layers():
                y = layer(y)
        runner = paddle.static.Executor(paddle.CPUPlace())
        runner.run(startup)
        paddle.static.save_inference_model(str(OUT / "old"), [x], [y], runner, program=main)
    keep("paddle_inference", "old.pdmodel", "old.pdiparams")


class Net(nn.Module):
    """The network as Flax has it."""

    @nn.compact
    def __call__(self, x):
        """All layers in a row."""
        x = nn.BatchNorm(use_running_average=True)(nn.relu(nn.Conv(8, (3, 3))(x)))
        return nn.Dense(10)(x.mean((1, 2)))


def flax_models() -> None:
    """As MessagePack and as Orbax checkpoints with zarr and OCDBT."""
    held = Net().init(jax.random.key(0), jnp.ones((1, 8, 8, 3)))
    (OUT / "same.msgpack").write_bytes(serialization.to_bytes(held))
    keep("flax", "same.msgpack")
    for name in ("zarr", "ocdbt"):
        handler = ocp.PyTreeCheckpointHandler(use_ocdbt=name == "ocdbt")
        ocp.Checkpointer(handler).save((OUT / name).absolute(), args=ocp.args.PyTreeSave(held))
        keep(f"orbax_{name}", name)


GRAPH = """7767517
7 7
Input          x    0 1 x 0=8 1=8 2=3
Convolution    conv 1 1 x a 0=8 1=3 5=1 6=216
ReLU           relu 1 1 a b
BatchNorm      bn   1 1 b c 0=8 1=1.000000e-03
Pooling        mean 1 1 c d 0=1 4=1
Reshape        flat 1 1 d e 0=8
InnerProduct   fc   1 1 e out 0=10 1=1 2=80
"""


def ncnn() -> None:
    """By hand: a flag before each kernel, everything else as it is."""
    (OUT / "nc.param").write_text(GRAPH)
    plain = [values(8), *(values(8) for _ in range(4))]
    parts = [bytes(4), values(216), *plain, bytes(4), values(80), values(10)]
    (OUT / "nc.bin").write_bytes(b"".join(one if isinstance(one, bytes) else one.tobytes() for one in parts))
    keep("ncnn", "nc.param", "nc.bin")


core_ml()
openvino()
flax_models()
ncnn()
paddle_models()
(OUT / "expected.json").write_text(json.dumps(EXPECTED))
