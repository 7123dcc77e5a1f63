"""One Keras model in every format that TensorFlow writes it in, and its weights as plain arrays.

Into the folder given: `<name>.keras`, `<name>_saved` (`Model.export`), `<name>.tflite`, `<name>_checkpoint` and
`<name>.npz` with every weight under `layer/place`, for `network` (convolutions, normalisations, Dense) and `recurrent`.
`plain` has no normalisation, so that nothing of it is folded.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

OUT = Path(sys.argv[1])
RANDOM = np.random.default_rng(3)


def network() -> keras.Model:
    """Every layer that a small classifier has; the map that is made flat is 4 by 4, of 8 channels."""
    return keras.Sequential([
        keras.Input((8, 8, 3)), layers.Conv2D(8, 3, padding="same", name="conv"),
        layers.BatchNormalization(name="norm"), layers.ReLU(), layers.MaxPooling2D(2),
        layers.Flatten(), layers.Dense(16, activation="relu", name="hidden"),
        layers.Dense(16, activation="relu", name="square"),
        layers.Dense(5, name="out"),
    ])  # fmt: skip


def plain() -> keras.Model:
    """Without a normalisation."""
    return keras.Sequential([
        keras.Input((8, 8, 3)), layers.Conv2D(8, 3, padding="same", activation="relu", name="conv"),
        layers.DepthwiseConv2D(3, name="deep"), layers.Flatten(), layers.Dense(16, activation="relu", name="hidden"),
        layers.Dense(16, name="square"),
    ])  # fmt: skip


def recurrent() -> keras.Model:
    """Gates."""
    inputs = keras.Input((6, 5))
    x = layers.LSTM(7, return_sequences=True, name="lstm")(inputs)
    x = layers.Bidirectional(layers.GRU(4), name="both")(x)
    return keras.Model(inputs, layers.Dense(3, name="out")(x))


def filled(model: keras.Model) -> dict[str, np.ndarray]:
    """Random numbers for every weight; a variance and a scale are above zero."""
    held: dict[str, np.ndarray] = {}
    for layer in model.layers:
        arrays = [RANDOM.normal(size=weight.shape).astype("float32") for weight in layer.weights]
        arrays = [np.abs(array) + np.float32(0.5) if weight.path.endswith(("variance", "gamma")) else array
                  for array, weight in zip(arrays, layer.weights, strict=True)]  # fmt: skip
        layer.set_weights(arrays)
        held.update({f"{layer.name}/{place}": array for place, array in enumerate(arrays)})
    return held


for name, make in (("network", network), ("plain", plain), ("recurrent", recurrent)):
    made = make()
    np.savez(OUT / f"{name}.npz", **filled(made))
    made.save(OUT / f"{name}.keras")
    made.export(str(OUT / f"{name}_saved"), format="tf_saved_model", verbose=False)
    folder = OUT / f"{name}_checkpoint"
    folder.mkdir()
    tf.train.Checkpoint(model=made).write(str(folder / "weights"))
    if name != "recurrent":
        (OUT / f"{name}.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(made).convert())
