"""What the supervisor publishes about its warm processes, and where; knows no process and no task.

The runtime folder holds one socket a kind, the state as JSON (replaced as a whole), and a lock that a living
supervisor holds, so that the word of a dead one is not believed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from service.tree import Frozen

_STATE, _LOCK = "state.json", "lock"
_LOCK_SECONDS = 1.0
"""How long to try for the lock: those who only look hold it for an instant."""


class KindState(Frozen, frozen=True, kw_only=True):
    """One kind of worker.

    Attributes:
        installed: An interpreter for it was found.
        warm: Its warm process is up and has passed its self-test.
        pid: Of the warm process.
        restarts: How often the warm process was replaced.
        framework_version: As the framework says; None for the static kind.
        layers: Layer of confinement -> stands.
        probes: Self-test name -> was stopped, as it must be.
        landlock_abi: The kernel's; 0 where it has none.
        problem: Why it is not warm, in a sentence; None while nothing is wrong.
        failing: It keeps ending before it is warm: waiting for the next attempt is of little use.
    """

    installed: bool = False
    warm: bool = False
    pid: int | None = None
    restarts: int = 0
    framework_version: str | None = None
    layers: dict[str, bool] = msgspec.field(default_factory=dict)
    probes: dict[str, bool] = msgspec.field(default_factory=dict)
    landlock_abi: int = 0
    problem: str | None = None
    failing: bool = False

    @property
    def confined(self) -> bool:
        """Whether every layer stands and the self-test was stopped at every point."""
        known = bool(self.layers) and bool(self.probes)
        return known and all(self.layers.values()) and all(self.probes.values())


_decoder = msgspec.json.Decoder(dict[str, KindState])


def make_folder(runtime_dir: Path) -> None:
    """The runtime folder, ours alone; PermissionError if it belongs to or is open to somebody else."""
    runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = runtime_dir.stat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{runtime_dir} must belong to this user and be closed to all others (mode 0700).")


def publish(runtime_dir: Path, kinds: dict[str, KindState]) -> None:
    """Replace the published state."""
    part = runtime_dir / f"{_STATE}.part"
    part.write_bytes(msgspec.json.encode(kinds))
    part.replace(runtime_dir / _STATE)


def read(runtime_dir: Path) -> dict[str, KindState]:
    """What was published last; with no living supervisor nothing is, nor where it cannot be read."""
    try:
        descriptor = os.open(runtime_dir / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return {}
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_published(runtime_dir)
    finally:
        os.close(descriptor)
    return {}


def _read_published(runtime_dir: Path) -> dict[str, KindState]:
    try:
        return _decoder.decode((runtime_dir / _STATE).read_bytes())
    except (OSError, msgspec.DecodeError):  # it has only just started, or somebody else wrote there
        return {}


@contextlib.contextmanager
def held(runtime_dir: Path) -> Iterator[bool]:
    """Be the folder's only supervisor; False if there is one already."""
    descriptor = os.open(runtime_dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    give_up = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.02)
        else:
            return True


@contextlib.contextmanager
def socket_address(runtime_dir: Path, kind: str) -> Iterator[str]:
    """The address of a kind's socket: by way of the folder's descriptor, for an address holds only 107 bytes."""
    descriptor = os.open(runtime_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{kind}.sock"
    finally:
        os.close(descriptor)


def socket_file(runtime_dir: Path, kind: str) -> Path:
    """Where a kind's socket lies."""
    return runtime_dir / f"{kind}.sock"


def clear(runtime_dir: Path) -> None:
    """Remove what a supervisor leaves behind, but for the lock that others may be looking at."""
    for path in (*runtime_dir.glob("*.sock"), runtime_dir / _STATE):
        path.unlink(missing_ok=True)
