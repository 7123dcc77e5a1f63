"""What a warm process imports, by kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LOAD = """
import os, sys
from service.worker import kit
loaded = kit.load(sys.argv[1], None)
threads = len(os.listdir("/proc/self/task"))
print("numpy" in sys.modules, bool(loaded.readers), loaded.compare is not None, loaded.values is not None, threads)
"""


@pytest.mark.parametrize(("kind", "has_values"), [("static", False), ("values", True)])
def test_numpy_is_only_where_values_are_read(kind, has_values):
    """Both have the readers and compare; and one thread, for others would not survive a fork."""
    found = subprocess.run(
        [sys.executable, "-c", LOAD, kind], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert found.stdout.split() == [str(has_values), "True", "True", str(has_values), "1"]
