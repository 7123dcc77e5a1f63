"""Points do nothing unless a test has armed them, and then what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from service import faults


@pytest.fixture
def armed(tmp_path):
    faults.arm(tmp_path)
    yield tmp_path
    faults.arm(None)


def test_without_a_folder_nothing_happens(tmp_path):
    """Nothing is read, and the clocks are the system's own."""
    faults.point("a")
    assert list(tmp_path.iterdir()) == []
    assert time.time is faults._REAL


def test_each_pass_is_noted(armed):
    """With the process that passed."""
    faults.point("a")
    faults.point("b")
    assert (armed / faults.PASSED).read_text() == f"a {os.getpid()}\nb {os.getpid()}\n"


def test_an_error_is_raised_each_time_or_once(armed):
    """With its number and the system's words for it."""
    (armed / "a").write_text("errno ENOSPC")
    (armed / "b.once").write_text("errno EMFILE")
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            faults.point("a")
    with pytest.raises(OSError, match="Too many open files"):
        faults.point("b")
    faults.point("b")
    (armed / "a").unlink()
    faults.point("a")


def test_a_process_is_killed_or_stalls(armed):
    """Only the one that passes."""
    (armed / "a").write_text("kill")
    (armed / "b").write_text("stall 0.05")
    code = "import sys; from pathlib import Path; from service import faults; faults.arm(Path(sys.argv[1]))"
    died = subprocess.run([sys.executable, "-c", f"{code}; faults.point('a')", str(armed)], check=False)
    assert died.returncode == -signal.SIGKILL
    began = time.monotonic()
    faults.point("b")
    assert time.monotonic() - began >= 0.05


def test_the_wall_clock_is_as_wrong_as_the_folder_says(armed):
    """Both forms of it, and right again when the folder says nothing; the monotonic clock is left alone."""
    real = faults._REAL
    (armed / faults.CLOCK).write_text("-3600")
    assert time.time() == pytest.approx(real() - 3600, abs=60)
    assert time.time_ns() == pytest.approx((real() - 3600) * 1e9, abs=60e9)
    (armed / faults.CLOCK).unlink()
    assert time.time() == pytest.approx(real(), abs=60)
