"""Keras files made by hand for attacks: an archive or a legacy HDF5 file around any configuration."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

METADATA = {"keras_version": "3.9.0", "date_saved": "2025-01-01@00:00:00"}


def layer(class_name: str, name: str = "x", /, **extra: Any) -> dict[str, Any]:
    """One entry of a layer list; `config` in `extra` is laid over its name."""
    config = {"name": name, **extra.pop("config", {})}
    return {"module": "keras.layers", "class_name": class_name, "config": config, "registered_name": None,
            "build_config": {"input_shape": [None, 4]}, **extra}  # fmt: skip


def dense(name: str = "dense", units: Any = 3) -> dict[str, Any]:
    """An honest layer."""
    return layer("Dense", name, config={"units": units, "activation": "linear", "use_bias": True, "trainable": True})


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    """A model of these layers after an input."""
    first = layer("InputLayer", "in", config={"batch_shape": [None, 4], "dtype": "float32"})
    return {"module": "keras", "class_name": "Sequential", "registered_name": "Sequential",
            "config": {"name": "model", "layers": [first, *layers]}}  # fmt: skip


def hdf5(write: Callable[[Any], None]) -> bytes:
    """An HDF5 file that `write` fills."""
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        write(file)
    return out.getvalue()


def weights(write: Callable[[Any], None] | None = None) -> bytes:
    """The weights of one Dense layer, and what `write` adds."""

    def honest(file: Any) -> None:
        group = file.create_group("layers/dense/vars")
        group["0"] = np.ones((4, 3), "float32")
        group["1"] = np.zeros(3, "float32")
        if write is not None:
            write(file)

    return hdf5(honest)


def archive(config: Any, held: bytes | None = None, **members: bytes) -> bytes:
    """A `.keras` file; `config` as JSON, or as the bytes that it is."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("metadata.json", json.dumps(METADATA))
        file.writestr("config.json", config if isinstance(config, bytes) else json.dumps(config))
        file.writestr("model.weights.h5", weights() if held is None else held)
        for name, data in members.items():
            file.writestr(name, data)
    return out.getvalue()


def legacy(config: Any, training: Any = None) -> bytes:
    """A Keras `.h5` model, its configuration and training configuration in attributes."""

    def write(file: Any) -> None:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["backend"] = "tensorflow"
        if training is not None:
            file.attrs["training_config"] = json.dumps(training)
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = np.array([b"dense"])
        inner = group.create_group("dense")
        inner.attrs["weight_names"] = np.array([b"dense/kernel:0", b"dense/bias:0"])
        inner["dense/kernel:0"] = np.ones((4, 3), "float32")
        inner["dense/bias:0"] = np.zeros(3, "float32")

    return hdf5(write)
