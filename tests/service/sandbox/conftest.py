"""A real sandbox around the hostile reader, and small helpers to talk to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service import wire
from service.config import Limits, Settings
from service.sandbox.launch import running

HOSTILE = Path(__file__).parent.parent / "worker" / "hostile.py"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """The kinds static and values with the hostile reader, every layer on."""
    folder = tmp_path_factory.mktemp("wall") / "run"
    kinds, arguments = ["static", "values"], ["--test-module", str(HOSTILE)]
    with running(Settings(allow_unconfined=True), folder, kinds, worker_arguments=arguments) as it:
        yield it


@pytest.fixture
def ask(tmp_path):
    """`ask(sandbox, "say hello")` uploads that text and gives the outcome of reading (or measuring) it."""

    def run(sandbox, text, *, work="read", cancelled=None, progress=None, **limits):
        path = tmp_path / f"upload-{os.urandom(4).hex()}"
        path.write_text(text)
        task = wire.Task(work=work, parts=("upload",), limits=Limits(**limits))
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return sandbox.run(
                "values" if work == "measure" else "static", task, [descriptor], cancelled=cancelled, progress=progress
            )
        finally:
            os.close(descriptor)

    return run
