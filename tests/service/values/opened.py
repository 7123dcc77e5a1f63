"""Ways to open the values of files in tests; no expectations in here."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from service.config import Limits
from service.formats import Upload
from service.registry import identify, load_readers
from service.source import BytesSource, Meter, Source
from service.tree import Layer, Model, Weight
from service.values.base import Values, WeightValues
from service.values.opening import open_values

PLENTY = 1 << 40


def upload(content: bytes | Path | dict[str, bytes], most: int = PLENTY, **limits: int) -> Upload:
    """An upload of a file, of its bytes, or of several files."""
    meter = Meter(Limits(**limits), most)
    files = (
        content
        if isinstance(content, dict)
        else {"file": content if isinstance(content, bytes) else content.read_bytes()}
    )
    parts: dict[str, Source] = {name: BytesSource(data, meter) for name, data in files.items()}
    return Upload(parts, meter)


def read(given: Upload) -> Model:
    """The model that the first reader that accepts it finds."""
    found = identify(given, load_readers()).read(given)
    assert isinstance(found, Model)
    return found


def opened(content: bytes | Path | dict[str, bytes], **limits: int) -> tuple[Model, Values]:
    """A file's model and the values of its weights."""
    given = upload(content, **limits)
    model = read(given)
    return model, open_values(given, model)


def weights(model: Model) -> dict[str, tuple[Layer, Weight]]:
    """Every weight of a model's layers by the name it is stored under."""
    return {weight.stored_as or "": (layer, weight) for layer in model.layers for weight in layer.weights}


def streamed(values: WeightValues) -> np.ndarray:
    """The whole array from its stream of chunks."""
    chunks = list(values.chunks())
    assert all(chunk.nbytes <= 1 << 20 and chunk.ndim == 1 for chunk in chunks)
    codes = np.concatenate(chunks) if chunks else np.zeros(0, values.stored.code)
    return values.element.decode(codes).reshape(values.shape)
