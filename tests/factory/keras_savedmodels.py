"""Writes SavedModels with TensorFlow, Keras 3 and Keras 2 (tf_keras), and what these say is in them.

Run by `tests.corpus` under an interpreter with TensorFlow, Keras 3 and tf_keras: `python keras_savedmodels.py FOLDER`.
expected.json: model -> {"variables": {key: {"shape", "dtype"}}} as `tf.train.load_checkpoint` lists them, and for a
model that Keras lists {"layers": [{"name", "type", "trainable", "weights": [{"name", "shape", "trainable"}]}]}.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras
import numpy as np
import tensorflow as tf
import tf_keras

SAVERS: dict[str, Callable[[str], Any]] = {}


def saver(save: Callable[[str], Any]) -> Callable[[str], Any]:
    """Registers a function that saves one model in a folder and returns the Keras model, if it is one."""
    SAVERS[save.__name__] = save
    return save


def _network(library: Any) -> Any:
    """A functional model with the layers that most models have; the second Dense is frozen."""
    layers = library.layers
    image = library.Input((8, 8, 3), name="image")
    tokens = library.Input((5,), dtype="int32", name="tokens")
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.SeparableConv2D(5, 2, name="separable")(x)
    x = layers.Flatten(name="flat")(x)
    y = layers.Embedding(11, 6, name="table")(tokens)
    y = layers.Bidirectional(layers.LSTM(3), name="both")(y)
    z = layers.GRU(4, name="gru")(layers.Embedding(7, 2, name="second")(tokens))
    x = layers.Concatenate(name="join")([x, y, z])
    x = layers.Dense(6, activation="relu", name="hidden")(x)
    inner = library.Sequential([layers.Dense(4, name="a"), layers.LayerNormalization(name="norm")], name="inner")
    x = inner(x)
    model = library.Model([image, tokens], layers.Dense(2, name="out")(x), name="network")
    model.get_layer("hidden").trainable = False
    return model


@saver
def keras2_functional(folder: str) -> Any:
    """As most SavedModels of 2020 to 2023: with Keras 2's metadata and the optimizer's slots."""
    model = _network(tf_keras)
    model.compile(tf_keras.optimizers.Adam(0.01), "mse")
    model.fit([np.zeros((2, 8, 8, 3)), np.zeros((2, 5))], np.zeros((2, 2)), verbose=0)
    model.save(folder, save_format="tf")
    return model


@saver
def keras2_legacy_adam(folder: str) -> Any:
    """An optimizer of before 2.11, whose slots are in the object graph."""
    model = tf_keras.Sequential([tf_keras.Input((3,)), tf_keras.layers.Dense(4), tf_keras.layers.Dense(2)])
    model.compile(tf_keras.optimizers.legacy.Adam(), "mse")
    model.fit(np.zeros((2, 3)), np.zeros((2, 2)), verbose=0)
    model.save(folder, save_format="tf")
    return model


@saver
def keras2_subclassed(folder: str) -> Any:
    """A model of the user's own class: its configuration lists no layers, its metadata does."""

    class Mine(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.first = tf_keras.layers.Dense(3, name="first")
            self.blocks = [tf_keras.layers.Dense(3, name="b0"), tf_keras.layers.BatchNormalization(name="b1")]
            self.shift = self.add_weight(name="shift", shape=(3,))

        def call(self, inputs):
            x = self.first(inputs) + self.shift
            for block in self.blocks:
                x = block(x)
            return x

    model = Mine()
    model(np.zeros((1, 2), "float32"))
    model.save(folder, save_format="tf")
    return model


@saver
def keras2_attention(folder: str) -> Any:
    """Attention, layers used twice, and an operation of TensorFlow between layers."""
    layers = tf_keras.layers
    x = tf_keras.Input((4, 6), name="x")
    shared = layers.Dense(6, name="shared")
    y = layers.MultiHeadAttention(2, 3, name="attention")(x, x)
    y = shared(shared(y)) * 2.0
    y = layers.TimeDistributed(layers.Dense(3), name="each")(y)
    model = tf_keras.Model(x, layers.LayerNormalization(name="norm")(y))
    model.save(folder, save_format="tf")
    return model


@saver
def keras3_export(folder: str) -> Any:
    """`model.export`: variables in lists, no layers."""
    model = _network(keras)
    model.export(folder, format="tf_saved_model", verbose=False)
    return model


@saver
def keras3_saved(folder: str) -> Any:
    """A Keras 3 model given to `tf.saved_model.save`."""
    model = _network(keras)
    tf.saved_model.save(model, folder)
    return model


@saver
def plain_module(folder: str) -> Any:
    """A `tf.Module` with a variable per kind of name, a table file and an asset."""

    class Plain(tf.Module):
        def __init__(self):
            super().__init__(name="plain")
            self.w = tf.Variable(tf.ones((3, 2)), name="dense/kernel")
            self.b = tf.Variable(tf.zeros((2,)), name="dense/bias")
            self.frozen = tf.Variable(tf.zeros((4,)), trainable=False, name="seen")
            self.half = tf.Variable(tf.zeros((2, 2), tf.bfloat16), name="half")
            self.parts = [tf.Variable(1, name="one"), tf.Variable(True, name="two")]
            words = Path(folder).with_suffix(".txt")
            words.write_text("a\nb\n")
            self.asset = tf.saved_model.Asset(str(words))
            self.empty = tf.Variable(tf.zeros((0, 5)), name="empty")

        @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, name="x")])
        def __call__(self, x):
            return {"y": tf.matmul(x, self.w) + self.b}

        @tf.function(input_signature=[tf.TensorSpec((), tf.string)])
        def peek(self, path):
            return tf.io.read_file(path)

    module = Plain()
    tf.saved_model.save(module, folder)


@saver
def tf1_builder(folder: str) -> Any:
    """A SavedModel of TF 1: named variables, a partitioned one, no object graph."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 8), name="x")
        big = v1.get_variable(
            "big", (8, 6), partitioner=v1.fixed_size_partitioner(3, axis=0), use_resource=False,
            initializer=v1.ones_initializer(),
        )  # fmt: skip
        w = v1.get_variable("layer/weights", (6, 2), use_resource=False)
        y = tf.matmul(tf.matmul(x, tf.convert_to_tensor(big)), w, name="y")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, folder, {"x": x}, {"y": y})


def layers_of(model: Any) -> list[dict[str, Any]]:
    """What Keras says of each layer, nested ones too, containers left out."""
    found = []
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found.extend(layers_of(layer))
            continue
        weights = [
            {"name": w.name, "shape": list(w.shape), "dtype": str(getattr(w.dtype, "name", w.dtype))}
            for w in layer.weights
        ]
        found.append(
            {
                "name": layer.name,
                "type": type(layer).__name__,
                "count": layer.count_params() if weights else 0,
                "weights": weights,
                "trainable": bool(layer.trainable),
            }
        )
    return found


def main(folder: Path) -> None:
    """Save every model and write down what is in it."""
    expected = {}
    for name, save in SAVERS.items():
        keras.utils.set_random_seed(7)
        tf_keras.backend.clear_session()
        keras.backend.clear_session()
        model = save(str(folder / name))
        reader = tf.train.load_checkpoint(str(folder / name / "variables" / "variables"))
        kinds = reader.get_variable_to_dtype_map()
        expected[name] = {
            "variables": {
                key: {"shape": shape, "dtype": kinds[key].name}
                for key, shape in sorted(reader.get_variable_to_shape_map().items())
            },
            "layers": layers_of(model) if model is not None else None,
        }
    (folder / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
