"""Writes OpenVINO IRs with OpenVINO itself, and what it reads back from them, into the folder given.

expected.json: stem of the pair -> {"constants": {name: {shape, dtype, bytes}}, "operations": [[name, type]],
"outputs": {name: [shape of each output]}}, of the top graph; "inner": the same constants of the bodies in it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset8, opset13

OUT = Path(sys.argv[1])
EXPECTED: dict[str, dict] = {}
RANDOM = np.random.default_rng(0)


def weights(*shape: int) -> np.ndarray:
    """Numbers that do not repeat, so that no two constants are one."""
    return RANDOM.standard_normal(shape).astype(np.float32)


def named(node, name: str):
    """`node`, called `name`."""
    node.set_friendly_name(name)
    return node


def const(value, name: str, kind=None):
    """A constant with a name."""
    return named(opset13.constant(value, kind) if kind is not None else opset13.constant(value), name)


def convolutions() -> ov.Model:
    """Plain, grouped, depthwise and transposed convolutions, biases behind them, BatchNorm, PReLU, a classifier."""
    x = named(opset13.parameter([-1, 3, 16, 16], np.float32), "image")
    y = opset13.convolution(x, const(weights(8, 3, 3, 3), "conv.weight"), [1, 1], [1, 1], [1, 1], [1, 1])
    y = named(y, "conv")
    y = named(opset13.add(y, const(weights(1, 8, 1, 1), "conv.bias")), "conv.add")
    statistics = [const(np.abs(weights(8)), f"bn.{name}") for name in ("gamma", "beta", "mean", "variance")]
    y = named(opset13.batch_norm_inference(y, *statistics, epsilon=1e-5), "bn")
    y = named(opset13.prelu(y, const(weights(8), "prelu.slope")), "prelu")
    y = opset13.group_convolution(y, const(weights(8, 1, 1, 3, 3), "depthwise.weight"), [1, 1], [1, 1], [1, 1], [1, 1])
    y = named(y, "depthwise")
    y = opset13.group_convolution(y, const(weights(2, 6, 4, 3, 3), "grouped.weight"), [1, 1], [1, 1], [1, 1], [1, 1])
    y = named(y, "grouped")
    y = named(opset13.add(y, const(weights(1, 12, 1, 1), "grouped.bias")), "grouped.add")
    y = opset13.convolution_backprop_data(y, const(weights(12, 5, 2, 2), "up.weight"), strides=[2, 2])
    y = named(y, "up")
    y = named(opset13.reduce_mean(y, const(np.array([2, 3], np.int64), "axes"), keep_dims=False), "mean")
    y = named(opset13.matmul(y, const(weights(7, 5), "fc.weight"), transpose_a=False, transpose_b=True), "fc")
    y = named(opset13.add(y, const(weights(1, 7), "fc.bias")), "fc.add")
    return ov.Model([named(opset13.result(y), "logits")], [x], "convolutions")


def sequences() -> ov.Model:
    """An embedding, a normalisation with its scale and shift, LSTM and GRU."""
    x = named(opset13.parameter([1, 6], np.int64), "tokens")
    y = named(opset8.gather(const(weights(50, 16), "embed.weight"), x, const(np.int64(0), "axis")), "embed")
    y = named(opset13.mvn(y, const(np.array([-1], np.int64), "mvn.axes"), True, 1e-5, "INSIDE_SQRT"), "norm")
    y = named(opset13.multiply(y, const(weights(1, 1, 16), "norm.gamma")), "norm.mul")
    y = named(opset13.add(y, const(weights(1, 1, 16), "norm.beta")), "norm.add")
    zeros = const(np.zeros((1, 1, 8), np.float32), "h0")
    length = const(np.array([6], np.int32), "length")
    y = opset13.lstm_sequence(
        y, zeros, zeros, length, const(weights(1, 32, 16), "lstm.W"), const(weights(1, 32, 8), "lstm.R"),
        const(weights(1, 32), "lstm.B"), 8, "FORWARD",
    )  # fmt: skip
    y = named(y, "lstm")
    return ov.Model([opset13.result(y.output(index)) for index in range(3)], [x], "sequences")


def compressed() -> ov.Model:
    """Weights of 8 and 4 bits with scales and zero points, grouped too, and one matrix that two products share."""
    x = named(opset13.parameter([-1, 16], np.float32), "x")
    packed = const(RANDOM.integers(0, 255, (16, 16)).astype(np.uint8), "eight")
    zero = const(RANDOM.integers(0, 255, (16, 1)).astype(np.uint8), "eight.zero")
    zero = named(opset13.convert(zero, np.float16), "z")
    y = named(opset13.subtract(named(opset13.convert(packed, np.float16), "e16"), zero), "eight.sub")
    y = named(opset13.multiply(y, const(weights(16, 1).astype(np.float16), "eight.scale")), "eight.mul")
    y = named(opset13.convert(y, np.float32), "eight.full")
    y = named(opset13.matmul(x, y, False, True), "first")
    four = ov.op.Constant(ov.Type.i4, ov.Shape([16, 4, 4]), RANDOM.integers(-8, 7, 256).astype(np.int8).tolist())
    four.set_friendly_name("four")
    z = named(opset13.multiply(named(opset13.convert(four, np.float16), "f16"),
                               const(weights(16, 4, 1).astype(np.float16), "four.scale")), "four.mul")  # fmt: skip
    z = named(opset13.reshape(z, const(np.array([16, 16], np.int64), "four.shape"), False), "four.reshape")
    y = named(opset13.matmul(y, named(opset13.convert(z, np.float32), "four.full"), False, True), "second")
    shared = const(weights(16, 16), "shared")
    y = named(opset13.matmul(named(opset13.matmul(y, shared, False, False), "third"), shared, False, False), "fourth")
    return ov.Model([named(opset13.result(y), "out")], [x], "compressed")


def quantised() -> ov.Model:
    """FakeQuantize on the weight and on what flows."""
    x = named(opset13.parameter([1, 3, 8, 8], np.float32), "x")
    def ranges(prefix, shape):
        return [const(weights(*shape), f"{prefix}.{name}") for name in ("il", "ih", "ol", "oh")]
    y = named(opset13.fake_quantize(x, *ranges("x", (1,)), 256), "x.fq")
    w = named(opset13.fake_quantize(const(weights(4, 3, 3, 3), "w"), *ranges("w", (4, 1, 1, 1)), 255), "w.fq")
    y = named(opset13.convolution(y, w, [1, 1], [0, 0], [0, 0], [1, 1]), "conv")
    return ov.Model([named(opset13.result(y), "out")], [x], "quantised")


def branches() -> ov.Model:
    """A matrix in each branch of an If."""
    condition = named(opset13.parameter([], np.bool_), "condition")
    x = named(opset13.parameter([2, 4], np.float32), "x")

    def branch(name: str) -> tuple:
        inner = named(opset13.parameter([2, 4], np.float32), f"{name}.x")
        product = named(opset13.matmul(inner, const(weights(4, 4), f"{name}.weight"), False, False), f"{name}.product")
        result = named(opset13.result(product), f"{name}.out")
        return ov.Model([result], [inner], name), inner, result

    chosen = opset8.if_op(condition)
    (then_body, then_in, then_out), (else_body, else_in, else_out) = branch("then"), branch("else")
    chosen.set_then_body(then_body)
    chosen.set_else_body(else_body)
    chosen.set_input(x.output(0), then_in, else_in)
    y = chosen.set_output(then_out, else_out)
    named(chosen, "if")
    return ov.Model([named(opset13.result(y), "out")], [condition, x], "branches")


def constants(model: ov.Model) -> dict:
    """What OpenVINO says of every constant of a graph."""
    return {
        op.get_friendly_name(): {
            "shape": list(op.get_output_shape(0)),
            "dtype": op.get_element_type().get_type_name(),
            "bytes": op.get_byte_size(),
        }
        for op in model.get_ordered_ops()
        if op.get_type_name() == "Constant"
    }


def shape(output) -> list:
    """Sizes of an output, None where they are open."""
    return [size.get_length() if size.is_static else None for size in output.get_partial_shape()]


def save(stem: str, model: ov.Model, *, half: bool = False) -> None:
    """Writes the pair, and what OpenVINO reads from it."""
    ov.save_model(model, OUT / f"{stem}.xml", compress_to_fp16=half)
    back = ov.Core().read_model(OUT / f"{stem}.xml")
    ops = back.get_ordered_ops()
    bodies = [op.get_function(index) for op in ops if op.get_type_name() == "If" for index in (0, 1)]
    EXPECTED[stem] = {
        "constants": constants(back),
        "inner": {name: held for body in bodies for name, held in constants(body).items()},
        "operations": [[op.get_friendly_name(), op.get_type_name()] for op in ops],
        "outputs": {op.get_friendly_name(): [shape(output) for output in op.outputs()] for op in ops},
    }


save("convolutions", convolutions())
save("convolutions_half", convolutions(), half=True)
save("sequences", sequences())
save("compressed", compressed())
save("quantised", quantised())
save("branches", branches())
(OUT / "expected.json").write_text(json.dumps(EXPECTED))
