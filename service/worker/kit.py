"""What a warm process imports before the first task, by kind; knows no uploads and starts no work.

The static kind carries every reader, a framework kind its builder, and both the enrichers.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import NamedTuple, cast

from service.enrich.pipeline import warm as warm_enrichers
from service.formats import Reader
from service.registry import Builder, load_builder, load_readers
from service.worker.rehearsal import rehearse

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",  # a pool of threads does not survive a fork
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
    "TORCHINDUCTOR_CACHE_DIR": "/",  # torch's compiler wants to see one when it is imported; nothing is compiled
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
    "KERAS_HOME": "/dev/null/keras",  # Keras would make ~/.keras; here it cannot
}
"""All that libraries find in their environment: the process itself is started with none."""


class Kit(NamedTuple):
    """The modules of a kind: readers or a builder, never both."""

    readers: tuple[Reader, ...]
    builder: Builder | None

    @property
    def framework_version(self) -> str | None:
        """The framework's version; None for the static kind."""
        return str(self.builder.framework_version()) if self.builder else None  # torch's is a subclass of str


def load(kind: str, module: Path | None) -> Kit:
    """Import what `kind` needs; `module` stands in for its readers or builder (tests of the wall)."""
    os.environ.update(ENVIRONMENT)
    tempfile.tempdir = "/"  # some modules ask for a temporary folder at import; one that is there, not one to write to
    if kind == "static":
        if module:
            return Kit((cast("Reader", _from_file(module)),), None)
        rehearse(load_readers())
        return Kit(load_readers(), None)
    builder = cast("Builder", _from_file(module)) if module else load_builder(kind)
    builder.warm()
    warm_enrichers()
    return Kit((), builder)


def _from_file(path: Path) -> object:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
