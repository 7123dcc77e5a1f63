"""Reads Keras files for tests, and puts a reader's answer beside what Keras itself says of the same model."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from service.config import Limits
from service.errors import InputError
from service.formats import Upload
from service.readers import keras_h5, keras_v3, keras_weights_h5
from service.source import BytesSource, Meter, Source
from service.tree import Layer, Model

READERS = (keras_v3, keras_h5, keras_weights_h5)


def read(*paths: Path) -> tuple[str, Model]:
    """(format id, model) of files, by the first reader that accepts them."""
    return read_upload(upload({path.name: path.read_bytes() for path in paths}))


def upload(contents: dict[str, bytes], limits: Limits | None = None) -> Upload:
    """An upload of files by their names."""
    meter = Meter(limits or Limits())
    parts: dict[str, Source] = {name: BytesSource(content, meter) for name, content in contents.items()}
    return Upload(parts, meter)


def read_bytes(data: bytes, limits: Limits | None = None) -> tuple[str, Model]:
    """(format id, model) of one file's content."""
    return read_upload(upload({"upload": data}, limits))


def read_upload(given: Upload) -> tuple[str, Model]:
    """(format id, model) by the first reader that accepts; InputError if none does."""
    for reader in READERS:
        if reader.accept(given):
            return reader.FORMAT.id, reader.read(given)
    raise InputError("No Keras reader accepts this.")


def repacked(archive: bytes, **members: bytes) -> bytes:
    """A `.keras` archive with members replaced (`config`, `metadata`, `weights`)."""
    names = {"config": "config.json", "metadata": "metadata.json", "weights": "model.weights.h5"}
    replaced = {names[key]: value for key, value in members.items()}
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(result, "w") as new:
        for name in old.namelist():
            new.writestr(name, replaced.get(name, old.read(name)))
    return result.getvalue()


def member(archive: bytes, name: str) -> bytes:
    """One member of a zip archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return opened.read(name)


def layers_of(model: Model) -> dict[str, Layer]:
    """Layers by path."""
    return {layer.path: layer for layer in model.layers}


def weights_of(layer: Layer) -> list[dict[str, Any]]:
    """A layer's weights in the words of a corpus' `expected.json`."""
    return [
        {
            "name": w.name,
            "shape": None if w.shape is None else list(w.shape),
            "dtype": w.dtype,
            "trainable": w.trainable,
        }
        for w in layer.weights
    ]


def elements(model: Model, *groups: str) -> int:
    """Elements of all weights in `groups` (all groups, if none is named)."""
    held = [weight for layer in model.layers for weight in layer.weights]
    return sum(weight.count or 0 for weight in held if not groups or weight.group in groups)


def by_name(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Weights in order of their names: where a file keeps another order than the model."""
    return sorted(found, key=lambda weight: str(weight["name"]))
