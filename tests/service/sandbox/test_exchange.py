"""How the end of a child is judged."""

from __future__ import annotations

import signal

import pytest

from service import wire
from service.errors import (
    ErrorInfo,
    InconsistentArchive,
    WorkerCrashed,
    WorkerOutOfMemory,
    WorkerTimeout,
    WorkerUnavailable,
)
from service.frames import Received
from service.language import msg, verbatim
from service.sandbox import exchange


def ended(status: int) -> wire.Ended:
    """The end of a child with that status, or by that signal if negative."""
    return wire.Ended(status=status, peak_memory_bytes=0)


def received(answer: bytes = b"") -> Received:
    """What came through the pipe."""
    found = Received(8 << 20)
    found.take(answer)
    return found


def test_a_kill_by_the_kernel_is_want_of_memory():
    """Nothing of ours sends SIGKILL to a child whose client still waits for it."""
    with pytest.raises(WorkerOutOfMemory):
        exchange.judge(received(), ended(-signal.SIGKILL))


def test_too_much_processor_time_is_a_time_out():
    """The limit that backs the deadline speaks by SIGXCPU."""
    with pytest.raises(WorkerTimeout):
        exchange.judge(received(), ended(-signal.SIGXCPU))


def test_a_forbidden_program_is_a_crash_by_sigsys():
    """The filter kills for starting a program."""
    with pytest.raises(WorkerCrashed) as caught:
        exchange.judge(received(), ended(-signal.SIGSYS))
    assert caught.value.info.extra == {"signal": "SIGSYS"}


def test_a_real_time_signal_has_a_number_only():
    """A signal without a name is still a crash."""
    with pytest.raises(WorkerCrashed) as caught:
        exchange.judge(received(), ended(-40))
    assert caught.value.info.extra == {"signal": "40"}


def test_a_child_that_could_not_confine_itself_is_our_fault():
    """It has read nothing; the same upload may succeed later."""
    with pytest.raises(WorkerUnavailable):
        exchange.judge(received(), ended(wire.LAYER_FAILED + 6))


def test_an_answer_counts_only_after_a_good_end():
    """What a child wrote before it crashed is not believed."""
    answer = wire.encode(wire.Answer(probes={}))
    assert exchange.judge(received(answer), ended(0)).probes == {}
    with pytest.raises(WorkerCrashed):
        exchange.judge(received(answer), ended(1))


def test_an_error_s_words_are_bounded():
    """A child cannot make a problem document of megabytes."""
    long = msg("{why}" + "x" * 10**6, why=[verbatim("y" * 10**6), "z" * 10**6])
    info = ErrorInfo(code="inconsistent_archive", detail=long, hint=verbatim("h" * 10**6), extra={"y": "z" * 10**6})
    with pytest.raises(InconsistentArchive) as caught:
        exchange.judge(received(wire.encode(wire.Answer(error=info))), ended(0))
    assert len(str(caught.value.info.detail)) < 15_000
    assert len(str(caught.value.info.hint)) < 5000
    assert len(caught.value.info.extra["y"]) < 5000
