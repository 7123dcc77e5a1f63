"""How the end of a child is judged."""

from __future__ import annotations

import signal
import socket

import pytest

from service import wire
from service.config import Limits
from service.enrich.pipeline import enrich
from service.errors import (
    ErrorInfo,
    InconsistentArchive,
    LimitExceeded,
    WorkerCrashed,
    WorkerOutOfMemory,
    WorkerTimeout,
    WorkerUnavailable,
)
from service.frames import Received
from service.language import msg, verbatim
from service.sandbox import exchange
from tests.builders import layer, model, weight


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


def test_a_kill_by_anybody_else_is_no_fault_of_the_content():
    """The kernel counts those that it kills: if it has killed none meanwhile, the task is run again, however often."""
    with pytest.raises(WorkerUnavailable) as caught:
        exchange.judge(b"", ended(-signal.SIGKILL), starved=False)
    assert caught.value.info.extra == {}


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


@pytest.mark.parametrize("piece", [b"[]", b'{"id":""}', b'""'])
def test_an_answer_that_would_fill_the_memory_is_not_decoded(monkeypatch, piece):
    """Of few bytes each and many: a list of none takes twenty times its text once it is decoded."""
    monkeypatch.setattr(wire, "MAX_WEIGHT", 10_000)
    crowd = b'{"model":{"info":{"format":"x","framework":"y","tags":{"a":[%s]}},"layers":[]}}'
    with pytest.raises(LimitExceeded) as caught:
        exchange.judge(received(crowd % b",".join([piece] * 10_000)), ended(0))
    assert caught.value.info.extra["limit"] == "answer_weight"
    assert exchange.judge(received(crowd % b",".join([piece] * 50)), ended(0)).model is not None


def test_the_largest_models_are_not_that_heavy():
    """A hundred thousand layers as a reader describes them are far below: measured, 13 million units of 60."""
    layers = (layer(f"block.{at}", "linear", weight("weight", (4, 4))) for at in range(2000))
    described = enrich(model("torch", *layers))
    data = wire.encode(wire.Answer(model=described))
    assert wire.decode_answer(data).model is not None
    assert wire.weighed(data) / len(data) < wire.MAX_WEIGHT / Limits().answer_bytes


@pytest.mark.parametrize(("has_ended", "error"), [(False, WorkerTimeout), (True, StopIteration)])
def test_one_that_never_stops_writing_is_late_like_any_other(monkeypatch, has_ended, error):
    """However much there is to read: the deadline holds; only what one that ended in time had written is taken."""
    rest = iter([True] * 100_000)
    monkeypatch.setattr(exchange.Exchange, "_readable", lambda self, *_: [self._reading])
    monkeypatch.setattr(exchange.Exchange, "_read_into", lambda *_: next(rest))
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with there, exchange.Exchange(here) as asked:
        asked._ended = ended(0) if has_ended else None
        with pytest.raises(error):
            asked.collect(0.01, 1 << 20)
