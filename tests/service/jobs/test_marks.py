"""Signs of life: seen while a process lives, and known to be gone with it, however it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from service.jobs import marks
from service.jobs.marks import Mark

LIVES = """
import sys, time
from pathlib import Path
from service.jobs.marks import Mark
mark = Mark(Path(sys.argv[1]))
mark.hold()
print(mark.name, flush=True)
time.sleep(60)
"""


def test_a_process_is_dead_when_it_is_and_not_before(tmp_path):
    """A killed one is known at once; its mark stays until nothing is left of it."""
    process = subprocess.Popen([sys.executable, "-c", LIVES, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    name = process.stdout.readline().strip()
    assert marks.is_known(tmp_path, name)
    assert not marks.is_dead(tmp_path, name)
    assert marks.bury(tmp_path, lambda _: True) == 0
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert marks.is_dead(tmp_path, name)
    assert marks.bury(tmp_path, lambda _: False) == 0
    assert marks.bury(tmp_path, lambda _: True) == 1
    assert not marks.is_known(tmp_path, name)


def test_one_that_left_no_mark_may_live(tmp_path):
    """An older service makes none; nor can one on a disk that takes nothing."""
    assert not marks.is_dead(tmp_path, "123-abc")
    assert marks.bury(tmp_path, lambda _: True) == 0


def test_a_mark_is_made_once_by_however_many_threads(tmp_path):
    """And is gone with an orderly end; it can be held again."""
    mark = Mark(tmp_path)
    threads = [threading.Thread(target=mark.hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [file.name for file in (tmp_path / marks.FOLDER).iterdir()] == [mark.name]
    assert not marks.is_dead(tmp_path, mark.name)
    mark.release()
    mark.release()
    assert not marks.is_known(tmp_path, mark.name)
    mark.hold()
    assert marks.is_known(tmp_path, mark.name)
    mark.release()


def test_a_mark_that_was_buried_while_it_was_made_is_made_again(tmp_path, monkeypatch):
    """Somebody saw the file in the moment between its making and its lock."""
    mark = Mark(tmp_path)
    buried = []
    lock = marks.fcntl.flock

    def slow(descriptor, how):
        if not buried:
            buried.append((tmp_path / marks.FOLDER / mark.name).unlink())
        lock(descriptor, how)

    monkeypatch.setattr(marks.fcntl, "flock", slow)
    mark.hold()
    assert buried
    assert marks.is_known(tmp_path, mark.name)
    assert mark.name.startswith(f"{os.getpid()}-")
    mark.release()
