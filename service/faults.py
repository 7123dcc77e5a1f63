"""Named points where a test makes the service die, stall or fail. Nothing happens at them unless a folder is armed.

`WEIGHBRIDGE_FAULTS` names the folder; `service.gunicorn_conf` takes it only for a service that listens on loopback. A
point looks there for a file of its name, which acts each time, or of its name and `.once`, which acts for the first
that comes and is gone then. What the file says: `kill` (this process, with SIGKILL), `stall 2.5` (seconds) or
`errno ENOSPC`. Each pass of a point is a line in `passed`. A number in the file `clock` is added to the wall clock.

Knows names and files; no job, no upload.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

PASSED = "passed"
CLOCK = "clock"

_folder: Path | None = None
_REAL = time.time
_REAL_NS = time.time_ns


def arm(folder: Path | None) -> None:
    """From now on this process minds `folder`; None makes it forget."""
    global _folder  # noqa: PLW0603 - a point asks nothing else: it must cost nothing where none is armed
    _folder = folder
    time.time = _REAL if folder is None else lambda: _REAL() + _shift(folder)
    time.time_ns = _REAL_NS if folder is None else lambda: _REAL_NS() + int(_shift(folder) * 1e9)


def point(name: str) -> None:
    """Pass the point `name`. OSError where a test wants one."""
    if _folder is not None:
        _pass(_folder, name)


def _pass(folder: Path, name: str) -> None:
    _note(folder / PASSED, f"{name} {os.getpid()}\n")
    for action in (_take(folder / f"{name}.once"), _read(folder / name)):
        if action:
            _act(*action.split())


def _note(file: Path, line: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _take(file: Path) -> str:
    """What the file says, to the one process that gets to remove it."""
    said = _read(file)
    try:
        file.unlink()
    except FileNotFoundError:
        return ""
    return said


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""


def _act(what: str, how: str = "") -> None:
    acts: dict[str, Callable[[], None]] = {
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "stall": lambda: time.sleep(float(how)),
        "errno": lambda: _fail(getattr(errno, how)),
    }
    acts[what]()


def _fail(number: int) -> None:
    raise OSError(number, os.strerror(number))


def _shift(folder: Path) -> float:
    """Seconds by which the wall clock is wrong."""
    return float(_read(folder / CLOCK) or 0.0)
