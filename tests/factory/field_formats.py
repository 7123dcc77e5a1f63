"""One network as OpenVINO, Core ML, Paddle and Flax write it, and its weights as PyTorch would hold them.

Into the folder given: `weights.npz` with PyTorch's names and layouts, `network.xml` with its `.bin`,
`network.mlpackage`, `network.pdparams`, `network.json` with its `.pdiparams`, `network.msgpack`. The network is a
convolution, a BatchNormalization, two linear layers over the flattened map and an LSTM (not in Paddle's programs and
not in Flax, whose cells keep their gates apart).
"""

from __future__ import annotations

import sys
from pathlib import Path

import coremltools as ct
import flax.serialization
import numpy as np
import openvino as ov
import paddle
from coremltools.converters.mil import Builder as mb  # noqa: N813 - as its documentation writes it
from openvino import opset13

OUT = Path(sys.argv[1])
RANDOM = np.random.default_rng(5)


def drawn(*shape: int) -> np.ndarray:
    """Random floats."""
    return RANDOM.normal(size=shape).astype(np.float32)


W = {
    "conv.weight": drawn(8, 3, 3, 3), "conv.bias": drawn(8), "norm.weight": abs(drawn(8)) + 1, "norm.bias": drawn(8),
    "norm.running_mean": drawn(8), "norm.running_var": abs(drawn(8)) + 1,
    "hidden.weight": drawn(16, 8 * 36), "hidden.bias": drawn(16), "square.weight": drawn(16, 16),
    "square.bias": drawn(16),
}  # fmt: skip
LSTM = {"weight_ih_l0": drawn(28, 5), "weight_hh_l0": drawn(28, 7), "bias_ih_l0": drawn(28), "bias_hh_l0": drawn(28)}


def gates(array: np.ndarray, order: str) -> np.ndarray:
    """Blocks of rows, from PyTorch's order into another."""
    blocks = dict(zip("ifgo", np.split(array, 4), strict=True))
    return np.concatenate([blocks[gate] for gate in order])


def openvino() -> None:
    """An IR with its `.bin`."""
    const = opset13.constant
    x = opset13.parameter([1, 3, 8, 8], np.float32)
    y = opset13.convolution(x, const(W["conv.weight"]), [1, 1], [0, 0], [0, 0], [1, 1])
    y = opset13.add(y, const(W["conv.bias"].reshape(1, 8, 1, 1)))
    norm = [const(W[f"norm.{name}"]) for name in ("weight", "bias", "running_mean", "running_var")]
    y = opset13.relu(opset13.batch_norm_inference(y, *norm, epsilon=1e-5))
    y = opset13.reshape(y, const(np.array([1, 288], np.int64)), False)
    for name in ("hidden", "square"):
        y = opset13.matmul(y, const(W[f"{name}.weight"]), False, True)
        y = opset13.add(y, const(W[f"{name}.bias"].reshape(1, 16)))
    s = opset13.parameter([1, 6, 5], np.float32)
    zeros = const(np.zeros((1, 1, 7), np.float32))
    kernels = [const(gates(LSTM[f"weight_{part}_l0"], "figo")[None]) for part in ("ih", "hh")]
    bias = const(gates(LSTM["bias_ih_l0"] + LSTM["bias_hh_l0"], "figo")[None])
    z = opset13.lstm_sequence(s, zeros, zeros, const(np.array([6], np.int32)), *kernels, bias, 7, "FORWARD")
    ov.save_model(ov.Model([y.output(0), z.output(0)], [x, s], "network"), OUT / "network.xml", compress_to_fp16=False)


@mb.program(input_specs=[mb.TensorSpec((1, 3, 8, 8)), mb.TensorSpec((6, 1, 5))], opset_version=ct.target.iOS16)
def program(x, s):
    """Core ML."""
    y = mb.conv(x=x, weight=W["conv.weight"], bias=W["conv.bias"], name="conv")
    y = mb.batch_norm(x=y, mean=W["norm.running_mean"], variance=W["norm.running_var"], gamma=W["norm.weight"],
                      beta=W["norm.bias"], epsilon=1e-5, name="norm")  # fmt: skip
    y = mb.reshape(x=mb.relu(x=y), shape=(1, 288))
    y = mb.linear(x=y, weight=W["hidden.weight"], bias=W["hidden.bias"], name="hidden")
    y = mb.linear(x=y, weight=W["square.weight"], bias=W["square.bias"], name="square")
    zero = np.zeros((1, 7), np.float32)
    h, _, _ = mb.lstm(x=s, initial_h=zero, initial_c=zero, weight_ih=gates(LSTM["weight_ih_l0"], "ifog"),
                      weight_hh=gates(LSTM["weight_hh_l0"], "ifog"),
                      bias=gates(LSTM["bias_ih_l0"] + LSTM["bias_hh_l0"], "ifog"), name="lstm")  # fmt: skip
    return mb.add(x=mb.reduce_sum(x=h), y=y)


class Network(paddle.nn.Layer):
    """Paddle, whose linear kernels are (in, out)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = paddle.nn.Conv2D(3, 8, 3)
        self.norm = paddle.nn.BatchNorm2D(8)
        self.hidden = paddle.nn.Linear(288, 16)
        self.square = paddle.nn.Linear(16, 16)

    def forward(self, x):
        """Logits."""
        x = paddle.nn.functional.relu(self.norm(self.conv(x)))
        return self.square(self.hidden(paddle.flatten(x, 1)))


def with_paddle() -> None:
    """A state and a program with its parameters."""
    network = Network()
    names = {"running_mean": "_mean", "running_var": "_variance"}
    held = {}
    for name, array in W.items():
        owner, _, last = name.rpartition(".")
        turned = array.T if owner in ("hidden", "square") and last == "weight" else array
        held[f"{owner}.{names.get(last, last)}"] = np.ascontiguousarray(turned)
    network.set_state_dict(held)
    network.eval()
    paddle.save(network.state_dict(), str(OUT / "network.pdparams"))
    spec = [paddle.static.InputSpec([1, 3, 8, 8], "float32", "x")]
    paddle.jit.save(paddle.jit.to_static(network, input_spec=spec), str(OUT / "network"))


def with_flax() -> None:
    """A dictionary as `flax.serialization.msgpack_serialize` writes it; its map is flattened channels last."""
    hidden = W["hidden.weight"].reshape(16, 8, 36).transpose(2, 1, 0).reshape(288, 16)
    tree = {
        "params": {
            "Conv_0": {"kernel": W["conv.weight"].transpose(2, 3, 1, 0), "bias": W["conv.bias"]},
            "BatchNorm_0": {"scale": W["norm.weight"], "bias": W["norm.bias"]},
            "Dense_0": {"kernel": hidden, "bias": W["hidden.bias"]},
            "Dense_1": {"kernel": W["square.weight"].T, "bias": W["square.bias"]},
        },
        "batch_stats": {"BatchNorm_0": {"mean": W["norm.running_mean"], "var": W["norm.running_var"]}},
    }
    contiguous = {group: {layer: {name: np.ascontiguousarray(array) for name, array in held.items()}
                          for layer, held in layers.items()} for group, layers in tree.items()}  # fmt: skip
    (OUT / "network.msgpack").write_bytes(flax.serialization.msgpack_serialize(contiguous))


np.savez(OUT / "weights.npz", **W, **{f"lstm.{name}": array for name, array in LSTM.items()})
openvino()
ct.convert(program, compute_precision=ct.precision.FLOAT32, minimum_deployment_target=ct.target.iOS16,
           compute_units=ct.ComputeUnit.CPU_ONLY).save(str(OUT / "network.mlpackage"))  # fmt: skip
with_paddle()
with_flax()
