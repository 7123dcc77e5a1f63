"""Tries to outlive a deadline, or to leave something that does. None of them comes back by itself."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time

from service.worker.syscalls import call
from tests.service.sandbox.tries.base import SCARCE, Target, a_try, answer_pipe

LAST = "outlive its deadline"
_MOST_CHILDREN, _SECONDS_OF_A_CHILD = 3, 5
"""Should the wall fail: so many, and no longer."""


def _deaf() -> None:
    """Every signal that can be is ignored, and blocked."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


@a_try(LAST, "a loop in Python, all signals blocked", deadly=True)
def loop(_: Target) -> str:
    _deaf()
    while True:
        pass


@a_try(LAST, "a long sum that holds the interpreter", deadly=True)
def hold_interpreter(_: Target) -> str:
    _deaf()
    return str(len(str(7 ** (10**8))))


@a_try(LAST, "a sleep in C, all signals blocked", deadly=True)
def sleep_in_c(_: Target) -> str:
    _deaf()
    while True:
        ctypes.CDLL(None).usleep(10_000_000)


@a_try(LAST, "to stop itself", deadly=True)
def stop_itself(_: Target) -> str:
    _deaf()
    call("tgkill", os.getpid(), os.getpid(), int(signal.SIGSTOP))
    time.sleep(3600)
    return "woken"


@a_try(LAST, "a loop that forks when it can", deadly=True)
def fork_and_loop(_: Target) -> str:
    _deaf()
    left = _MOST_CHILDREN
    while True:
        try:
            born = os.fork() if left else 1
        except OSError:
            continue
        left -= 1 if born and left else 0
        if born == 0:
            time.sleep(_SECONDS_OF_A_CHILD)
            os._exit(0)


@a_try(LAST, "to hang with its answer closed", deadly=True)
def close_and_sleep(_: Target) -> str:
    os.close(answer_pipe())
    _deaf()
    time.sleep(3600)
    return "woken"


@a_try(LAST, "to hang after a good answer", deadly=True)
def answer_and_sleep(_: Target) -> str:
    os.write(answer_pipe(), b'{"model":{"info":{"format":"tries","framework":"keras"},"layers":[]}}')
    _deaf()
    time.sleep(3600)
    return "woken"


@a_try(LAST, "a child that holds its answer open", SCARCE, deadly=True)
def leave_a_child(_: Target) -> str:
    if os.fork() == 0:
        os.setsid()
        time.sleep(_SECONDS_OF_A_CHILD)
        os._exit(0)
    os._exit(0)


@a_try(LAST, "a thread that goes on when the first has ended", deadly=True)
def leave_a_thread(_: Target) -> str:
    threading.Thread(target=time.sleep, args=(3600,)).start()
    call("exit", 0)
    return "gone on"


@a_try(LAST, "an answer that drips", deadly=True)
def drip(_: Target) -> str:
    pipe = answer_pipe()
    while True:
        os.write(pipe, b" ")
        time.sleep(0.05)
