"""Signs of life: a file that a process holds a lock on for as long as it lives, however it ends.

A lease says when a silent process counts as dead; a mark says it at once. Knows files and locks, nothing of jobs.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

FOLDER = "alive"


class Mark:
    """This process, by a name that no other has. Make it after a fork: a lock would outlive us in our children."""

    def __init__(self, data_dir: Path) -> None:
        self.name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._file = data_dir / FOLDER / self.name
        self._descriptor = -1
        self._lock = threading.Lock()

    def hold(self) -> None:
        """Have others see that we live, from now to our end. OSError if the file cannot be made."""
        with self._lock:
            while self._descriptor < 0:
                self._try()

    def _try(self) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            self._descriptor = descriptor
        else:  # somebody took it for a dead one's before we had the lock
            os.close(descriptor)

    def release(self) -> None:
        """An orderly end: nothing of ours is left."""
        if self._descriptor >= 0:
            self._file.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1


def is_dead(data_dir: Path, name: str) -> bool:
    """Whether the process of that name is known to have ended. One without a mark may live."""
    return _dead(data_dir / FOLDER / name, lambda: None)


def is_known(data_dir: Path, name: str) -> bool:
    """Whether there is a mark of the process of that name, dead or alive."""
    return (data_dir / FOLDER / name).exists()


def bury(data_dir: Path, last: Callable[[str], bool]) -> int:
    """Remove the marks of dead processes for which `last(name)` says that nothing is left of them; how many."""
    gone = 0
    for file in _all(data_dir):

        def remove(file: Path = file) -> None:
            nonlocal gone
            if last(file.name):
                file.unlink()
                gone += 1

        _dead(file, remove)
    return gone


def _all(data_dir: Path) -> Iterator[Path]:
    try:
        yield from list((data_dir / FOLDER).iterdir())
    except FileNotFoundError:
        return


def _dead(file: Path, then: Callable[[], object]) -> bool:
    """Whether nobody holds the file; if so, `then` is called while nobody can take it."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        then()
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
