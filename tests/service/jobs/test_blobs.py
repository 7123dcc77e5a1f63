"""Uploads on disk: whole, private, addressed by content, and gone when they fail."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest
from blake3 import blake3

from service.errors import InputLost, StorageFull
from service.jobs import blobs as module
from service.jobs.blobs import FOLLOW_FROM, FOLLOW_UP_TO, Incoming


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
    blobs.remove(digest)
    with pytest.raises(InputLost):
        blobs.open(digest, 7)
    blobs.path(digest).symlink_to("/etc/passwd")
    with pytest.raises(InputLost):
        blobs.open(digest, Path("/etc/passwd").stat().st_size)


def test_a_removed_upload_can_still_be_read_by_who_has_it_open(blobs):
    """The descriptor holds the inode."""
    digest, _ = keep(blobs, b"content")
    descriptor = blobs.open(digest, 7)
    blobs.remove(digest)
    assert os.pread(descriptor, 10, 0) == b"content"
    os.close(descriptor)


@pytest.mark.parametrize("digest", ["", "..", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_only_digests_become_paths(blobs, digest):
    """Anything else is refused before the file system hears of it."""
    with pytest.raises(ValueError, match="BLAKE3"):
        blobs.path(digest)


def test_sweeping_deletes_what_interrupted_uploads_left(blobs):
    """Parts of a process that was killed."""
    (blobs.temporary / "x.part").write_bytes(b"x")
    assert blobs.sweep() == 1
    assert not list(blobs.temporary.iterdir())
