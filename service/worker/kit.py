"""What a warm process imports before the first task, by kind; knows no uploads and starts no work.

The static kind carries every reader, a framework kind its builder, and both the enrichers. The kind values carries the
readers, too, and what reads numbers: NumPy is imported there and nowhere else. What opens uploads is imported where
there are readers only, so that a framework's environment needs none of it.
"""

from __future__ import annotations

import codecs
import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Protocol, cast

from service.compare.compare import compare
from service.comparisons import Comparison
from service.enrich.pipeline import warm as warm_enrichers
from service.formats import Reader, Upload
from service.registry import Builder, load_builder, load_readers
from service.tree import Model, Report
from service.wire import Answer

CODECS = ("ascii", "cp437", "latin-1", "raw-unicode-escape", "utf-8-sig", "utf-16", "utf-32")
"""What readers decode with. Each is a module that is imported on first use; a sealed child can import no more."""
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


Compare = Callable[[Report, Report, Any], Comparison]
"""Takes left, right and the pair of their values, or None."""


Read = Callable[..., Answer]
"""Takes an upload, readers, perhaps what measures a model and what its layers are given to; gives what was found."""


class ReadingTools(Protocol):
    """What `service.worker.uploads` offers."""

    read: Read
    rehearse: Callable[..., None]


class ValuesTools(Protocol):
    """What `service.worker.values` offers."""

    def measure(self, upload: Upload, model: Model, progress: Callable[[int, int], None]) -> Model:
        """`model` with the statistics of every weight; `progress` hears of bytes done and to do."""
        ...

    def open_values(self, upload: Upload, report: Report) -> Any:
        """Access to the values of an upload that `report` describes."""
        ...

    def pair(self, left: Any, right: Any) -> Any:
        """What a comparison reads numbers from."""
        ...


class Kit(NamedTuple):
    """The modules of a kind: readers or a builder, never both; what compares; what reads values; what reads at all."""

    readers: tuple[Reader, ...]
    builder: Builder | None
    compare: Compare | None = None
    values: ValuesTools | None = None
    read: Read | None = None

    @property
    def framework_version(self) -> str | None:
        """The framework's version; None for the kinds that have none."""
        return str(self.builder.framework_version()) if self.builder else None  # torch's is a subclass of str


def load(kind: str, module: Path | None) -> Kit:
    """Import what `kind` needs; `module` stands in for its readers or builder (tests of the wall)."""
    os.environ.update(ENVIRONMENT)
    tempfile.tempdir = "/"  # some modules ask for a temporary folder at import; one that is there, not one to write to
    if kind in ("static", "values"):
        return _stand_in(_from_file(module)) if module else _reading(kind)
    builder = cast("Builder", _from_file(module)) if module else load_builder(kind)
    builder.warm()
    warm_enrichers()
    return Kit((), builder)


def _reading(kind: str) -> Kit:
    for name in CODECS:
        codecs.lookup(name)
    readers, tools = load_readers(), _tools()
    if kind == "static":
        tools.rehearse(readers)
        return Kit(readers, None, compare, None, tools.read)
    values = cast("ValuesTools", importlib.import_module("service.worker.values"))
    importlib.import_module("service.compare.judging")  # what compares imports it where numbers are: here, and now
    tools.rehearse(readers, values.measure)
    return Kit(readers, None, compare, values, tools.read)


def _tools() -> ReadingTools:
    return cast("ReadingTools", importlib.import_module("service.worker.uploads"))


def _stand_in(module: Any) -> Kit:
    values = module if hasattr(module, "measure") else None
    return Kit((module,), None, getattr(module, "compare", None), values, _tools().read)


def _from_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
