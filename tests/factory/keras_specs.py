"""Keras' own architecture JSON of many models, with Keras' own account of each; runs under the Keras interpreter.

Leaves `specs.jsonl` (a `to_json()` a line), `random.jsonl` (random layer lists) and `expected.json`: per model, in the
same order, its name, totals and layers (`path`, `type`, `output`, `weights` as [shape, dtype, trainable]).
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras import layers as kl
from keras import ops

Model = keras.Model


def mlp_batchnorm() -> Model:
    """Seed 0: a Sequential MLP of three Dense and BatchNormalization blocks."""
    model = keras.Sequential([keras.Input((1120,))])
    for units, last in ((512, False), (256, False), (38, True)):
        model.add(kl.Dense(units))
        model.add(kl.BatchNormalization())
        model.add(kl.Activation("softmax" if last else "relu"))
        if not last:
            model.add(kl.Dropout(0.5))
    return model


def functional_mlp() -> Model:
    """Seed 1: a functional MLP whose BatchNormalization has 2048 parameters."""
    inputs = keras.Input((4096,))
    x = kl.Dense(512, activation="relu")(inputs)
    x = kl.Dropout(0.5)(kl.BatchNormalization()(x))
    return Model(inputs, kl.Dense(80, activation="sigmoid")(x))


def small_cnn() -> Model:
    """Seed 2: the CNN that also exists in PyTorch."""
    return keras.Sequential([
        keras.Input((64, 64, 1)), kl.Conv2D(32, 3, padding="same", activation="relu"),
        kl.BatchNormalization(momentum=0.15), kl.Flatten(), kl.Dense(100, activation="relu"),
        kl.Dense(10, activation="softmax"),
    ])  # fmt: skip


def nested_shared() -> Model:
    """A Sequential used twice, a functional model inside, operations, several inputs and outputs, a wrapped model."""
    first, second = keras.Input((8,), name="a"), keras.Input((8,), name="b")
    inner = keras.Sequential([kl.Dense(8, activation="relu")], name="inner")
    entry = keras.Input((8,))
    other = Model(entry, kl.Dense(4)(kl.Dense(8, activation="gelu")(entry)), name="other")
    x = inner(inner(kl.Add()([first, second])))
    y = other(x)
    z = ops.concatenate([(ops.relu(y) + 1.0)[:, 1:3], y], axis=-1)
    steps = kl.Reshape((4, 2))(x)
    w = kl.TimeDistributed(keras.Sequential([kl.Dense(3)]))(kl.MultiHeadAttention(2, 4)(steps, steps))
    return Model({"a": first, "b": second}, {"z": z, "w": kl.Bidirectional(kl.LSTM(3))(w)})


def frozen_base() -> Model:
    """A frozen nested model under a head that learns."""
    base = keras.applications.MobileNetV2(weights=None, input_shape=(64, 64, 3), include_top=False)
    base.trainable = False
    inputs = keras.Input((64, 64, 3))
    x = kl.GlobalAveragePooling2D()(base(inputs, training=False))
    return Model(inputs, kl.Dense(5)(x))


def recurrent() -> Model:
    """States passed on, stacked cells, masks."""
    inputs = keras.Input((20,))
    x = kl.Embedding(100, 16, mask_zero=True)(inputs)
    x, state = kl.GRU(5, return_sequences=True, return_state=True)(x)
    y = kl.GRU(5, reset_after=False)(x, initial_state=state)
    z = kl.RNN([kl.LSTMCell(4), kl.GRUCell(3)])(x)
    w = kl.Bidirectional(kl.SimpleRNN(3), backward_layer=kl.SimpleRNN(3, go_backwards=True), merge_mode="sum")(x)
    return Model(inputs, [y, z, w])


def shared_layer() -> Model:
    """One Dense called three times."""
    dense = kl.Dense(8)
    inputs = keras.Input((8,))
    return Model(inputs, kl.Add()([dense(inputs), dense(dense(inputs))]))


def open_sizes() -> Model:
    """Axes without a size."""
    inputs = keras.Input((None, None, 3))
    x = kl.SeparableConv2D(8, 3, strides=2)(kl.Conv2D(4, 3, padding="same")(inputs))
    return Model(inputs, kl.GlobalMaxPooling2D()(kl.UpSampling2D()(x)))


def transformer() -> Model:
    """A small transformer block of built-in layers, mixed precision."""
    inputs = keras.Input((12, 16))
    x = kl.LayerNormalization(dtype="mixed_float16")(kl.MultiHeadAttention(4, 4, dtype="mixed_float16")(inputs, inputs))
    x = kl.Add()([inputs, x])
    y = kl.EinsumDense("abc,cd->abd", output_shape=(None, 32), bias_axes="d", activation="gelu")(x)
    return Model(inputs, kl.RMSNormalization()(kl.GroupQueryAttention(8, 4, 2)(y, y)))


def all_layers() -> Model:
    """Every other layer class with weights or a shape of its own, side by side."""
    image, steps, vector = keras.Input((16, 16, 4)), keras.Input((10, 6)), keras.Input((12,))
    volume = keras.Input((8, 8, 8, 2))
    found = [layer(image) for layer in _image_layers()] + [layer(steps) for layer in _step_layers()]
    found += [layer(vector) for layer in _vector_layers()] + [layer(volume) for layer in _volume_layers()]
    frames = keras.Input((5, 8, 8, 3))
    found += [kl.ConvLSTM2D(4, 3)(frames), kl.TimeDistributed(kl.Conv2D(2, 3))(frames)]
    found += [kl.Attention(use_scale=True)([steps, steps]), kl.AdditiveAttention()([steps, steps]),
              kl.Dot(axes=2)([steps, steps]), kl.Average()([steps, steps]), kl.Maximum()([steps, steps]),
              kl.Concatenate(axis=1)([steps, steps]), kl.Subtract()([steps, steps])]  # fmt: skip
    return Model([image, steps, vector, volume, frames], found)


def _image_layers() -> list[Any]:
    return [
        kl.Conv2DTranspose(3, 3, strides=2, padding="same"), kl.DepthwiseConv2D(3, depth_multiplier=2),
        kl.SeparableConv2D(5, 3, depth_multiplier=2), kl.Conv2D(6, (3, 2), groups=2, dilation_rate=2, use_bias=False),
        kl.BatchNormalization(scale=False), kl.BatchNormalization(center=False, axis=1), kl.GroupNormalization(2),
        kl.MaxPooling2D(3, strides=2, padding="same"), kl.AveragePooling2D(2), kl.GlobalAveragePooling2D(keepdims=True),
        kl.ZeroPadding2D(((1, 2), (3, 4))), kl.Cropping2D(1), kl.UpSampling2D((2, 3), interpolation="bilinear"),
        kl.PReLU(shared_axes=[1, 2]), kl.PReLU(), kl.SpatialDropout2D(0.2), kl.Resizing(5, 7), kl.CenterCrop(4, 4),
        kl.Rescaling(1 / 255), kl.RandomFlip(), kl.RandomRotation(0.1), kl.Normalization(), kl.Permute((3, 1, 2)),
        kl.SpectralNormalization(kl.Conv2D(4, 3)), kl.AdaptiveAveragePooling2D(4), kl.RandomZoom(0.1),
    ]  # fmt: skip


def _step_layers() -> list[Any]:
    return [
        kl.Conv1D(4, 3, padding="causal"), kl.Conv1DTranspose(4, 3), kl.SeparableConv1D(4, 3), kl.DepthwiseConv1D(3),
        kl.LSTM(5, unit_forget_bias=False), kl.LSTM(5, use_bias=False, return_sequences=True), kl.GRU(4), kl.Masking(),
        kl.SimpleRNN(3, return_state=True), kl.MaxPooling1D(), kl.GlobalMaxPooling1D(), kl.UpSampling1D(3),
        kl.ZeroPadding1D(2), kl.Cropping1D(1), kl.SpatialDropout1D(0.1), kl.LayerNormalization(axis=[1, 2]),
        kl.TimeDistributed(kl.Dense(3)), kl.Bidirectional(kl.GRU(3, return_sequences=True), merge_mode="mul"),
        kl.UnitNormalization(), kl.Softmax(axis=1), kl.Flatten(), kl.GaussianNoise(0.1), kl.AlphaDropout(0.1),
    ]  # fmt: skip


def _vector_layers() -> list[Any]:
    return [
        kl.Dense(4, kernel_regularizer="l2", kernel_constraint="max_norm"), kl.Embedding(10, 3), kl.RepeatVector(3),
        kl.Reshape((3, 4)), kl.Reshape((-1, 2)), kl.LeakyReLU(0.1), kl.ELU(), kl.ReLU(6.0), kl.Activation("swish"),
        kl.ActivityRegularization(0.1), kl.GaussianDropout(0.1), kl.Identity(), kl.Dense(3, trainable=False),
        kl.Discretization(bin_boundaries=[0.0, 1.0]), kl.CategoryEncoding(4), kl.Hashing(8), kl.Dense(5, lora_rank=2),
        kl.Dense(4, dtype="int8_from_float32"), kl.ReversibleEmbedding(10, 4),
    ]  # fmt: skip


def _volume_layers() -> list[Any]:
    return [kl.Conv3D(3, 2), kl.Conv3DTranspose(2, 2), kl.MaxPooling3D(), kl.AveragePooling3D(2), kl.ZeroPadding3D(),
            kl.GlobalAveragePooling3D(), kl.UpSampling3D(), kl.SpatialDropout3D(0.1)]  # fmt: skip


def _application(name: str, **options: Any) -> Callable[[], Model]:
    def make() -> Model:
        return getattr(keras.applications, name)(weights=None, **options)

    make.__name__ = name
    return make


MODELS: list[Callable[[], Model]] = [
    mlp_batchnorm, functional_mlp, small_cnn, nested_shared, frozen_base, recurrent, shared_layer, open_sizes,
    transformer, all_layers, _application("ResNet50"), _application("EfficientNetV2B0"),
    _application("MobileNetV3Small"), _application("ConvNeXtTiny"), _application("NASNetMobile"),
    _application("DenseNet121"),
]  # fmt: skip


EXPORTED = {"GroupedQueryAttention": "GroupQueryAttention"}
"""Classes that Keras exports, and writes into its JSON, under another name."""


def walk(model: Model, prefix: str = "") -> Iterator[dict[str, Any]]:
    """Keras' own account of a model's layers, nested models opened."""
    for layer in model.layers:
        path = prefix + layer.name
        inner = layer if isinstance(layer, keras.Model) else None
        yield {
            "path": path,
            "type": EXPORTED.get(type(layer).__name__, type(layer).__name__),
            "output": _shape(layer),
            "weights": [] if inner else [_weight(weight) for weight in layer.weights],
            "learned": sum(_count(weight) for weight in layer.trainable_weights),
        }
        if inner is not None:
            yield from walk(inner, f"{path}/")


def _shape(layer: Any) -> list[Any] | None:
    outputs = layer._inbound_nodes[0].output_tensors
    return [[None, *tensor.shape[1:]] for tensor in outputs]


def _weight(weight: Any) -> list[Any]:
    return [list(weight.shape), str(weight.dtype), bool(weight.trainable)]


def _count(weight: Any) -> int:
    total = 1
    for size in weight.shape:
        total *= size
    return total


_RANDOM: dict[int, list[dict[str, Any]]] = {
    2: [{"type": "Dense", "units": 5}, {"type": "BatchNormalization"}, {"type": "Dropout", "rate": 0.2},
        {"type": "Activation", "activation": "gelu"}, {"type": "Reshape", "target_shape": [-1, 1]},
        {"type": "RepeatVector", "n": 4}, {"type": "LayerNormalization", "center": False}, {"type": "PReLU"},
        {"type": "Dense", "units": 7, "use_bias": False, "trainable": False}],
    3: [{"type": "LSTM", "units": 3}, {"type": "GRU", "units": 4, "return_sequences": True, "reset_after": False},
        {"type": "Conv1D", "filters": 6, "kernel_size": 2, "padding": "same"}, {"type": "MaxPooling1D"},
        {"type": "SimpleRNN", "units": 2}, {"type": "Flatten"}, {"type": "Permute", "dims": [2, 1]},
        {"type": "SeparableConv1D", "filters": 4, "kernel_size": 3}, {"type": "UnitNormalization"},
        {"type": "Dense", "units": 6}, {"type": "GlobalAveragePooling1D"}, {"type": "UpSampling1D", "size": 2}],
    4: [{"type": "Conv2D", "filters": 4, "kernel_size": [3, 2], "strides": 2}, {"type": "Flatten"},
        {"type": "DepthwiseConv2D", "kernel_size": 3, "depth_multiplier": 2}, {"type": "MaxPooling2D"},
        {"type": "Conv2DTranspose", "filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"},
        {"type": "BatchNormalization", "scale": False}, {"type": "ZeroPadding2D", "padding": [[1, 0], [0, 2]]},
        {"type": "SeparableConv2D", "filters": 5, "kernel_size": 2, "use_bias": False}, {"type": "Dense", "units": 4},
        {"type": "GlobalMaxPooling2D"}, {"type": "SpatialDropout2D", "rate": 0.1}, {"type": "Reshape",
         "target_shape": [-1, 4]}, {"type": "Cropping2D", "cropping": 1}],
}  # fmt: skip
"""Layers by the rank of input they take, for random lists."""


def random_lists(count: int) -> Iterator[tuple[dict[str, Any], Model | None]]:
    """Random layer lists, each with the model that Keras makes of it, or None where Keras refuses."""
    draw = random.Random(20261121)  # noqa: S311 - a corpus, not a secret
    for _ in range(count):
        shape = draw.choice([[12], [8, 6], [None, 5], [12, 10, 4], [16, 16, 3]])
        spec: dict[str, Any] = {"framework": "keras", "input_shape": shape, "layers": []}
        keras.utils.clear_session()
        tensor = inputs = keras.Input(shape)
        model: Model | None = None
        try:
            for _ in range(draw.randint(1, 7)):
                chosen = draw.choice(_RANDOM[len(tensor.shape)])
                spec["layers"].append(chosen)
                arguments = {key: value for key, value in chosen.items() if key != "type"}
                tensor = getattr(kl, chosen["type"])(**arguments)(tensor)
            model = Model(inputs, tensor)
        except ValueError:
            pass
        yield spec, model


def write_random(target: Path) -> list[dict[str, Any]]:
    """Write the random lists; the account of those that Keras refuses has no layers."""
    expected = []
    with (target / "random.jsonl").open("w") as specs:
        for spec, model in random_lists(150):
            specs.write(json.dumps(spec) + "\n")
            expected.append({"layers": list(walk(model))[1:] if model is not None else None})
    return expected


def main(target: Path) -> None:
    """Write every model."""
    expected = []
    with (target / "specs.jsonl").open("w") as specs:
        for make in MODELS:
            keras.utils.clear_session()
            with keras.StatelessScope(initialize_variables=False):
                model = make()
                specs.write(model.to_json() + "\n")
                expected.append({
                    "model": make.__name__,
                    "trainable": sum(_count(weight) for weight in model.trainable_weights),
                    "total": model.count_params(),
                    "layers": list(walk(model)),
                })  # fmt: skip
    with keras.StatelessScope(initialize_variables=False):
        drawn = write_random(target)
    (target / "expected.json").write_text(json.dumps({"models": expected, "random": drawn}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
