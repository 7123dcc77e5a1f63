"""Writes Keras files whose weights are of every type that Keras stores, and the values as Keras reads them.

<file>.npz: `<place in model.layers>/<name of the variable>` -> values; float32 for bfloat16 and 8-bit floats; whole
numbers of 4 bits unpacked.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np

OUT = Path(sys.argv[1])
keras.utils.set_random_seed(1)


def small() -> keras.Model:
    """Two kernels of odd sizes and a normalisation."""
    return keras.Sequential(
        [keras.Input((7,)), keras.layers.Dense(5, name="first"), keras.layers.BatchNormalization(name="norm"),
         keras.layers.Dense(4, name="second")]
    )  # fmt: skip


def numbers(variable: keras.Variable) -> np.ndarray:
    """A variable's values in a type that numpy has."""
    value = keras.ops.convert_to_numpy(variable)
    return value.astype(np.float32) if value.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2") else value


def values(model: keras.Model) -> dict[str, np.ndarray]:
    """All variables by layer and name; packed kernels unpacked along their last axis."""
    found = {}
    for layer in model.layers:
        for variable in layer.weights:
            value = numbers(variable)
            packed = getattr(layer, "quantization_mode", None) == "int4" and variable.name == "kernel"
            found[f"{layer.name}/{variable.name}"] = unpack(value, layer) if packed else value
    return found


def unpack(value: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    """By Keras' own function, along the axis that Keras packed."""
    columns, rows = layer.units, layer.input_spec.axes[-1]
    for axis, size, other in ((1, columns, rows), (0, rows, columns)):
        if value.shape[axis] == (size + 1) // 2 and value.shape[1 - axis] == other:
            return keras.ops.convert_to_numpy(keras.quantizers.unpack_int4(value, size, axis=axis))
    raise ValueError(value.shape)


def save(model: keras.Model, name: str) -> None:
    """As .keras, .weights.h5 and .h5."""
    np.savez(OUT / f"{name}.npz", **values(model))
    model.save(OUT / f"{name}.keras")
    model.save_weights(OUT / f"{name}.weights.h5")


def main() -> None:
    """All files."""
    model = small()
    save(model, "plain")
    model.save(OUT / "plain.h5")
    with (
        zipfile.ZipFile(OUT / "plain.keras") as old,
        zipfile.ZipFile(OUT / "deflated.keras", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    for mode in ("int8", "int4", "float8"):
        quantized = small()
        quantized.quantize(mode)
        save(quantized, mode)
    before = keras.config.dtype_policy()
    for name in ("bfloat16", "float16"):
        keras.config.set_dtype_policy(name)
        save(small(), name)
    keras.config.set_dtype_policy(before)
    (OUT / "expected.json").write_text(json.dumps({"keras": keras.__version__}))


main()
