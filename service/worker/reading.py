"""An upload to an answer: recognised, read, measured if asked, enriched. Knows no task, descriptor or process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from service import wire
from service.enrich.pipeline import enrich
from service.formats import Reader, Upload
from service.registry import identify
from service.tree import Model


def unmeasured(model: Model) -> Model:
    """Where no values were asked for."""
    return model


def read(upload: Upload, readers: Sequence[Reader], measure: Callable[[Model], Model] = unmeasured) -> wire.Answer:
    """What the first reader that accepts the upload finds in it, measured and then enriched. Raises InputError."""
    reader = identify(upload, tuple(readers))
    found = reader.read(upload)
    if isinstance(found, Model):
        return wire.Answer(model=enrich(measure(found)), reader=reader.FORMAT.id)
    return wire.Answer(build=found, reader=reader.FORMAT.id)
