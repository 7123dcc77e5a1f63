"""What a Landlock domain leaves readable, in processes of their own."""

from __future__ import annotations

import os

import pytest

from service.worker import landlock, syscalls


def in_child(work) -> int:
    """Exit status of a child that enters a domain by `work`; 0 if it ran to its end."""
    child = os.fork()
    if child == 0:
        try:
            syscalls.prctl(38, 1)
            work()
        except OSError as error:
            os._exit(error.errno or 255)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def folders(tmp_path):
    """An open and a closed folder with a file in each."""
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("content")
    return tmp_path


def test_the_kernel_has_it():
    """Without it the service refuses to start, and so does this test."""
    assert landlock.abi() >= 1


def test_what_is_allowed_stays_readable(folders):
    """Folders with all below, and single files; what does not exist is left out."""

    def work():
        landlock.enter([folders / "open", folders / "closed" / "file", folders / "absent"])
        (folders / "open" / "file").read_text()
        list((folders / "open").iterdir())
        (folders / "closed" / "file").read_text()

    assert in_child(work) == 0


@pytest.mark.parametrize(
    "attempt",
    [
        lambda folders: (folders / "closed" / "file").read_text(),
        lambda folders: list((folders / "closed").iterdir()),
        lambda folders: (folders / "open" / "new").write_text("x"),
        lambda folders: (folders / "open" / "file").unlink(),
        lambda folders: os.execv("/bin/true", ["true"]),  # noqa: S606 - that it fails is the point
        lambda folders: os.truncate(folders / "open" / "file", 0),
    ],
)
def test_everything_else_is_gone(folders, attempt):
    """EACCES for reading elsewhere and for writing anywhere."""

    def work():
        landlock.enter([folders / "open"])
        attempt(folders)

    assert in_child(work) == 13
