"""An upload to an answer: recognised, read, enriched. Knows no task, no descriptor and no process."""

from __future__ import annotations

from collections.abc import Sequence

from service import wire
from service.enrich.pipeline import enrich
from service.formats import Reader, Upload
from service.registry import identify
from service.tree import Model


def read(upload: Upload, readers: Sequence[Reader]) -> wire.Answer:
    """What the first reader that accepts the upload finds in it. Raises InputError."""
    reader = identify(upload, tuple(readers))
    found = reader.read(upload)
    if isinstance(found, Model):
        return wire.Answer(model=enrich(found), reader=reader.FORMAT.id)
    return wire.Answer(build=found, reader=reader.FORMAT.id)
