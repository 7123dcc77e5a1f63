"""Uploads on disk: whole, private, addressed by content, and gone when they fail."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from blake3 import blake3

from service.errors import InputLost, ServiceError, StorageFull
from service.jobs import blobs as module
from service.jobs.blobs import FOLLOW_FROM, FOLLOW_UP_TO, Blobs, Incoming


def keep(blobs, *pieces):
    with Incoming(blobs) as file:
        for piece in pieces:
            file.write(piece)
        file.finish()
        file.keep()
        return file.digest, file.sha256()


def test_kept_content_is_addressed_by_its_blake3_and_private(blobs):
    """The path is the digest, the folder 0700, the file 0600, and nothing is left in tmp."""
    digest, sha256 = keep(blobs, b"hello ", b"world")
    assert digest == blake3(b"hello world").hexdigest()
    assert sha256 == hashlib.sha256(b"hello world").hexdigest()
    path = blobs.path(digest)
    assert path.read_bytes() == b"hello world"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(blobs.root.stat().st_mode) == 0o700
    assert not list(blobs.temporary.iterdir())


def test_sha256_of_a_large_upload_comes_from_the_thread_beside_it(blobs):
    """Beyond the size from which it is computed aside, it is the same hash."""
    pieces = [bytes([number]) * (FOLLOW_FROM // 2 + 7) for number in range(5)]
    _, sha256 = keep(blobs, *pieces)
    assert sha256 == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_a_file_announced_as_large_is_hashed_when_it_is_whole(blobs):
    """Its SHA-256 is not waited for, and is right when it comes."""
    with Incoming(blobs, announced=FOLLOW_UP_TO + 1) as file:
        file.write(b"large")
        assert file.follower is None
        file.finish()
        assert file.follower.result(wait=True) == hashlib.sha256(b"large").hexdigest()


def test_an_upload_that_fails_leaves_nothing(blobs):
    """Neither a small nor a large one, whatever the error."""
    for content in (b"x", b"x" * (FOLLOW_FROM + 1)):
        with contextlib.suppress(KeyError), Incoming(blobs) as file:
            file.write(content)
            raise KeyError
    assert not list(blobs.temporary.iterdir())
    assert not list(blobs.stored())


def test_a_full_disk_is_said_so_and_leaves_nothing(blobs, monkeypatch):
    """ENOSPC while writing becomes StorageFull."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with Incoming(blobs) as file:
        monkeypatch.setattr(module.os, "write", full)
        with pytest.raises(StorageFull):
            file.write(b"x")
    assert not list(blobs.temporary.iterdir())


def test_short_writes_are_continued(blobs, monkeypatch):
    """A disk that takes a few bytes at a time still gets all of them."""
    write = os.write
    monkeypatch.setattr(module.os, "write", lambda descriptor, data: write(descriptor, bytes(data[:3])))
    digest, _ = keep(blobs, b"0123456789")
    assert blobs.path(digest).read_bytes() == b"0123456789"


def test_the_same_content_twice_is_one_file(blobs):
    """Placing it again keeps one copy."""
    assert keep(blobs, b"same")[0] == keep(blobs, b"same")[0]
    assert len(list(blobs.stored())) == 1


def test_lost_and_damaged_uploads_are_told(blobs):
    """A missing file and one of another size are InputLost; a symbolic link is never followed."""
    digest, _ = keep(blobs, b"content")
    with pytest.raises(InputLost):
        blobs.open(digest, 6)
    blobs.path(digest).unlink()
    with pytest.raises(InputLost):
        blobs.open(digest, 7)
    blobs.path(digest).symlink_to("/etc/passwd")
    with pytest.raises(InputLost):
        blobs.open(digest, Path("/etc/passwd").stat().st_size)


def test_an_upload_is_held_against_its_digest_where_its_values_matter(blobs, monkeypatch):
    """In pieces; a file of the same size and other content is InputLost."""
    monkeypatch.setattr(module, "VERIFIED_AT_ONCE", 3)
    digest, _ = keep(blobs, b"content")
    with blobs.path(digest).open("rb") as file:
        blobs.verify(file.fileno(), digest)
        blobs.path(digest).write_bytes(b"CONTENT")
        with pytest.raises(InputLost):
            blobs.verify(file.fileno(), digest)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EIO])
def test_an_upload_that_cannot_be_opened_now_is_not_lost(blobs, monkeypatch, number):
    """Descriptors that are used up, or a disk that fails, say nothing about the file: it may be there in a moment."""
    digest, _ = keep(blobs, b"content")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module.os, "open", fail)
    with pytest.raises(OSError, match=os.strerror(number)):
        blobs.open(digest, 7)


def test_a_removed_upload_can_still_be_read_by_who_has_it_open(blobs):
    """It is out of its place at once, and its file goes when somebody has the time; the descriptor holds the inode."""
    digest, _ = keep(blobs, b"content")
    descriptor = blobs.open(digest, 7)
    with contextlib.suppress(KeyError), module.deleting() as gone:
        gone.extend([blobs.take_away(digest)] * 2)
        assert not blobs.path(digest).exists()
        assert blobs.take_away(digest) is None
        assert list(blobs.temporary.iterdir()) == gone[:1]
        raise KeyError
    assert not list(blobs.temporary.iterdir())
    assert os.pread(descriptor, 10, 0) == b"content"
    os.close(descriptor)


@pytest.mark.parametrize("digest", ["", "..", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_digests_become_paths(blobs, digest):
    """Anything else is refused before the file system hears of it."""
    with pytest.raises(ValueError, match="BLAKE3"):
        blobs.path(digest)


def test_sweeping_deletes_what_dead_processes_left_and_nothing_else(blobs, settings):
    """A killed process's parts; not those of one that lives, nor of one that left no mark, until a day has passed."""
    died = subprocess.run(
        [sys.executable, "-c", DIES, str(settings.data_dir)], capture_output=True, text=True, check=False
    )
    assert died.returncode == -signal.SIGKILL
    unmarked = blobs.temporary / "0-nobody.x.part"
    unmarked.write_bytes(b"x")
    with Incoming(blobs) as mine:
        assert len(list(blobs.temporary.iterdir())) == 3
        assert (Blobs(settings.data_dir).sweep(), blobs.sweep()) == (1, 0)
        mine.write(b"it is still there")
        mine.finish()
    assert list(blobs.temporary.iterdir()) == [unmarked]
    os.utime(unmarked, (0, 0))
    assert blobs.sweep() == 1


DIES = """
import os, signal, sys
from pathlib import Path
from service.jobs.blobs import Blobs, Incoming
with Incoming(Blobs(Path(sys.argv[1]))) as file:
    file.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_is_stored_is_durable_in_its_folder_too(blobs, monkeypatch):
    """A new folder is synced into the one above: else the file's own sync would be worth nothing."""
    synced = []
    fsync = os.fsync
    name = lambda descriptor: str(Path(f"/proc/self/fd/{descriptor}").readlink())  # noqa: E731
    monkeypatch.setattr(module.os, "fsync", lambda descriptor: (synced.append(name(descriptor)), fsync(descriptor)))
    digest, _ = keep(blobs, b"content")
    assert synced[1:] == [str(blobs.root), str(blobs.path(digest).parent)]


def test_a_disk_that_takes_nothing_is_told_and_leaves_nothing(blobs, monkeypatch):
    """For readiness: a file is made without a name, and is gone with its descriptor."""
    blobs.require_writable()
    assert not list(blobs.temporary.iterdir())
    blobs.temporary.rmdir()
    with pytest.raises(ServiceError, match="cannot write"):
        blobs.require_writable()


def test_what_arrives_is_counted(blobs):
    """For the quota: uploads that are not accepted yet."""
    with Incoming(blobs) as file:
        file.write(b"12345")
        assert blobs.arriving_bytes() == 5
    assert blobs.arriving_bytes() == 0
