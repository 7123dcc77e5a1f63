"""Beside the wall: nothing in an attack is executed, imported or opened by the readers themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.attacks.frame import catalogue

ROOT = Path(__file__).resolve().parent.parent.parent


def test_readers_execute_import_and_open_nothing() -> None:
    """Over every attack the interpreter reports no file opened, no module imported, no code compiled or run, no socket.

    An import within a reader would, besides, fail behind the wall.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tests.attacks.watched"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout)
    assert {event.split()[0] for event in found["control"]} >= {"open", "import"}
    assert found["attacks"] == len(catalogue())
    assert found["told"] == {}
