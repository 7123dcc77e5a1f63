"""Has the readers read a few tiny files of our own before the first upload; knows no upload.

A fresh child inherits what the warm process has already done: patterns compiled, modules imported on first use,
tables filled. Without a rehearsal every child does that again, which takes longer than reading a small file. The files
in `rehearsal_files/` are written by `docs/samples/make.py` (`make samples`) and shipped with the package.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from service import wire
from service.config import Limits
from service.enrich.pipeline import warm
from service.formats import Reader, Upload
from service.source import FileSource, Meter
from service.tree import Model
from service.worker.reading import read
from service.worker.telling import nobody

Measure = Callable[[Upload, Model, Callable[[int, int], None]], Model]

FILES = Path(__file__).parent / "rehearsal_files"


def rehearse(readers: Sequence[Reader], measure: Measure | None = None) -> None:
    """Have each file read, measured if there is something to measure with, and enriched; forget the answer."""
    warm()
    for path in sorted(FILES.iterdir()):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            _read(descriptor, path.name, readers, measure)
        finally:
            os.close(descriptor)


def _read(descriptor: int, name: str, readers: Sequence[Reader], measure: Measure | None) -> None:
    meter = Meter(Limits())
    upload = Upload({name: FileSource(descriptor, meter)}, meter)
    if measure is None:
        wire.encode(read(upload, readers))
    else:
        wire.encode(read(upload, readers, lambda model: measure(upload, model, nobody)))
