"""The kind that reads values: started on first need, held by limits of its own, and walled in like the others."""

from __future__ import annotations

import pytest

from service import wire
from service.errors import WorkerCancelled, WorkerCrashed, WorkerOutOfMemory, WorkerTimeout
from tests.service.sandbox.saying import said


def test_it_tells_how_far_it_is(sandbox, ask):
    """Before the answer comes."""
    heard = []
    outcome = ask(sandbox, "say say measured", work="measure", progress=heard.append)
    assert (said(outcome), heard) == (("measured",), [0.25])


def test_its_deadline_is_that_for_values(sandbox, ask):
    """Longer than the one for structure, which does not hold here."""
    assert said(ask(sandbox, "say sleep 0.6", work="measure", seconds=0.2)) == ("slept",)
    with pytest.raises(WorkerTimeout):
        ask(sandbox, "say spin", work="measure", values_seconds=0.3)


def test_its_memory_is_that_for_values(sandbox, ask):
    """As for its deadline."""
    with pytest.raises(WorkerOutOfMemory):
        ask(sandbox, "say memory", work="measure", values_memory_bytes=64 << 20)


def test_a_crash_is_one_file_s_alone(sandbox, ask):
    """And calling off kills at once."""
    with pytest.raises(WorkerCrashed):
        ask(sandbox, "say segfault", work="measure")
    calls = iter([False, False, False])
    with pytest.raises(WorkerCancelled):
        ask(sandbox, "say sleep 60", work="measure", cancelled=lambda: next(calls, True))
    assert said(ask(sandbox, "say say hello", work="measure")) == ("hello",)


def test_its_wall_stands(sandbox):
    """Every layer, every probe."""
    outcome = sandbox.run("values", wire.Task(work="selftest"), [])
    assert set(outcome.answer.probes.values()) == {True}
    assert sandbox.confinement("values").confined
