"""Starts the supervisor and waits for it: for gunicorn's master, the command line and tests; knows no tasks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from service.config import Settings
from service.errors import WorkerUnavailable
from service.language import msg
from service.sandbox import state
from service.sandbox.client import Sandbox
from service.sandbox.kinds import KINDS, starts_at_once
from service.sandbox.state import KindState

_PASSED_ON = (
    "static_python",
    "keras_python",
    "torch_python",
    "warm_frameworks",
    "warm_values",
    "spare_children",
    "allow_unconfined",
    "log_level",
)
"""All that the supervisor is told: it has no use for the database's address."""
_READY_SECONDS = 180.0
_STOP_SECONDS = 10.0


def start(
    settings: Settings,
    runtime_dir: Path,
    kinds: Sequence[str] = KINDS,
    *,
    parent: int | None = None,
    worker_arguments: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Start the supervisor; it ends with `parent` (this process by default).

    Where one already supervises `runtime_dir` the new one just ends, with status 0. It gets a session of its own,
    so that Ctrl-C at a terminal reaches the service, which ends it when it is done.
    """
    command = [sys.executable, "-I", "-m", "service.sandbox.supervisor", "--runtime-dir", str(runtime_dir.absolute())]
    command += ["--parent", str(parent or os.getpid())]
    command += [word for kind in kinds for word in ("--kind", kind)]
    command += [f"--worker-argument={word}" for word in worker_arguments]
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command, env=_environment(settings), stdin=subprocess.DEVNULL, start_new_session=True
    )


def _environment(settings: Settings) -> dict[str, str]:
    return {f"WEIGHBRIDGE_{name.upper()}": str(getattr(settings, name)) for name in _PASSED_ON}


def wait_until_warm(process: subprocess.Popen[bytes], settings: Settings, runtime_dir: Path) -> None:
    """Until every kind that starts at once is warm; WorkerUnavailable if the supervisor gives up or a kind fails."""
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until:
        known = state.read(runtime_dir)
        waited_for = [item for kind, item in known.items() if item.installed and starts_at_once(kind, settings)]
        if known and all(item.warm for item in waited_for):
            return
        if process.poll():
            raise WorkerUnavailable(msg("The supervisor ended; its last words say why."), status=process.returncode)
        _raise_problem(waited_for)
        time.sleep(0.02)
    raise WorkerUnavailable(msg("The workers did not get warm in time."))


def _raise_problem(waited_for: Sequence[KindState]) -> None:
    for item in waited_for:
        if item.failing and item.problem is not None:
            raise WorkerUnavailable(item.problem)


@contextlib.contextmanager
def running(
    settings: Settings, runtime_dir: Path, kinds: Sequence[str] = KINDS, *, worker_arguments: Sequence[str] = ()
) -> Iterator[Sandbox]:
    """A warm sandbox for the time of the context."""
    process = start(settings, runtime_dir, kinds, worker_arguments=worker_arguments)
    try:
        wait_until_warm(process, settings, runtime_dir)
        yield Sandbox(runtime_dir)
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the supervisor and with it the warm processes and their children."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
