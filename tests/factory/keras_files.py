"""Writes files of Keras 3 with Keras itself, and what Keras says is in them.

Run by `tests.corpus` under an interpreter with TensorFlow and Keras 3: `python keras_files.py FOLDER`.
expected.json: model -> {"name", "type", "count", "trainable", "files", "optimizer": [shape], "layers": [{"path",
"name", "type", "trainable", "outputs", "repeated", "model", "weights": [{"name", "shape", "dtype", "trainable"}]}]}.
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
from keras import layers as L  # noqa: N812 - as everyone writes it

FUSED = ("LSTM", "GRU", "SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
Models = dict[str, Callable[[], Any]]
MODELS: Models = {}


def model(build: Callable[[], Any]) -> Callable[[], Any]:
    """Registers a function that builds one model of the corpus under its name."""
    MODELS[build.__name__] = build
    return build


@keras.saving.register_keras_serializable(package="corpus")
class Gate(L.Layer):
    """A custom layer with variables of its own, an inner layer and a list of layers."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.project = L.Dense(units, name="project")
        self.norm = L.BatchNormalization(name="norm")
        self.stack = [L.Dense(units, name="first"), L.Dense(units, name="second")]

    def build(self, input_shape):
        self.mix = self.add_weight(name="mix", shape=(self.units,))
        self.seen = self.add_weight(name="seen", shape=(), dtype="int32", trainable=False, initializer="zeros")
        self.project.build(input_shape)
        for layer in [self.norm, *self.stack]:
            layer.build((None, self.units))
        super().build(input_shape)

    def call(self, inputs):
        return self.stack[1](self.stack[0](self.norm(self.project(inputs)))) * self.mix

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="corpus")
class Subclassed(keras.Model):
    """A subclassed model: its configuration lists no layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoder = L.Dense(4, name="encoder")
        self.blocks = [L.Dense(4, name="b0"), Gate(4, name="b1")]
        self.wide = keras.Sequential([L.Dense(6), L.Dense(2)], name="wide")
        self.offset = self.add_weight(shape=(4,), name="offset")

    def call(self, inputs):
        x = self.encoder(inputs) + self.offset
        for block in self.blocks:
            x = block(x)
        return self.wide(x)


# The three seed models


@model
def seed0():
    """Sequential MLP of three Dense + BatchNormalization blocks."""
    return keras.Sequential(
        [
            keras.Input((1120,)),
            L.Dense(512),
            L.BatchNormalization(),
            L.Activation("relu"),
            L.Dropout(0.5),
            L.Dense(256),
            L.BatchNormalization(),
            L.Activation("relu"),
            L.Dropout(0.5),
            L.Dense(38),
            L.BatchNormalization(),
            L.Activation("softmax"),
        ],
        name="seed0",
    )


@model
def seed1():
    """Functional MLP whose BatchNormalization has 2,048 values."""
    inputs = keras.Input((4096,))
    x = L.Dropout(0.5)(L.BatchNormalization()(L.Dense(512, activation="relu")(inputs)))
    return keras.Model(inputs, L.Dense(80, activation="softmax")(x), name="seed1")


@model
def seed2():
    """Tiny CNN."""
    return keras.Sequential(
        [
            keras.Input((64, 64, 1)),
            L.Conv2D(32, 3, padding="same"),
            L.BatchNormalization(momentum=0.15),
            L.Flatten(),
            L.Dense(100, activation="relu"),
            L.Dense(10, activation="softmax"),
        ],
        name="seed2",
    )


# Every layer that has weights


@model
def dense_and_embedding():
    """Layers on sequences of numbers."""
    inputs = keras.Input((7,), dtype="int32", name="tokens")
    x = L.Embedding(20, 6, name="table")(inputs)
    x = L.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d", name="einsum")(x)
    x = L.EinsumDense("abc,cde->abde", output_shape=(None, 2, 3), name="einsum_wide")(x)
    x = L.Reshape((7, 6))(x)
    x = L.PReLU(shared_axes=[1])(x)
    x = L.Dense(4, use_bias=False)(L.Flatten()(x))
    return keras.Model(inputs, [x, L.ReversibleEmbedding(9, 3, tie_weights=False, name="both_ways")(inputs)])


@model
def convolutions():
    """Convolutions in one, two and three dimensions, with every padding and stride."""
    image = keras.Input((17, 16, 4), name="image")
    x = L.Conv2D(6, (3, 2), strides=(2, 1), padding="valid", groups=2)(image)
    x = L.Conv2D(5, 3, dilation_rate=2, padding="same", use_bias=False)(x)
    x = L.DepthwiseConv2D(3, depth_multiplier=2, strides=2, padding="same")(x)
    x = L.SeparableConv2D(8, 3, depth_multiplier=1)(x)
    x = L.Conv2DTranspose(4, (3, 2), strides=(2, 3), padding="same")(x)
    x = L.Conv2DTranspose(3, 4, strides=2, padding="valid")(x)
    x = L.MaxPooling2D((3, 2), strides=2, padding="same")(x)
    x = L.AveragePooling2D(2)(x)
    x = L.ZeroPadding2D(((1, 2), (3, 0)))(x)
    x = L.Cropping2D(((0, 1), (2, 1)))(x)
    x = L.UpSampling2D((2, 3))(x)
    sound = keras.Input((20, 3), name="sound")
    y = L.Conv1D(4, 5, padding="causal", strides=2)(sound)
    y = L.DepthwiseConv1D(3)(y)
    y = L.SeparableConv1D(6, 2)(y)
    y = L.Conv1DTranspose(2, 3, strides=2)(y)
    y = L.GlobalMaxPooling1D()(L.ZeroPadding1D((2, 1))(L.Cropping1D(1)(L.UpSampling1D(2)(y))))
    volume = keras.Input((6, 6, 6, 2), name="volume")
    z = L.Conv3DTranspose(2, 2, strides=2)(L.Conv3D(3, 2, padding="same")(volume))
    z = L.GlobalAveragePooling3D(keepdims=True)(L.AveragePooling3D(2)(L.ZeroPadding3D(1)(z)))
    return keras.Model([image, sound, volume], [x, y, z])


@model
def normalizations():
    """Every normalization, with and without its optional weights."""
    inputs = keras.Input((6, 8))
    x = L.BatchNormalization(scale=False)(inputs)
    x = L.BatchNormalization(center=False)(x)
    x = L.BatchNormalization(scale=False, center=False)(x)
    x = L.BatchNormalization(axis=1, renorm=True)(x)
    x = L.LayerNormalization(scale=False)(x)
    x = L.LayerNormalization(axis=[1, 2])(x)
    x = L.LayerNormalization(rms_scaling=True)(x)
    x = L.GroupNormalization(4, center=False)(x)
    x = L.RMSNormalization()(x)
    x = L.UnitNormalization()(x)
    x = L.SpectralNormalization(L.Dense(3, name="inner"))(x)
    scaled = L.Normalization(name="fitted")
    scaled.build((None, 6, 3))
    x = scaled(x)
    return keras.Model(inputs, L.Normalization(mean=1.0, variance=2.0)(x))


@model
def recurrent():
    """Every recurrent layer, and wrappers around them."""
    inputs = keras.Input((9, 5))
    x = L.LSTM(4, return_sequences=True)(inputs)
    x = L.GRU(3, return_sequences=True, reset_after=False)(x)
    x = L.SimpleRNN(6, return_sequences=True, use_bias=False)(x)
    x = L.RNN(L.LSTMCell(3), return_sequences=True)(x)
    x = L.RNN([L.LSTMCell(4), L.GRUCell(2), L.LSTMCell(3)], return_sequences=True, name="stacked")(x)
    x = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both")(x)
    x = L.Bidirectional(L.GRU(2, return_sequences=True), merge_mode="sum")(x)
    x = L.TimeDistributed(L.Dense(7), name="steps")(x)
    x, state, carry = L.LSTM(2, return_state=True)(x)
    video = keras.Input((3, 8, 8, 2))
    y = L.ConvLSTM2D(4, 3, return_sequences=True, padding="same")(video)
    y = L.ConvLSTM2D(2, 3)(y)
    z = L.ConvLSTM1D(2, 2)(keras.Input((3, 8, 2), name="lines"))
    return keras.Model([inputs, video, z._keras_history.operation.input], [x, L.Add()([state, carry]), y, z])


@model
def attentions():
    """Every attention layer."""
    query, value = keras.Input((4, 6), name="query_input"), keras.Input((5, 6), name="value_input")
    a = L.MultiHeadAttention(2, 3, value_dim=4, name="heads")(query, value=value)
    b = L.MultiHeadAttention(2, 3, output_shape=7, use_bias=False)(query, value, key=value)
    c = L.GroupQueryAttention(4, 4, 2, name="grouped")(query, value)
    d = L.Attention(use_scale=True, score_mode="concat")([query, value])
    e = L.AdditiveAttention()([query, value])
    return keras.Model([query, value], [a, b, c, L.Concatenate()([d, e])])


# Structure


@model
def nested_shared_frozen():
    """Nested models, layers shared within and between models, frozen layers and models, tensor operations."""
    shared = L.Dense(5, name="shared")
    left = keras.Sequential([keras.Input((5,)), shared, L.Dense(5, trainable=False, name="stiff")], name="left")
    inner_input = keras.Input((5,), name="inner_input")
    deepest = keras.Sequential([L.Dense(3, name="deep"), L.BatchNormalization(name="deep_norm")], name="deepest")
    right = keras.Model(inner_input, deepest(shared(inner_input)), name="right")
    inputs = keras.Input((5,), name="outer_input")
    x = shared(shared(inputs))
    x = keras.ops.concatenate([left(x), right(x)], axis=-1) * 2.0
    x = L.Dense(4, name="head")(x)
    built = keras.Model(inputs, L.Add()([x, x[:, :1], L.Dropout(0.1)(x)]), name="outer")
    right.trainable = False
    return built


@model
def several_outputs():
    """A layer called twice, merges of all kinds, keyword tensors."""
    a, b = keras.Input((4, 6), name="a"), keras.Input((4, 6), name="b")
    twice = L.Dense(6, name="twice")
    x, y = twice(a), twice(b)
    outputs = [
        L.Subtract()([x, y]),
        L.Multiply()([x, y]),
        L.Average()([x, y]),
        L.Maximum()([x, y]),
        L.Minimum()([x, y]),
        L.Concatenate(axis=1)([x, y]),
        L.Dot(axes=2)([x, y]),
        L.Permute((2, 1))(x),
        L.RepeatVector(3)(L.Flatten()(y)),
        L.MultiHeadAttention(1, 2)(query=x, value=y),
    ]
    return keras.Model({"a": a, "b": b}, outputs)


@model
def odd_names():
    """Names that look like paths."""
    inputs = keras.Input((4,), name="in.put")
    x = L.Dense(3, name="vars")(inputs)
    x = L.Dense(3, name="layers")(x)
    return keras.Model(inputs, L.Dense(2, name="ünï code")(x), name="optimizer")


@model
def custom():
    """Custom layers inside a functional model, one of them frozen."""
    inputs = keras.Input((5,))
    frozen = Gate(2, name="frozen_gate")
    x = frozen(Gate(3, name="gate")(inputs))
    frozen.trainable = False
    return keras.Model(inputs, L.Dense(1)(x))


@model
def subclassed():
    """A model without a layer list."""
    built = Subclassed(name="subclassed")
    built(np.zeros((1, 3), "float32"))
    return built


@model
def unbuilt_shapes():
    """Sizes that are not fixed."""
    inputs = keras.Input((None, None, 3))
    x = L.Conv2D(4, 3, strides=2)(inputs)
    x = L.GlobalAveragePooling2D()(L.UpSampling2D()(L.MaxPooling2D()(x)))
    return keras.Model(inputs, L.Dense(2)(x))


@model
def channels_first():
    """Channels before space."""
    inputs = keras.Input((3, 12, 10))
    x = L.Conv2D(4, 3, data_format="channels_first", padding="same")(inputs)
    x = L.MaxPooling2D(2, data_format="channels_first", padding="same")(x)
    x = L.BatchNormalization(axis=1)(x)
    return keras.Model(inputs, L.GlobalMaxPooling2D(data_format="channels_first")(x))


@model
def preprocessing():
    """Layers that prepare data."""
    inputs = keras.Input((9, 11, 3))
    x = L.Rescaling(1 / 255)(inputs)
    x = L.RandomFlip()(L.RandomRotation(0.1)(x))
    x = L.Resizing(8, 6)(x)
    x = L.CenterCrop(5, 4)(x)
    return keras.Model(inputs, L.GaussianNoise(0.1)(x))


# Types


@model
def mixed_precision():
    """Variables in float32, computation in bfloat16; one layer stored in bfloat16."""
    return keras.Sequential(
        [
            keras.Input((6,)),
            L.Dense(4, dtype="mixed_bfloat16"),
            L.Dense(3, dtype="bfloat16"),
            L.BatchNormalization(dtype="mixed_float16"),
            L.Dense(2, dtype="float16"),
        ]
    )


def _quantized(mode: str) -> Any:
    inputs = keras.Input((8,), name="numbers")
    tokens = keras.Input((4,), dtype="int32", name="tokens")
    x = L.Dense(7, name="matrix")(inputs)
    x = L.Dense(5, use_bias=False, name="no_bias")(x)
    y = L.Embedding(10, 6, name="table")(tokens)
    y = L.EinsumDense("abc,cde->abde", output_shape=(None, 3, 5), bias_axes="e", name="einsum")(y)
    built = keras.Model([inputs, tokens], [x, y])
    for layer in built.layers[2:]:
        if mode != "float8" or not isinstance(layer, L.Embedding):
            layer.quantize(mode)
    return built


@model
def quantized_int8():
    """Eight-bit weights with a scale per channel."""
    return _quantized("int8")


@model
def quantized_int4():
    """Four-bit weights, two to a byte."""
    return _quantized("int4")


@model
def quantized_float8():
    """Weights in float32 with the statistics of float8 training."""
    return _quantized("float8")


@model
def low_rank():
    """LoRA enabled on three layers."""
    inputs = keras.Input((7,), dtype="int32")
    x = L.Embedding(10, 6, name="table")(inputs)
    x = L.EinsumDense("abc,cd->abd", output_shape=(None, 5), bias_axes="d", name="einsum")(x)
    x = L.Dense(4, name="matrix")(x)
    built = keras.Model(inputs, x)
    for name in ("table", "einsum", "matrix"):
        built.get_layer(name).enable_lora(2)
    return built


@model
def trained():
    """Compiled and trained one step, so that the optimizer has slots."""
    built = keras.Sequential([keras.Input((4,)), L.Dense(3), L.BatchNormalization(), L.Dropout(0.1), L.Dense(2)])
    built.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    built.train_on_batch(np.zeros((2, 4)), np.zeros((2, 2)))
    return built


@model
def mobilenet():
    """A real architecture with 150 layers."""
    return keras.applications.MobileNetV2((96, 96, 3), weights=None, alpha=0.35)


# What Keras says


def _relative(layer: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """(name relative to its layer, variable) in the order of `layer.weights`, as Keras counts them: each once."""
    hidden = not prefix and type(layer).__name__ in FUSED
    inner = [
        pair for each in _inner_layers(layer) for pair in _relative(each, "" if hidden else f"{prefix}{each.name}/")
    ]
    names = {id(variable): name for name, variable in inner}
    own = layer._trainable_variables + layer._non_trainable_variables
    found = [(names.get(id(variable), prefix + variable.name), variable) for variable in own]
    unique: dict[int, tuple[str, Any]] = {}
    for name, variable in [*found, *inner]:
        unique.setdefault(id(variable), (name, variable))
    return list(unique.values())


def _inner_layers(layer: Any) -> list[Any]:
    if hasattr(layer, "_layers"):
        return list(layer._layers)
    return list(layer._flatten_layers(include_self=False, recursive=False))


def _shapes(layer: Any, attribute: str) -> Any:
    try:
        tensors = getattr(layer, attribute)
    except (AttributeError, ValueError, RuntimeError):
        return None
    flat = keras.tree.flatten(tensors)
    return [[None, *list(tensor.shape)[1:]] for tensor in flat if hasattr(tensor, "shape")]


def _describe(layer: Any, seen: set[int]) -> dict[str, Any]:
    repeated = id(layer) in seen
    seen.add(id(layer))
    is_model = hasattr(layer, "layers")
    trainable = {id(variable) for variable in getattr(layer, "trainable_weights", ())}
    pairs = [] if repeated or is_model or not hasattr(layer, "weights") else _relative(layer)
    return {
        "name": layer.name,
        "type": type(layer).__name__,
        "trainable": getattr(layer, "trainable", None),
        "outputs": _shapes(layer, "output"),
        "repeated": repeated,
        "model": is_model,
        "weights": [
            {
                "name": name,
                "shape": list(variable.shape),
                "dtype": _dtype(variable),
                "trainable": id(variable) in trainable,
            }
            for name, variable in pairs
        ],
    }


def _dtype(variable: Any) -> str:
    return variable.dtype if isinstance(variable.dtype, str) else variable.dtype.name


def _entries(top: Any) -> list[dict[str, Any]]:
    """What `summary(expand_nested=True)` lists, with paths."""
    seen: set[int] = set()
    found: list[dict[str, Any]] = []

    def visit(layers: list[Any], above: str) -> None:
        for layer in layers:
            path = f"{above}{layer.name}"
            found.append({"path": path, **_describe(layer, seen)})
            if hasattr(layer, "layers"):
                visit(layer.layers, f"{path}/")

    visit(getattr(top, "_operations", None) or top.layers if not _is_sequential(top) else top.layers, "")
    return found


def _is_sequential(top: Any) -> bool:
    return type(top).__name__ == "Sequential"


def _expected(top: Any) -> dict[str, Any]:
    optimizer = getattr(top, "optimizer", None)
    variables = optimizer.variables if optimizer is not None else []
    return {
        "name": top.name,
        "type": type(top).__name__,
        "count": top.count_params(),
        "trainable": sum(int(np.prod(v.shape)) for v in {id(v): v for v in top.trainable_weights}.values()),
        "layers": _entries(top),
        "optimizer": [list(variable.shape) for variable in variables],
    }


# Writing


def _write(folder: Path) -> dict[str, Any]:
    expected = {}
    for name, build in MODELS.items():
        keras.utils.clear_session()
        built = build()
        files = [f"{name}.keras", f"{name}.weights.h5"]
        built.save(folder / files[0])
        built.save_weights(folder / files[1])
        if name not in ("subclassed", "mixed_precision"):  # Keras cannot write these as legacy files
            files.append(f"{name}.h5")
            built.save(folder / files[2])
        if name.startswith("seed"):
            (folder / f"{name}.json").write_text(built.to_json())
        expected[name] = {**_expected(built), "files": files}
    built = MODELS["several_outputs"]()
    built.save_weights(folder / "sharded.weights.json", max_shard_size=1.6e-7)
    expected["sharded"] = {**_expected(built), "files": sorted(path.name for path in folder.glob("sharded*"))}
    return expected


def main(folder: Path) -> None:
    """Write everything into `folder`."""
    (folder / "expected.json").write_text(json.dumps(_write(folder)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
