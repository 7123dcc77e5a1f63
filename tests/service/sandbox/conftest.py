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
    """The static kind with the hostile reader, every layer on."""
    folder = tmp_path_factory.mktemp("wall") / "run"
    with running(
        Settings(allow_unconfined=True), folder, ["static"], worker_arguments=["--test-module", str(HOSTILE)]
    ) as it:
        yield it


@pytest.fixture
def ask(tmp_path):
    """`ask(sandbox, "say hello")` uploads that text and gives the outcome of reading it."""

    def run(sandbox, text, *, cancelled=None, **limits):
        path = tmp_path / f"upload-{os.urandom(4).hex()}"
        path.write_text(text)
        task = wire.Task(work="read", parts=("upload",), limits=Limits(**limits))
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return sandbox.run("static", task, [descriptor], cancelled=cancelled)
        finally:
            os.close(descriptor)

    return run
