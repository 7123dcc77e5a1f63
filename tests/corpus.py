"""Model files that the frameworks themselves wrote, made once per version of the script that writes them.

A factory script `tests/factory/<name>.py` runs under its framework's interpreter with the target folder as its only
argument, and leaves model files and an `expected.json` with the framework's own answers there.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("WEIGHBRIDGE_TEST_CACHE", ROOT / ".cache" / "corpus"))


def interpreter(kind: str) -> str:
    """The Python that has the framework `kind` (keras or torch)."""
    named = os.environ.get(f"WEIGHBRIDGE_{kind.upper()}_PYTHON")
    return named or str(ROOT / f".venv-{kind}" / "bin" / "python")


@functools.cache
def corpus_dir(name: str) -> Path:
    """Folder with what `tests/factory/<name>.py` wrote; `name` starts with its framework (`keras_files`)."""
    script = Path(__file__).parent / "factory" / f"{name}.py"
    digest = hashlib.sha256(script.read_bytes()).hexdigest()[:16]
    target = CACHE / f"{name}-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test processes make it once
        if not target.exists():
            _make(script, name.split("_", maxsplit=1)[0], target)
    return target


def _make(script: Path, kind: str, target: Path) -> None:
    part = target.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [interpreter(kind), str(script), str(part)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stdout[-4000:] + done.stderr[-8000:])
        raise RuntimeError(f"{script.name} failed with {done.returncode}")
    part.rename(target)


def expected(name: str) -> dict[str, Any]:
    """The framework's own answers for the files of a corpus."""
    found: dict[str, Any] = json.loads((corpus_dir(name) / "expected.json").read_text())
    return found
