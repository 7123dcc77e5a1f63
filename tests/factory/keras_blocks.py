"""Writes architectures of keras.applications, and a transformer of twelve layers with made-up names, without values.

Run by `tests.corpus` under an interpreter with Keras 3: `python keras_blocks.py FOLDER`. Every dataset keeps its shape
and type and loses its content, so that a file of 100 MB becomes one of some kilobytes that says the same of the model.
expected.json: name -> {"parameters": what Keras counts}.
"""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from pathlib import Path
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import h5py
import keras

APPLICATIONS = ("ResNet50", "MobileNetV2", "EfficientNetB0", "DenseNet121", "InceptionV3")


def _transformer() -> Any:
    """Twelve layers that normalise first, as a functional model whose names Keras makes up."""
    layers = keras.layers
    tokens = layers.Input((16,), dtype="int32")
    x = layers.Embedding(100, 32)(tokens)
    for _ in range(12):
        normed = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.Dropout(0.1)(layers.MultiHeadAttention(4, 8)(normed, normed))])
        normed = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.Dropout(0.1)(layers.Dense(32)(layers.Dense(64, activation="gelu")(normed)))])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(tokens, layers.Dense(5, activation="softmax")(x))


def _emptied(archive: Path) -> bytes:
    """The `.keras` archive with every dataset as large as before and never written."""
    result = io.BytesIO()
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, _shells(old.read(name)) if name.endswith(".h5") else old.read(name))
    return result.getvalue()


def _shells(content: bytes) -> bytes:
    emptied = io.BytesIO()
    with h5py.File(io.BytesIO(content)) as source, h5py.File(emptied, "w") as target:

        def copy(name: str, item: Any) -> None:
            made = (
                target.create_dataset(name, shape=item.shape, dtype=item.dtype)
                if isinstance(item, h5py.Dataset)
                else target.create_group(name)
            )
            made.attrs.update(item.attrs)

        source.visititems(copy)
    return emptied.getvalue()


def _write(folder: Path, name: str, model: Any) -> dict[str, int]:
    path = folder / f"{name}.keras"
    model.save(path)
    path.write_bytes(_emptied(path))
    return {"parameters": model.count_params()}


def main(folder: Path) -> None:
    """Write everything into `folder`."""
    answers = {"transformer": _write(folder, "transformer", _transformer())}
    for name in APPLICATIONS:
        keras.utils.clear_session()
        answers[name] = _write(folder, name, getattr(keras.applications, name)(weights=None))
    (folder / "expected.json").write_text(json.dumps(answers))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
