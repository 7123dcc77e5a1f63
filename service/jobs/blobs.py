"""Uploads on disk: written once to a private temporary file, then addressed by the BLAKE3 of their content.

Knows files and digests; no name that a client sent ever becomes a path. Folders are 0700, files 0600, opened with
O_NOFOLLOW, so that neither a planted link nor another user can get between writing and reading.
"""

from __future__ import annotations

import errno
import functools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from blake3 import blake3

from service.errors import InputLost, StorageFull
from service.jobs.flushing import Flusher
from service.jobs.hashing import Follower
from service.jobs.identifiers import new_id
from service.language import msg

FOLLOW_FROM = 1 << 20
"""Bytes from which SHA-256 is computed by a second thread while the upload still runs."""
FOLLOW_UP_TO = 64 << 20
"""Largest file whose SHA-256 is waited for; beyond, SHA-256 is slower than the upload and is filled in later."""
DIGEST = re.compile(r"[0-9a-f]{64}")
FULL = (errno.ENOSPC, errno.EDQUOT)


class Blobs:
    """The blob folder: `tmp/` for what arrives, `<first two digits>/<digest>` for what is kept."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir.absolute() / "blobs"
        self.temporary = self.root / "tmp"

    def prepare(self) -> None:
        """Make the folders, private to this user."""
        for folder in (self.root.parent, self.root, self.temporary):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.parent.chmod(0o700)

    def free_bytes(self) -> int:
        """Room on the disk for this user."""
        found = os.statvfs(self.temporary)
        return found.f_bavail * found.f_frsize

    def path(self, digest: str) -> Path:
        """Where the content with this BLAKE3 lies; ValueError unless it is one."""
        if not DIGEST.fullmatch(digest):
            raise ValueError("not a BLAKE3 digest")
        return self.root / digest[:2] / digest

    def open(self, digest: str, size: int) -> int:
        """A read-only descriptor of a stored upload; InputLost unless it is there and whole."""
        try:
            descriptor = os.open(self.path(digest), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            raise InputLost(msg("The stored upload is gone.")) from None
        if os.fstat(descriptor).st_size != size:
            os.close(descriptor)
            raise InputLost(msg("The stored upload is damaged."))
        return descriptor

    def remove(self, digest: str) -> None:
        """Forget a stored upload. Whoever has it open can still read it."""
        self.path(digest).unlink(missing_ok=True)

    def stored(self) -> Iterator[str]:
        """Digests of everything kept."""
        for folder in self.root.iterdir():
            if folder != self.temporary and folder.is_dir():
                yield from (found.name for found in folder.iterdir() if DIGEST.fullmatch(found.name))

    def sweep(self) -> int:
        """Delete what interrupted uploads left in `tmp/`; only while nobody uploads. Returns how many files."""
        left = list(self.temporary.iterdir())
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)


class Incoming:
    """One file while it arrives. A context manager: what was not kept is gone at its end.

    `announced` is how many bytes are said to come, None if that is not said. The SHA-256 of a large file is only begun
    when all of it is there: on few processors it would slow the upload down.
    """

    def __init__(self, blobs: Blobs, announced: int | None = None) -> None:
        self._blobs = blobs
        self._is_large = announced is not None and announced > FOLLOW_UP_TO
        self._path = blobs.temporary / f"{new_id()}.part"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = _or_full(functools.partial(os.open, self._path, flags, 0o600))
        self._blake3 = blake3()
        self._follower: Follower | None = None
        self._flusher = Flusher(self._descriptor) if self._is_large else None
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
        self._path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Append. StorageFull if the disk has no room."""
        left = memoryview(data)
        while left:
            left = left[_or_full(functools.partial(os.write, self._descriptor, left)) :]
        self._blake3.update(data)
        self.size += len(data)
        if self._flusher is not None:
            self._flusher.advance(self.size)
        else:
            self._hash_on(data)

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
        if self._flusher is not None:
            _or_full(self._flusher.finish)
            self._follower = Follower(self._descriptor)
            self._follower.advance(self.size)
        if self._follower is not None:
            self._follower.complete()
        _or_full(functools.partial(os.fsync, self._descriptor))
        self._close()

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
        target.parent.mkdir(mode=0o700, exist_ok=True)
        self._path.replace(target)
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _or_full(action: Callable[[], int | None]) -> int:
    """The result of a write to disk; StorageFull where there is no room for it."""
    try:
        return action() or 0
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull(msg("There is no room left on the service's disk for this upload.")) from None
        raise
