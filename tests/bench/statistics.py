"""The full set of statistics of fp32 weights on one core, beside NumPy's straightforward passes and a memory copy.

All look at the same 268 MB: no upload, no worker. `over a file` is what the worker does: through the readers' counted
reads, from the page cache. `OPENBLAS_NUM_THREADS=1` keeps NumPy's own passes to one core as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from service.config import Limits
from service.source import BytesSource, FileSource, Meter
from service.values.base import WeightValues
from service.values.elements import element_of
from service.values.measure import statistics_of
from service.values.strided import strided
from tests.corpus import ROOT

_ROWS, _COLUMNS = 16_384, 4_096


def straightforward(values: np.ndarray) -> None:
    """What somebody writes who wants the same numbers: one NumPy call for each."""
    flat = values.reshape(-1)
    flat.min(), flat.max(), flat.mean(dtype=np.float64), flat.std(dtype=np.float64)
    np.abs(flat).sum(dtype=np.float64), np.sqrt(np.square(flat, dtype=np.float64).sum()), np.abs(flat).max()
    (flat == 0).sum(), (flat < 0).sum(), np.isnan(flat).sum(), np.isposinf(flat).sum(), np.isneginf(flat).sum()
    np.histogram(flat, bins=64)
    np.bincount((flat.view(np.uint32) >> 23) & 255, minlength=256)
    np.sqrt(np.square(values).sum(axis=1))


def best(work: Callable[[], object], rounds: int) -> float:
    """Least seconds of several runs: other processes on the machine only add."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def copying(values: np.ndarray, rounds: int) -> float:
    """Seconds of a plain copy."""
    target = np.empty_like(values)
    return best(lambda: np.copyto(target, values), rounds)


def of(source: BytesSource | FileSource, rows: int = _ROWS) -> WeightValues:
    """The array in a source."""
    element = element_of("float32")
    assert element is not None
    return WeightValues(strided(source, 0, (rows, _COLUMNS), None, element), element, source.meter)


def statistics_table(rounds: int) -> Iterator[str]:
    """The table of throughputs over one kernel of 268 MB."""
    values = np.random.default_rng(3).standard_normal((_ROWS, _COLUMNS), dtype=np.float32) * np.float32(0.05)
    copied = copying(values, rounds)
    plain = best(lambda: straightforward(values), min(rounds, 3))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.bin"
        values.tofile(path)
        held = BytesSource(values.tobytes(), _meter())
        ours = best(lambda: statistics_of(of(held), "out-in"), rounds)
        descriptor = os.open(path, os.O_RDONLY)
        filed = best(lambda: statistics_of(of(FileSource(descriptor, _meter())), "out-in"), rounds)
        os.close(descriptor)
    yield "| fp32, one core, full set | GB/s | times NumPy's passes | share of a memory copy |"
    yield "|---|---|---|---|"
    for title, seconds in (
        ("memory copy (np.copyto)", copied),
        ("NumPy, one pass per number", plain),
        ("Weighbridge, in memory", ours),
        ("Weighbridge, over a file", filed),
    ):
        rate = values.nbytes / seconds / 1e9
        yield f"| {title} | {rate:.2f} | {plain / seconds:.1f} | {copied / seconds:.2f} |"


def _meter() -> Meter:
    return Meter(Limits(), 1 << 62)


def large_file(gigabytes: int) -> str:
    """Seconds and peak memory over a sparse file of so many GB, in one weight, by a process of its own."""
    command = [sys.executable, "-m", "tests.bench.statistics", str(gigabytes)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def over_large_file(gigabytes: int) -> str:
    """What `large_file` says, in this process."""
    rows = gigabytes * 10**9 // (4 * _COLUMNS)
    with tempfile.TemporaryFile() as file:
        file.truncate(rows * 4 * _COLUMNS)
        source = FileSource(file.fileno(), _meter())
        started = time.perf_counter()
        statistics_of(of(source, rows), "out-in")
        seconds = time.perf_counter() - started
    status = Path("/proc/self/status").read_text().splitlines()  # ru_maxrss survives an exec, this does not
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return f"A weight of {gigabytes} GB: {seconds:.1f} s, peak of the process {peak * 1024 / 1e6:.0f} MB."


if __name__ == "__main__":
    print(over_large_file(int(sys.argv[1])))
