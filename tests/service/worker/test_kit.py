"""What a warm process imports, by kind."""

from __future__ import annotations

import json
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
LATE = """
import sys
from service.worker import kit
kit.load(sys.argv[1], None)
before = set(sys.modules)
import service.compare.judging
for name in kit.CODECS:
    b"\\x00\\x00\\x00\\x00".decode(name)
print(*(set(sys.modules) - before))
"""
LOADED = """
import json, pathlib, sys
from service.worker import __main__, kit
kit.load(sys.argv[1], pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None)
print(json.dumps(sorted(sys.modules)))
"""


def imported(*arguments: str) -> set[str]:
    """All modules of a process that has loaded a kind."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(("kind", "has_values"), [("static", False), ("values", True)])
def test_numpy_is_only_where_values_are_read(kind, has_values):
    """Both have the readers and compare; and one thread, for others would not survive a fork."""
    found = subprocess.run(
        [sys.executable, "-c", LOAD, kind], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert found.stdout.split() == [str(has_values), "True", "True", str(has_values), "1"]


def test_a_framework_kind_imports_nothing_that_opens_uploads(tmp_path):
    """No reader, no archive, no Zstandard, no NumPy of ours: its environment has a framework and little else."""
    stub = tmp_path / "stub.py"
    stub.write_text("def warm():\n    pass\n")
    found = imported("torch", str(stub))
    assert "service.enrich.pipeline" in found
    reading = {"service.worker.reading", "service.worker.searching", "service.parsers.archives", "zstandard", "numpy"}
    assert not found & reading
    assert not {name for name in found if name.startswith(("service.readers.", "service.values."))}


@pytest.mark.parametrize("kind", ["static", "values"])
def test_what_opens_uploads_is_there_before_the_first(kind):
    """So that no child imports it anew."""
    assert {"service.worker.reading", "service.readers.safetensors", "zstandard"} <= imported(kind)


def test_what_is_imported_on_first_use_is_there_before_the_first_task():
    """A sealed child can import nothing: how numbers are compared, and the modules that decode texts."""
    found = subprocess.run([sys.executable, "-c", LATE, "values"], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
