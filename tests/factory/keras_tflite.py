"""TensorFlow Lite models by TensorFlow's own converter, and what its generated schema says of them.

Runs under the Keras interpreter: `keras_tflite.py FOLDER`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


def network() -> keras.Model:
    """Convolutions of each sort with BatchNormalization, and Dense layers."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="first")(inputs)
    x = keras.layers.BatchNormalization(name="first_bn")(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.DepthwiseConv2D(3, depth_multiplier=2, name="deep")(x)
    x = keras.layers.BatchNormalization(name="deep_bn")(x)
    x = keras.layers.Conv2DTranspose(5, 2, strides=2, name="up")(x)
    x = keras.layers.PReLU(shared_axes=[1, 2])(x)
    x = keras.layers.Conv2D(6, 1, use_bias=False, name="point")(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x))


def converted(model: keras.Model, prepare: Callable[[Any], None] | None = None) -> bytes:
    """The model as the converter writes it."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if prepare is not None:
        prepare(converter)
    return converter.convert()


def dynamic(converter: Any) -> None:
    """Weights as int8, everything else as it was."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


def half(converter: Any) -> None:
    """Weights as float16, unpacked when the model runs."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]


def whole(converter: Any) -> None:
    """Whole numbers throughout, kernels with a scale for each channel."""
    draw = np.random.default_rng(0)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([draw.normal(size=(1, 8, 8, 3)).astype("float32")] for _ in range(4))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8


class Counter(tf.Module):
    """A variable, a loop and a choice, under two signatures."""

    def __init__(self) -> None:
        super().__init__()
        self.total = tf.Variable(tf.zeros((4,)), name="total")
        self.weight = tf.constant(np.arange(16, dtype="float32").reshape(4, 4))

    @tf.function(input_signature=[tf.TensorSpec((None, 4), tf.float32)])
    def add(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Adds to the variable."""
        self.total.assign_add(tf.reduce_sum(x, 0))
        return {"total": self.total.read_value()}

    @tf.function(input_signature=[tf.TensorSpec((1, 4), tf.float32)])
    def loop(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Three times the same product, then one branch or the other."""
        start = (tf.constant(0), x)
        found = tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, tf.matmul(y, self.weight)), start)[1]
        return {"y": tf.cond(tf.reduce_sum(x) > 0, lambda: found + 1.0, lambda: tf.matmul(found, self.weight))}


def counter() -> bytes:
    """Both signatures in one file."""
    module = Counter()
    functions = [module.add.get_concrete_function(), module.loop.get_concrete_function()]
    folder = str(Path(sys.argv[1]) / "counter_saved")
    tf.saved_model.save(module, folder, signatures={"add": functions[0], "loop": functions[1]})
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    converter.experimental_enable_resource_variables = True
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    return converter.convert()


def recurrent() -> bytes:
    """An LSTM, fused into one operator, behind an embedding."""
    keras.utils.set_random_seed(2)
    inputs = keras.Input((5, 3), batch_size=1)
    return converted(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.LSTM(4)(inputs))))


def embedded() -> bytes:
    """A table that is looked up, and read once more as a kernel."""
    table = tf.Variable(np.ones((7, 4), "float32"))

    @tf.function(input_signature=[tf.TensorSpec((3,), tf.int32)])
    def look(ids: tf.Tensor) -> tf.Tensor:
        return tf.matmul(tf.gather(table, ids), table, transpose_b=True)

    return tf.lite.TFLiteConverter.from_concrete_functions([look.get_concrete_function()], look).convert()


def facts(data: bytes) -> dict[str, Any]:
    """Every tensor, operator and buffer as the generated schema reads them."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    sizes = [0 if buffer.data is None else len(buffer.data) for buffer in model.buffers]
    return {
        "subgraphs": [subgraph(model, one, sizes) for one in model.subgraphs],
        "signatures": sorted(one.signatureKey.decode() for one in model.signatureDefs or ()),
        "description": model.description.decode(),
    }


def subgraph(model: Any, one: Any, sizes: list[int]) -> dict[str, Any]:
    """One graph."""
    codes = [OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
    customs = [code.customCode.decode() if code.customCode else None for code in model.operatorCodes]
    return {
        "tensors": [
            {
                "name": tensor.name.decode(),
                "shape": [] if tensor.shape is None else [int(size) for size in tensor.shape],
                "dtype": TYPES[tensor.type],
                "bytes": sizes[tensor.buffer],
                "variable": bool(tensor.isVariable),
                "scales": 0 if tensor.quantization is None or tensor.quantization.scale is None
                else len(tensor.quantization.scale),
            }
            for tensor in one.tensors
        ],
        "operators": [customs[each.opcodeIndex] or codes[each.opcodeIndex] for each in one.operators],
        "inputs": [int(index) for index in one.inputs],
    }


def main(folder: Path) -> None:
    """Write the files and what is known of them."""
    model = network()
    files = {
        "float": converted(model),
        "dynamic": converted(model, dynamic),
        "half": converted(model, half),
        "whole": converted(model, whole),
        "recurrent": recurrent(),
        "embedded": embedded(),
        "counter": counter(),
    }
    for name, data in files.items():
        (folder / f"{name}.tflite").write_bytes(data)
    expected = {f"{name}.tflite": facts(data) for name, data in files.items()}
    names = {"operators": OPERATORS, "types": TYPES}
    (folder / "expected.json").write_text(json.dumps({"files": expected, "schema": names}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
