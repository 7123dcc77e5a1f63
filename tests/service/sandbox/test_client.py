"""What a client sees of every way in which a child can end, over real processes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from service import wire
from service.config import Limits
from service.errors import (
    FrameworkMissing,
    LimitExceeded,
    MalformedFile,
    WorkerCancelled,
    WorkerCrashed,
    WorkerOutOfMemory,
    WorkerTimeout,
    WorkerUnavailable,
)
from service.sandbox import state
from service.sandbox.client import Sandbox
from service.sandbox.exchange import Exchange
from service.sandbox.state import KindState
from tests.service.sandbox.saying import said


def test_an_answer_comes_back_with_what_it_cost(sandbox, ask):
    """The model, the reader's format, the bytes read, and a plausible peak memory."""
    outcome = ask(sandbox, "say hello")
    assert said(outcome) == ("hello",)
    assert outcome.answer.reader == "hostile"
    assert outcome.answer.bytes_read == len("say hello")
    assert 5 << 20 < outcome.peak_memory_bytes < 200 << 20


def test_every_task_has_a_child_of_its_own(sandbox, ask):
    """No process sees two uploads."""
    seen = [said(ask(sandbox, "pid"))[0] for _ in range(6)]
    assert len(set(seen)) == 6


def test_a_reader_may_ask_for_a_build(sandbox, ask):
    """A build request crosses the wall as data."""
    assert ask(sandbox, "request").answer.build.dialect == "layer_list"


def test_several_files_arrive_in_order(sandbox, tmp_path):
    """Parts and descriptors belong together; all 200 that an upload may have go through."""
    descriptors = []
    for number in range(200):
        path = tmp_path / str(number)
        path.write_text(f"say {number}")
        descriptors.append(os.open(path, os.O_RDONLY))
    parts = tuple(f"folder/{number}" for number in range(200))
    outcome = sandbox.run("static", wire.Task(work="read", parts=parts), descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    assert said(outcome) == ("0",)


def test_an_endless_loop_is_killed_at_its_deadline_and_neighbours_go_on(sandbox, ask):
    """Blocked signals do not help it, and another analysis is answered meanwhile."""
    raised = []

    def spin():
        with pytest.raises(WorkerTimeout) as caught:
            ask(sandbox, "spin", seconds=4.0)
        raised.append(caught.value)

    thread = threading.Thread(target=spin)
    thread.start()
    answered = [said(ask(sandbox, "say hello")) for _ in range(5)]
    assert thread.is_alive()
    thread.join()
    assert answered == [("hello",)] * 5
    assert raised[0].info.code == "worker_timeout"


def test_a_loop_that_nobody_watches_is_ended_by_the_kernel(sandbox, ask, monkeypatch):
    """The limit of processor time backs the deadline: whoever should kill the child may be stopped itself."""
    collect = Exchange.collect
    monkeypatch.setattr(Exchange, "collect", lambda self, _, maximum: collect(self, 60.0, maximum))
    with pytest.raises(WorkerTimeout) as caught:
        ask(sandbox, "burn", seconds=0.1)
    assert "processor time" in str(caught.value.info.detail)


@pytest.mark.parametrize(("action", "name"), [("segfault", "SIGSEGV"), ("abort", "SIGABRT")])
def test_a_crash_names_its_signal(sandbox, ask, action, name):
    """The next analysis does not notice."""
    with pytest.raises(WorkerCrashed) as caught:
        ask(sandbox, action)
    assert caught.value.info.extra["signal"] == name
    assert said(ask(sandbox, "say hello")) == ("hello",)


def test_a_status_without_an_answer_is_a_crash(sandbox, ask):
    """And so is an end that looks good but answers nothing."""
    with pytest.raises(WorkerCrashed) as caught:
        ask(sandbox, "exit 9")
    assert caught.value.info.extra["status"] == 9
    with pytest.raises(WorkerCrashed):
        ask(sandbox, "nothing")


def test_too_much_memory_is_told_apart(sandbox, ask):
    """The limit counts from what the warm process has; MemoryError becomes its own code."""
    with pytest.raises(WorkerOutOfMemory):
        ask(sandbox, "memory", memory_bytes=64 << 20)


def test_too_long_an_answer_is_refused_inside(sandbox, ask):
    """The child says so itself and names the limit."""
    with pytest.raises(LimitExceeded) as caught:
        ask(sandbox, "long_note 2000000", answer_bytes=1 << 20)
    assert caught.value.info.extra["limit"] == "answer_bytes"
    assert caught.value.info.extra["value"] > 2_000_000


def test_a_flood_is_cut_outside(sandbox, ask):
    """A child that ignores the limit is killed when it goes beyond it."""
    with pytest.raises(LimitExceeded) as caught:
        ask(sandbox, "flood", answer_bytes=1 << 20)
    assert caught.value.info.extra == {"limit": "answer_bytes", "maximum": 1 << 20}


def test_layers_without_end_are_cut_outside(sandbox, ask):
    """Good ones too, and no frame is looked at before it is there: not even one that claims to be gigabytes."""
    with pytest.raises(LimitExceeded) as caught:
        ask(sandbox, 'layers {"path":"a","name":"a","kind":"linear"}', answer_bytes=1 << 20)
    assert caught.value.info.extra == {"limit": "answer_bytes", "maximum": 1 << 20}


def test_layers_that_are_none_are_not_believed(sandbox, ask):
    """The child is killed as soon as one is seen, however much it would go on to say."""
    with pytest.raises(WorkerCrashed):
        ask(sandbox, 'layers {"path":"a","name":"a","kind":3}', seconds=20)


def test_progress_is_heard_before_the_answer(sandbox, ask):
    """Shares between 0 and 1, whatever a child claims, however its frames arrive; the answer comes whole."""
    heard = []
    outcome = ask(sandbox, f"tell 1/4 0/0 3/4 9/4 {2**64 - 1}/{2**64 - 1}", progress=heard.append)
    assert said(outcome) == ("told",)
    assert heard
    assert set(heard) <= {0.25, 0.75, 1.0}
    assert heard[-1] == 1.0
    assert said(ask(sandbox, "tell 1/4")) == ("told",)


def test_a_child_that_only_chatters_is_cut(sandbox, ask):
    """Long before its deadline: it would keep this process busy."""
    with pytest.raises(LimitExceeded) as caught:
        ask(sandbox, "chatter", progress=lambda _: None, seconds=60.0)
    assert caught.value.info.extra["limit"] == "progress_bytes"


def test_nothing_is_taken_off_behind_an_answer(sandbox, ask):
    """A frame there makes it no answer."""
    with pytest.raises(WorkerCrashed):
        ask(sandbox, "late_frame")


def test_garbage_is_not_believed(sandbox, ask):
    """Bytes that are no answer are a crash of the worker."""
    with pytest.raises(WorkerCrashed):
        ask(sandbox, "garbage")


@pytest.mark.parametrize("code", ["internal_error", "not_found", "framework_missing", "made_up"])
def test_a_child_cannot_blame_the_service(sandbox, ask, code):
    """Only errors of the input or of the worker itself are taken from a child."""
    with pytest.raises(WorkerCrashed):
        ask(sandbox, f"accuse {code}")


def test_an_input_error_keeps_its_place(sandbox, ask):
    """Code, member and offset arrive as the reader gave them."""
    with pytest.raises(MalformedFile) as caught:
        ask(sandbox, "blame")
    assert (caught.value.info.member, caught.value.info.offset) == ("a/b", 7)


@pytest.mark.parametrize(("action", "name"), [("bug secret-of-the-file", "KeyError"), ("quit", "SystemExit")])
def test_a_bug_tells_its_class_and_nothing_else(sandbox, ask, action, name):
    """Neither content nor paths leave by way of an exception's message."""
    with pytest.raises(WorkerCrashed) as caught:
        ask(sandbox, action)
    assert caught.value.info.extra == {"exception": name}
    assert "secret" not in str(caught.value.info)


def test_endless_recursion_is_a_limit(sandbox, ask):
    """RecursionError is the content's depth, not a bug."""
    with pytest.raises(LimitExceeded):
        ask(sandbox, "recurse")


def test_a_cancelled_task_is_killed(sandbox, ask):
    """As soon as the caller says so, and the child is gone when the error is raised."""
    calls = iter([False, False, False])
    with pytest.raises(WorkerCancelled):
        ask(sandbox, "sleep 60", cancelled=lambda: next(calls, True))


def test_only_files_opened_for_reading_cross_the_wall(sandbox, tmp_path):
    """A descriptor that could be written to is a bug of the caller."""
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    with pytest.raises(ValueError, match="reading"):
        sandbox.run("static", wire.Task(work="read", parts=("file",)), [descriptor])
    os.close(descriptor)


def test_names_that_do_not_fit_are_a_limit(sandbox, ask, tmp_path):
    """A task is one packet; names beyond that are refused with the limit's name."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    task = wire.Task(work="read", parts=("x" * wire.TASK_BYTES,), limits=Limits())
    with pytest.raises(LimitExceeded):
        sandbox.run("static", task, [descriptor])
    os.close(descriptor)


def test_nothing_leaks_into_the_client(sandbox, ask):
    """However tasks end, the client has as many descriptors open as before."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    ask(sandbox, "say hello")
    for action in ("segfault", "garbage", "bug x", "spin"):
        with pytest.raises((WorkerCrashed, WorkerTimeout)):
            ask(sandbox, action, seconds=0.3)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_without_a_supervisor_there_is_no_worker(tmp_path):
    """The error is ours and passing; no kind is warm."""
    alone = Sandbox(tmp_path)
    with pytest.raises(WorkerUnavailable):
        alone.run("static", wire.Task(work="selftest"), [])
    assert not any(known.warm for known in alone.states().values())
    assert not alone.confinement("static").confined


def test_a_framework_that_is_not_installed_is_named_with_its_extra(tmp_path):
    """The static core runs without any framework and says which extra a spec needs."""
    with state.held(tmp_path):
        state.publish(tmp_path, {"keras": KindState(installed=False)})
        with pytest.raises(FrameworkMissing) as caught:
            Sandbox(tmp_path).run("keras", wire.Task(work="selftest"), [])
    assert "pip install 'weighbridge[keras]'" in str(caught.value.info.hint)
