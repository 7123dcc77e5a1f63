"""Has the readers read a few tiny files of our own before the first upload; knows no upload.

A fresh child inherits what the warm process has already done: patterns compiled, modules imported on first use,
tables filled. Without a rehearsal every child does that again, which takes longer than reading a small file. The files
in `rehearsal_files/` are written by `docs/samples/make.py` (`make samples`) and shipped with the package.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from service import wire
from service.config import Limits
from service.enrich.pipeline import warm
from service.formats import Reader, Upload
from service.source import FileSource, Meter
from service.worker.reading import read

FILES = Path(__file__).parent / "rehearsal_files"


def rehearse(readers: Sequence[Reader]) -> None:
    """Have each file read and enriched, and forget the answer."""
    warm()
    for path in sorted(FILES.iterdir()):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            _read(descriptor, path.name, readers)
        finally:
            os.close(descriptor)


def _read(descriptor: int, name: str, readers: Sequence[Reader]) -> None:
    meter = Meter(Limits())
    wire.encode(read(Upload({name: FileSource(descriptor, meter)}, meter), readers))
