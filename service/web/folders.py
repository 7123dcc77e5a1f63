"""Folders of one installation beside its uploads. Imports nothing that counts: it runs before the counters exist."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from service.config import Settings

MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
ALIVE = "alive"


def run_dir(settings: Settings) -> Path:
    """Where the sockets live."""
    return Path(settings.data_dir).absolute() / "run"


def prepare_metrics(settings: Settings) -> Path:
    """An empty folder for the processes' numbers, named to prometheus_client; it looks while it is first imported.

    The numbers are files that are mapped into memory: on a disk that is full, touching one kills the process. So they
    lie in memory where that can be. Two services, an older and its successor, never share a folder.
    """
    os.umask(0o077)  # all that the service writes is for its user alone
    run_dir(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    for place in (MEMORY, run_dir(settings)):
        try:
            _forget_dead(place)
            folder = _made(place)
        except OSError:
            continue
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        return folder
    raise PermissionError(f"no folder for numbers can be made below {run_dir(settings)}")


def _made(place: Path) -> Path:
    """A new folder, ours alone, with a file that is locked for as long as we or our children live."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_prefix(), dir=place))
        descriptor = os.open(folder / ALIVE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return folder
        os.close(descriptor)  # somebody took it for a dead one's before we had the lock


def _forget_dead(place: Path) -> None:
    """Remove the folders of services of this user's that have ended without doing so."""
    for folder in place.glob(f"{_prefix()}*"):
        if folder.lstat().st_uid != os.geteuid():
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(folder / ALIVE, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(descriptor)


def _prefix() -> str:
    return f"weighbridge-{os.geteuid()}-"
