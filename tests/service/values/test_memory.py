"""Memory is bounded whatever the size: a process that measures gigabytes stays below 200 MB."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import pytest

from tests.corpus import ROOT

SCRIPT = """
import os, sys
from service.config import Limits
from service.formats import Upload
from service.readers import keras_weights_h5
from service.source import FileSource, Meter
from service.values.measure import measure
meter = Meter(Limits(), 1 << 40)
upload = Upload({"file": FileSource(os.open(sys.argv[1], os.O_RDONLY), meter)}, meter)
model = measure(upload, keras_weights_h5.read(upload), lambda done, total: None)
seen = model.layers[0].weights[0].statistics
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss survives an exec
print(seen.status, seen.count, int(peak.split()[1]) // 1024)
"""


def sparse(path, rows):
    """A kernel in one piece of which no byte was written: gigabytes that take no room on the disk."""
    with h5py.File(path, "w") as file:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        group = file.create_group("layers/dense/vars")
        h5py.h5d.create(group.id, b"0", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((rows, 1000)), creation)


def chunked(path, rows):
    """A kernel in deflated chunks of a MiB."""
    with h5py.File(path, "w") as file:
        made = file.create_dataset(
            "layers/dense/vars/0", (rows, 1000), "f4", chunks=(262, 1000), compression="gzip", shuffle=True
        )
        made[:] = np.arange(1000, dtype="f4") % 7


@pytest.mark.parametrize(("write", "rows"), [(sparse, 150_000), (chunked, 60_000)])
def test_the_peak_stays_below_the_bound(tmp_path, write, rows):
    """600 MB in one piece, 240 MB in chunks: 200 MB are not reached, NumPy itself included."""
    write(tmp_path / "weights.h5", rows)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "weights.h5")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    status, count, peak = done.stdout.split()
    assert (status, int(count)) == ("complete", rows * 1000)
    assert int(peak) < 200
