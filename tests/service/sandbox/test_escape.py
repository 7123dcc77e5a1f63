"""What code that has taken over a child can reach, tried from inside with every layer on."""

from __future__ import annotations

import os
from pathlib import Path

from service import wire
from tests.service.sandbox.saying import said


def test_the_selftest_is_stopped_at_every_point(sandbox):
    """Every probe in a child like every other, and every layer stands."""
    outcome = sandbox.run("static", wire.Task(work="selftest"), [])
    assert set(outcome.answer.probes.values()) == {True}
    assert len(outcome.answer.probes) >= 16
    known = sandbox.states()["static"]
    assert known.warm
    assert set(known.probes.values()) == {True}
    assert known.probes["exec"]
    assert set(known.layers.values()) == {True}
    assert sandbox.confinement("static").confined


def test_no_way_out_is_open(sandbox, ask):
    """Files, network, processes, signals, limits, identity: each attempt ends with a wall's error."""
    notes = said(ask(sandbox, "escape"))
    got_through = [note for note in notes if note.split(": ")[1] not in ("EPERM", "EACCES", "ENOSYS")]
    assert got_through == []
    assert not Path("/tmp/weighbridge-escape").exists()


def test_threads_are_filtered_too(sandbox, ask):
    """The filter holds for a thread that starts after it."""
    assert said(ask(sandbox, "thread_socket")) == ("EPERM",)


def test_a_child_has_its_files_and_the_pipe_and_nothing_else(sandbox, ask):
    """Three times nothing, the upload, the pipe for the answer: no socket, no folder, nothing of the parent's."""
    assert sorted(said(ask(sandbox, "descriptors"))) == ["chr", "chr", "chr", "fifo", "reg"]


def test_the_environment_holds_no_secret(sandbox, ask):
    """The warm process starts with an empty environment; what libraries need is set by itself."""
    started_with = Path(f"/proc/{sandbox.states()['static'].pid}/environ").read_bytes()
    assert started_with == b""
    names = {note.split("=")[0] for note in said(ask(sandbox, "environment"))}
    assert not names & set(os.environ) - {"LC_CTYPE", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "TF_CPP_MIN_LOG_LEVEL"}


def test_a_module_can_still_be_imported_late(sandbox, ask):
    """The interpreter's own folders stay readable: frameworks and the standard library import on demand."""
    assert said(ask(sandbox, "import_late")) == ("wave",)


def test_the_warm_process_has_one_thread(sandbox):
    """A process with threads forks children that hang."""
    assert len(list(Path(f"/proc/{sandbox.states()['static'].pid}/task").iterdir())) == 1
