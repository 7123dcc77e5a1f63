"""Writes Keras models and their weights as plain arrays, for `torch_conversions.py` to convert for real.

Into the folder given: `<name>.keras` and `<name>.weights.h5` for each model, `<name>.npz` with every weight under
`layer/place`, an input and the model's output, and `resnet50.keras` as `keras.applications` makes it, without numbers.
Statistics and biases get random numbers, so that every place of every weight can be told from every other.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

OUT = Path(sys.argv[1])
RANDOM = np.random.default_rng(7)
keras.utils.set_random_seed(7)


def seed_cnn() -> keras.Model:
    """The CNN of the golden numbers, on a smaller map so that the file stays small."""
    return keras.Sequential([
        keras.Input((16, 12, 1)), layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.BatchNormalization(momentum=0.15), layers.MaxPooling2D(2), layers.Flatten(),
        layers.Dense(100, activation="relu"), layers.Dropout(0.3), layers.Dense(100), layers.LeakyReLU(),
        layers.Dense(10, activation="softmax"),
    ])  # fmt: skip


def recurrent() -> keras.Model:
    """LSTM twice, GRU, both directions."""
    inputs = keras.Input((9, 7))
    x = layers.LSTM(8, return_sequences=True)(inputs)
    x = layers.LSTM(8, return_sequences=True)(x)
    x = layers.GRU(6, return_sequences=True)(x)
    x = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(x)
    x = layers.Bidirectional(layers.GRU(4))(x)
    return keras.Model(inputs, layers.Dense(3)(x))


def folding() -> keras.Model:
    """Normalisations right after layers that have no bias of their own, of every family."""
    return keras.Sequential([
        keras.Input((12, 12, 3)), layers.Conv2D(6, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU(),
        layers.DepthwiseConv2D(3, use_bias=False), layers.BatchNormalization(scale=False), layers.ReLU(),
        layers.Conv2DTranspose(5, 2, use_bias=False), layers.BatchNormalization(center=False), layers.ReLU(),
        layers.GlobalAveragePooling2D(), layers.Dense(7, use_bias=False), layers.BatchNormalization(), layers.ReLU(),
        layers.Dense(4),
    ])  # fmt: skip


def block(x: keras.KerasTensor, width: int, heads: int) -> keras.KerasTensor:
    """One encoder block, normalised afterwards."""
    attended = layers.MultiHeadAttention(heads, width // heads)(x, x)
    x = layers.LayerNormalization(epsilon=1e-5)(x + attended)
    hidden = layers.Dense(2 * width, activation="relu")(x)
    return layers.LayerNormalization(epsilon=1e-5)(x + layers.Dense(width)(hidden))


def transformer(depth: int = 12, width: int = 24, heads: int = 4) -> keras.Model:
    """A stack of encoder blocks over an embedding."""
    inputs = keras.Input((10,), dtype="int32")
    x = layers.Embedding(50, width)(inputs)
    for _ in range(depth):
        x = block(x, width, heads)
    return keras.Model(inputs, layers.Dense(5)(x))


def convolutions() -> keras.Model:
    """Depthwise, separable, transposed, grouped and one-dimensional."""
    inputs = keras.Input((16, 16, 4))
    x = layers.Conv2D(8, 3, groups=2, use_bias=False)(inputs)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2)(x)
    x = layers.SeparableConv2D(12, (3, 5))(x)
    x = layers.Conv2DTranspose(6, 3, strides=2)(x)
    x = layers.Conv2DTranspose(6, 3)(x)
    x = layers.GroupNormalization(3)(x)
    x = layers.Reshape((-1, 6))(x)
    x = layers.Conv1D(5, 4)(x)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def resnet(stages: tuple[tuple[int, int, int], ...], stem: int) -> keras.Model:
    """Bottleneck blocks as in `keras.applications.ResNet50`, smaller, with the shortcut's layers before the third."""
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(stem, 7, 2)(layers.ZeroPadding2D(3)(inputs))
    x = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(x))
    for width, blocks, stride in stages:
        for index in range(blocks):
            x = bottleneck(x, width, stride if index == 0 else 1, first=index == 0)
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def bottleneck(x: keras.KerasTensor, width: int, stride: int, *, first: bool) -> keras.KerasTensor:
    """1x1, 3x3 and 1x1 convolutions around a shortcut."""
    shortcut = x
    if first:
        shortcut = layers.BatchNormalization(epsilon=1.001e-5)(layers.Conv2D(4 * width, 1, stride)(x))
    x = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(layers.Conv2D(width, 1, stride)(x)))
    x = layers.ReLU()(layers.BatchNormalization(epsilon=1.001e-5)(layers.Conv2D(width, 3, padding="same")(x)))
    x = layers.BatchNormalization(epsilon=1.001e-5)(layers.Conv2D(4 * width, 1)(x))
    return layers.ReLU()(layers.Add()([shortcut, x]))


def save(name: str, model: keras.Model) -> None:
    """The model, and its weights as arrays in the order in which Keras lists them, layer by layer."""
    held: dict[str, np.ndarray] = {}
    for layer in model.layers:
        arrays = [_random(weight.path, weight.shape) for weight in layer.weights]
        layer.set_weights(arrays)
        held.update({f"{layer.name}/{place}": array for place, array in enumerate(arrays)})
    shape = (2, *model.input_shape[1:])
    whole = model.inputs[0].dtype == "int32"
    given = RANDOM.integers(0, 50, shape) if whole else RANDOM.normal(size=shape).astype("float32")
    held["input"], held["output"] = given, np.asarray(model(given, training=False))
    model.save(OUT / f"{name}.keras")
    model.save_weights(OUT / f"{name}.weights.h5")
    np.savez(OUT / f"{name}.npz", **held)


def _random(path: str, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers as in a trained model; a variance and a scale are above zero."""
    numbers = RANDOM.normal(size=shape).astype("float32")
    if path.endswith(("variance", "gamma")):
        return np.abs(numbers) + np.float32(0.5)
    return numbers / np.float32(np.sqrt(max(1, np.prod(shape[:-1])))) if len(shape) > 1 else numbers


save("seed_cnn", seed_cnn())
save("recurrent", recurrent())
save("transformer", transformer())
save("convolutions", convolutions())
save("folding", folding())
save("resnet", resnet(((8, 2, 1), (16, 2, 2)), 8))
keras.applications.ResNet50(weights=None).save(OUT / "resnet50.keras")
