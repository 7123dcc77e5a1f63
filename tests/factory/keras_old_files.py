"""Writes files of Keras 2 and Keras 1, and what Keras 2 says is in its own.

Run by `tests.corpus` under an interpreter with tf_keras, as which the real Keras 2 goes on. No Keras 1 installs now:
its files are written with h5py, attribute by attribute as Keras 1.2.2 writes them (`save_weights_to_hdf5_group` in
`keras/engine/topology.py`, `save_model` in `keras/models.py`).
expected.json has the form that `keras_files.py` describes.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import h5py
import numpy as np
import tensorflow as tf
import tf_keras as keras_2

FUSED = ("LSTM", "GRU", "SimpleRNN")


def _write_keras_2(folder: Path) -> dict[str, Any]:
    """Files of the real Keras 2, which goes on as tf_keras."""
    k = keras_2.layers
    inputs = keras_2.Input((8, 8, 3), name="image")
    x = k.BatchNormalization(name="norm")(k.Conv2D(4, 3, name="conv", trainable=False)(inputs))
    x = x + k.Dropout(0.1)(x) * 2.0
    x = k.SeparableConv2D(4, 2)(k.DepthwiseConv2D(2)(x))
    x = k.Flatten()(x)
    shared = k.Dense(6, name="shared")
    inner = keras_2.Sequential([keras_2.Input((64,)), shared, k.Dense(6, name="inner_dense")], name="inner")
    x = k.Concatenate()([inner(x), shared(x)])
    x = k.Reshape((3, 4))(x)
    x = k.Bidirectional(k.LSTM(3, return_sequences=True))(x)
    x = k.MultiHeadAttention(2, 3)(x, value=x)
    x = k.TimeDistributed(k.Dense(2))(x)
    x = k.LayerNormalization()(k.GRU(2)(x))
    x = tf.concat([x, tf.nn.relu(x)[:, :1]], axis=-1)
    built = keras_2.Model(inputs, x, name="keras_2")
    built.compile("adam", "mse")
    built.train_on_batch(np.zeros((2, 8, 8, 3)), np.zeros((2, 3)))
    files = ["keras_2.keras", "keras_2.weights.h5", "keras_2.h5", "keras_2_weights.h5"]
    built.save(folder / files[0])
    built.save_weights(folder / files[1])
    built.save(folder / files[2])
    built.save_weights(folder / files[3], save_format="h5")
    optimizer = [list(variable.shape) for variable in built.optimizer.variables]
    return {
        "keras_2": {
            "name": built.name,
            "type": "Functional",
            "count": built.count_params(),
            "files": files,
            "trainable": sum(int(np.prod(v.shape)) for v in built.trainable_weights),
            "layers": _entries_2(built),
            "optimizer": optimizer,
        }
    }


def _entries_2(top: Any) -> list[dict[str, Any]]:
    """As `_entries`, with the names that Keras 2 itself gives its variables."""
    found: list[dict[str, Any]] = []
    seen: set[int] = set()

    def visit(layers: list[Any], above: str) -> None:
        for layer in layers:
            path, is_model = f"{above}{layer.name}", hasattr(layer, "layers")
            trainable = {id(variable) for variable in layer.trainable_weights}
            repeated = id(layer) in seen
            seen.add(id(layer))
            found.append(
                {
                    "path": path,
                    "name": layer.name,
                    "type": type(layer).__name__,
                    "trainable": layer.trainable,
                    "outputs": _shapes(layer, "output"),
                    "repeated": repeated,
                    "model": is_model,
                    "weights": []
                    if is_model or repeated
                    else [
                        {
                            "name": _name_2(layer, variable.name),
                            "shape": list(variable.shape),
                            "dtype": variable.dtype.name,
                            "trainable": id(variable) in trainable,
                        }
                        for variable in layer.weights
                    ],
                }
            )
            if is_model:
                visit(layer.layers, f"{path}/")

    visit(top.layers, "")
    return found


def _name_2(layer: Any, name: str) -> str:
    steps = name.partition(":")[0].split("/")
    return steps[-1] if type(layer).__name__ in FUSED else "/".join(steps[1:])


def _shapes(layer: Any, attribute: str) -> Any:
    return [[None, *list(tensor.shape)[1:]] for tensor in tf.nest.flatten(getattr(layer, attribute))]


def _write_keras_1(folder: Path) -> None:
    """A Sequential model as Keras 1.2.2 stores it: a list of layers, names such as `dense_1_W`, old arguments."""
    common = {"trainable": True, "activation": "relu", "init": "glorot_uniform", "bias": True}
    layers = [
        {
            "class_name": "Convolution2D",
            "config": {
                **common,
                "name": "convolution2d_1",
                "nb_filter": 4,
                "nb_row": 3,
                "nb_col": 3,
                "border_mode": "same",
                "subsample": [1, 1],
                "dim_ordering": "tf",
                "batch_input_shape": [None, 8, 8, 3],
            },
        },
        {
            "class_name": "MaxPooling2D",
            "config": {
                "name": "maxpooling2d_1",
                "trainable": True,
                "pool_size": [2, 2],
                "strides": [2, 2],
                "border_mode": "valid",
                "dim_ordering": "tf",
            },
        },
        {
            "class_name": "BatchNormalization",
            "config": {
                "name": "batchnormalization_1",
                "trainable": False,
                "mode": 0,
                "axis": -1,
                "epsilon": 1e-3,
                "momentum": 0.99,
            },
        },
        {"class_name": "Flatten", "config": {"name": "flatten_1", "trainable": True}},
        {"class_name": "Dense", "config": {**common, "name": "dense_1", "output_dim": 5, "input_dim": None}},
        {"class_name": "Dropout", "config": {"name": "dropout_1", "trainable": True, "p": 0.5}},
    ]
    weights = {
        "convolution2d_1": {"convolution2d_1_W": (3, 3, 3, 4), "convolution2d_1_b": (4,)},
        "maxpooling2d_1": {},
        "batchnormalization_1": {
            f"batchnormalization_1_{name}": (4,) for name in ("gamma", "beta", "running_mean", "running_std")
        },
        "flatten_1": {},
        "dense_1": {"dense_1_W": (64, 5), "dense_1_b": (5,)},
        "dropout_1": {},
    }
    with h5py.File(folder / "keras_1.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers}).encode()
        file.attrs["keras_version"] = b"1.2.2"
        _keras_1_weights(file.create_group("model_weights"), weights)
    with h5py.File(folder / "keras_1_weights.h5", "w") as file:
        _keras_1_weights(file, weights)


def _keras_1_weights(group: Any, weights: dict[str, dict[str, tuple[int, ...]]]) -> None:
    group.attrs["layer_names"] = [name.encode() for name in weights]
    for name, variables in weights.items():
        child = group.create_group(name)
        child.attrs["weight_names"] = [variable.encode() for variable in variables]
        for variable, shape in variables.items():
            child.create_dataset(variable, data=np.zeros(shape, "float32"))


def main(folder: Path) -> None:
    """Write everything into `folder`."""
    expected = _write_keras_2(folder)
    _write_keras_1(folder)
    (folder / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
