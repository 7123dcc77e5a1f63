"""Uploads on disk: written once to a private temporary file, then addressed by the BLAKE3 of their content.

Knows files and digests; no name that a client sent ever becomes a path. Folders are 0700, files 0600, opened with
O_NOFOLLOW, so that neither a planted link nor another user can get between writing and reading. A file is synced before
it gets its place, and the place before anybody is told of it: whatever fails in between, what is there is whole.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from blake3 import blake3

from service import faults
from service.errors import InputLost, ServiceError, StorageFull
from service.jobs import marks
from service.jobs.flushing import Flusher
from service.jobs.hashing import Follower
from service.jobs.identifiers import new_id
from service.jobs.marks import Mark
from service.language import msg

FOLLOW_FROM = 1 << 20
"""Bytes from which SHA-256 is computed by a second thread while the upload still runs."""
FOLLOW_UP_TO = 64 << 20
"""Largest file whose SHA-256 is waited for; beyond, SHA-256 is slower than the upload and is filled in later."""
DIGEST = re.compile(r"[0-9a-f]{64}")
FULL = (errno.ENOSPC, errno.EDQUOT)
LOST = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR)
"""What opening a file says that is not there, or is none of ours."""
VERIFIED_AT_ONCE = 4 << 20
FORGOTTEN_SECONDS = 86400.0
"""Age, since it was last written, of a temporary file whose process left no mark, from which it is left over."""


class Blobs:
    """The blob folder: `tmp/` for what arrives, `<first two digits>/<digest>` for what is kept.

    `mark` is this process's: its temporary files carry its name, so that those of a dead one can be told.
    """

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir.absolute() / "blobs"
        self.temporary = self.root / "tmp"
        self.mark = Mark(data_dir.absolute())

    def prepare(self) -> None:
        """Make the folders, private to this user and durable. OSError if they are not there and cannot be made."""
        for folder in (self.root.parent, self.root, self.temporary):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _sync(folder.parent)
        if self.root.parent.stat().st_mode & 0o077:
            self.root.parent.chmod(0o700)
        _sync(self.root)  # a process may have died between making a folder and syncing it

    def free_bytes(self) -> int:
        """Room on the disk for this user."""
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    def path(self, digest: str) -> Path:
        """Where the content with this BLAKE3 lies; ValueError unless it is one."""
        if not DIGEST.fullmatch(digest):
            raise ValueError("not a BLAKE3 digest")
        return self.root / digest[:2] / digest

    def arriving_bytes(self) -> int:
        """What uploads that are not accepted yet, of all processes, have written so far."""
        total = 0
        for file in list(self.temporary.iterdir()):
            with contextlib.suppress(FileNotFoundError):
                total += file.stat().st_size
        return total

    def require_writable(self) -> None:
        """That a file can be written where uploads arrive. StorageFull or ServiceError says why not; none is left."""
        with _explained(), os.fdopen(os.open(self.temporary, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC), "wb") as file:
            file.write(b"x")

    def open(self, digest: str, size: int) -> int:
        """A read-only descriptor of a stored upload. InputLost unless it is there and whole; other OSErrors pass."""
        try:
            descriptor = os.open(self.path(digest), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in LOST:
                raise
            raise InputLost(msg("The stored upload is gone.")) from None
        found = os.fstat(descriptor)  # a pipe would keep whoever opens or reads it waiting
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            os.close(descriptor)
            raise InputLost(msg("The stored upload is damaged."))
        return descriptor

    def verify(self, descriptor: int, digest: str) -> None:
        """That an open upload is what was sent; InputLost if not. Reads all of it, as who wants its values will."""
        found, position = blake3(max_threads=blake3.AUTO), 0
        while data := os.pread(descriptor, VERIFIED_AT_ONCE, position):
            found.update(data)
            position += len(data)
        if found.hexdigest() != digest:
            raise InputLost(msg("The stored upload is damaged."))

    def take_away(self, digest: str) -> Path | None:
        """Put a stored upload aside, to be deleted: a large one takes long. None if it is not there.

        Whoever has it open can still read it. ServiceError where the disk takes no change.
        """
        aside = self.temporary / f"{self.mark.name}.{new_id()}.gone"
        with _explained():
            self.mark.hold()
            try:
                self.path(digest).rename(aside)
            except FileNotFoundError:
                return None
        return aside

    def stored(self) -> Iterator[str]:
        """Digests of everything kept."""
        for folder in self.root.iterdir():
            if folder != self.temporary and folder.is_dir():
                yield from (found.name for found in folder.iterdir() if DIGEST.fullmatch(found.name))

    def sweep(self) -> int:
        """Delete what uploads of dead processes left in `tmp/`. Returns how many files."""
        return sum(self._sweep(file) for file in list(self.temporary.iterdir()))

    def _sweep(self, file: Path) -> bool:
        try:
            if not self._is_left_over(file):
                return False
            file.unlink()
        except FileNotFoundError:  # placed, or given up, meanwhile
            return False
        return True

    def _is_left_over(self, file: Path) -> bool:
        owner = file.name.partition(".")[0]
        if marks.is_known(self.root.parent, owner):
            return marks.is_dead(self.root.parent, owner)
        return time.time() - file.stat().st_mtime > FORGOTTEN_SECONDS

    def has_temporary(self, owner: str) -> bool:
        """Whether the process of that name left files in `tmp/`."""
        return any(file.name.startswith(f"{owner}.") for file in self.temporary.iterdir())


class Incoming:
    """One file while it arrives. A context manager: what was not kept is gone at its end.

    `announced` is how many bytes are said to come, None if that is not said. The SHA-256 of a large file is only begun
    when all of it is there: on few processors it would slow the upload down.
    """

    def __init__(self, blobs: Blobs, announced: int | None = None) -> None:
        self._blobs = blobs
        self._is_large = announced is not None and announced > FOLLOW_UP_TO
        self._path = blobs.temporary / f"{blobs.mark.name}.{new_id()}.part"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with _explained("blob.open"):
            blobs.mark.hold()
            self._descriptor = os.open(self._path, flags, 0o600)
        self._blake3 = blake3()
        self._follower: Follower | None = None
        self._flusher: Flusher | None = None
        self._small = bytearray()
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._follower is not None and kind is not None:
            self._follower.abandon()
        if self._flusher is not None:
            self._flusher.close()
        self._close()
        with contextlib.suppress(OSError):  # a disk that takes no writes any more: swept once it does
            self._path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Append. StorageFull if the disk has no room, ServiceError if it fails otherwise."""
        left = memoryview(data)
        with _explained("blob.write"):
            while left:
                left = left[os.write(self._descriptor, left) :]
            self._blake3.update(data)
            self.size += len(data)
            if self._is_large:
                self._flush_on()
            else:
                self._hash_on(data)

    def _flush_on(self) -> None:
        if self._flusher is None:
            self._flusher = Flusher(self._descriptor)
        self._flusher.advance(self.size)

    def _hash_on(self, data: bytes) -> None:
        if self._follower is None and self.size <= FOLLOW_FROM:
            self._small += data
            return
        if self._follower is None:
            self._small.clear()
            self._follower = Follower(self._descriptor)
        self._follower.advance(self.size)

    def finish(self) -> None:
        """All bytes are written: make them durable, and hold no descriptor any longer."""
        with _explained("blob.written"):
            if self._is_large:
                self._follow()
            if self._follower is not None:
                self._follower.complete()
            os.fsync(self._descriptor)
            faults.point("blob.fsynced")
        self._close()

    def _follow(self) -> None:
        if self._flusher is not None:
            self._flusher.finish()
        self._follower = Follower(self._descriptor)
        self._follower.advance(self.size)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def digest(self) -> str:
        """BLAKE3 of what was written, hex."""
        return str(self._blake3.hexdigest())

    def sha256(self) -> str | None:
        """SHA-256 if it is known by now; waited for unless the file is large."""
        if self._follower is None:
            return Follower.of(self._small)
        return self._follower.result(wait=self.size <= FOLLOW_UP_TO)

    @property
    def follower(self) -> Follower | None:
        """What still computes the SHA-256 of a large file."""
        return self._follower

    def keep(self) -> None:
        """Move it to where its content is addressed, durably.

        Call under the database's write lock: so it cannot cross the removal of the same content by another request.
        """
        target = self._blobs.path(self.digest)
        with _explained("blob.place"):
            if not target.parent.is_dir():
                target.parent.mkdir(mode=0o700, exist_ok=True)
                _sync(self._blobs.root)
            self._path.replace(target)
            _sync(target.parent)
            faults.point("blob.placed")


@contextmanager
def deleting() -> Iterator[list[Path]]:
    """A list for what is taken away meanwhile: it is deleted at the end, whatever that is. Enter it before any lock."""
    gone: list[Path] = []
    try:
        yield gone
    finally:
        for file in gone:
            with contextlib.suppress(OSError):  # swept once this process is no more
                file.unlink()


def _sync(folder: Path) -> None:
    """Make durable what is in a folder, and what no longer is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(point: str = "") -> Iterator[None]:
    """Work on the disk. StorageFull where there is no room for it, ServiceError for any other failure."""
    try:
        if point:
            faults.point(point)
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(msg("There is no room left on the service's disk for this upload.")) from error
        reason = error.strerror or str(error)
        raise ServiceError(msg("The service cannot write to its disk: {reason}.", reason=reason)) from error
