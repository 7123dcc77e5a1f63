"""Ways to read what NumPy writes with the readers of it; no expectations in here."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from service.config import Limits
from service.formats import Upload
from service.language import english
from service.readers import npy, npz, plain_pickle
from service.source import BytesSource, Meter
from service.tree import Model, Weight

READERS = (npy, npz, plain_pickle)


def upload(data: bytes) -> Upload:
    """An upload of one file in memory."""
    meter = Meter(Limits())
    return Upload({"file": BytesSource(data, meter)}, meter)


def read(data: bytes) -> Model:
    """What the one reader that accepts the content makes of it."""
    given = upload(data)
    (reader,) = [reader for reader in READERS if reader.accept(given)]
    found = reader.read(given)
    assert isinstance(found, Model)
    assert found.info.format == reader.FORMAT.id
    return found


def saved(array: Any, **options: Any) -> bytes:
    """A .npy file."""
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def archived(*, packed: bool = False, **arrays: Any) -> bytes:
    """A .npz file."""
    out = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(out, **arrays)
    return out.getvalue()


def weights(found: Model) -> dict[str, Weight]:
    """Every weight by its name in the file, those beside the model too."""
    held = [*(layer.weights for layer in found.layers), *(state.weights for state in found.states)]
    return {weight.stored_as or "": weight for weights in held for weight in weights}


def values(data: bytes, weight: Weight) -> Any:
    """The array at a weight's place, as the readers of values understand places."""
    place = weight.location
    assert place is not None
    assert place.offset is not None
    flat = np.frombuffer(data, weight.dtype, offset=place.offset, count=weight.count or 0)
    shape = tuple(size or 0 for size in weight.shape or ())
    if place.strides is None:
        return flat.reshape(shape)
    steps = tuple(step * flat.itemsize for step in place.strides)
    return np.lib.stride_tricks.as_strided(flat, shape, steps)


def notes(found: Model) -> str:
    """All notes as text."""
    return " ".join(map(english, found.notes))


def findings(found: Model) -> list[tuple[str, str]]:
    """Rules and sentences."""
    return [(finding.rule, english(finding.what)) for finding in found.findings]
