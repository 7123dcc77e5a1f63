"""Folders that are there before anything is counted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.config import Settings
from service.web import folders


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Neither the variable nor the umask of this process is changed for others."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def memory(tmp_path, monkeypatch):
    """A place for files in memory, where anybody may write."""
    made = tmp_path / "memory"
    made.mkdir()
    monkeypatch.setattr(folders, "MEMORY", made)
    return made


def test_numbers_lie_in_memory_where_a_full_disk_cannot_kill(tmp_path, memory):
    """Private and empty; each service has its own, also where two share a data folder."""
    first, second = (folders.prepare_metrics(Settings(data_dir=tmp_path / "a")) for _ in range(2))
    assert first != second
    assert {first.parent, second.parent} == {memory}
    assert [file.name for file in first.iterdir()] == [folders.ALIVE]
    assert first.stat().st_mode & 0o077 == 0
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == str(second)


def test_what_a_killed_service_left_is_removed_and_nothing_else(tmp_path, memory):
    """Of this user, by its lock, which ends with it; a link in a place where anybody may write leads nowhere."""
    script = "import sys; from pathlib import Path; from service.web import folders; "
    script += "folders.MEMORY = Path(sys.argv[1]); from service.config import Settings; "
    script += "print(folders.prepare_metrics(Settings(data_dir=Path(sys.argv[2]))))"
    command = [sys.executable, "-c", script, str(memory), str(tmp_path / "a")]
    dead = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    alive = folders.prepare_metrics(Settings(data_dir=tmp_path / "b"))
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / folders.ALIVE).touch()
    link = memory / f"{folders._prefix()}link"
    link.symlink_to(tmp_path / "secret")
    folders.prepare_metrics(Settings(data_dir=tmp_path / "c"))
    assert (dead.exists(), alive.exists()) == (False, True)
    assert (tmp_path / "secret" / folders.ALIVE).exists()


def test_without_a_place_in_memory_the_data_folder_has_to_do(tmp_path, memory):
    """Some systems have none."""
    memory.rmdir()
    settings = Settings(data_dir=tmp_path / "a")
    assert folders.prepare_metrics(settings).parent == folders.run_dir(settings)


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path, memory):
    """By whoever starts the service, in one sentence."""
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match="Not a directory"):
        folders.prepare_metrics(Settings(data_dir=tmp_path / "a"))
