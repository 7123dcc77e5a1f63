"""Real conversions for tests: Keras models, the same in PyTorch, and single mistakes planted in them."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from service.compare.compare import compare
from service.comparisons import Comparison
from service.config import Limits
from service.formats import Upload
from service.registry import load_readers
from service.source import BytesSource, Meter
from service.tree import Report
from service.values.opening import open_values
from service.values.pair import PairOfValues
from service.worker.reading import read
from tests import builders
from tests.corpus import CACHE, ROOT, corpus_dir, interpreter

DRIVER = ROOT / "tests" / "drivers" / "conversions.py"
MISTAKES = DRIVER.with_name("mistakes.py")


@functools.cache
def torch_dir() -> Path:
    """Folder with what `tests/drivers/conversions.py` wrote."""
    keras = corpus_dir("keras_conversions")
    digest = hashlib.sha256(DRIVER.read_bytes() + MISTAKES.read_bytes() + keras.name.encode()).hexdigest()[:16]
    target = CACHE / f"conversions-{digest}"
    with (CACHE / "conversions.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test processes make it once
        if not target.exists():
            part = target.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            subprocess.run(
                [interpreter("torch"), str(DRIVER), str(keras), str(part)],
                env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True,
            )  # fmt: skip
            part.rename(target)
    return target


def keras(name: str) -> Path:
    """A Keras file: `seed_cnn.keras`, `resnet.weights.h5`."""
    return corpus_dir("keras_conversions") / name


def torch(name: str) -> Path:
    """A PyTorch file: `seed_cnn.pt`, `seed_cnn_state.pt`, `seed_cnn-mean_variance.pt`."""
    return torch_dir() / name


def upload(path: Path) -> Upload:
    """A file as it is sent."""
    meter = Meter(Limits())
    return Upload({path.name: BytesSource(path.read_bytes(), meter)}, meter)


@functools.cache
def report(path: Path) -> Report:
    """The report of a file."""
    answer = read(upload(path), load_readers())
    assert answer.model is not None
    return builders.report(answer.model)


def compared(left: Path, right: Path) -> Comparison:
    """Two files, by structure alone."""
    return compare(report(left), report(right))


def proved(left: Path, right: Path) -> Comparison:
    """Two files, with their values."""
    ours, theirs = report(left), report(right)
    return compare(ours, theirs, PairOfValues(open_values(upload(left), ours), open_values(upload(right), theirs)))


def layers(found: Comparison) -> dict[str | None, set[str | None]]:
    """Which right layers each left layer was paired with."""
    pairs: dict[str | None, set[str | None]] = {}
    for pair in found.layers:
        pairs.setdefault(pair.left, set()).add(pair.right)
    return pairs
