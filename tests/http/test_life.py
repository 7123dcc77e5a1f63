"""Starting, stopping and dying: what was accepted is not lost, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.fakes import wait_for
from tests.http.conftest import ROOT

RAW = {"Content-Type": "application/octet-stream"}
ACCEPTED = "/v1/analyses?wait=0"


def state(service, here, wait=30):
    """The state of an analysis after at most `wait` seconds."""
    return service.ask("GET", f"{here}?wait={wait}").json()["state"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_accepted_is_run_after_a_restart(start, model, how):
    """However the service ended."""
    first = start(WEIGHBRIDGE_JOB_THREADS="1")
    accepted = [first.ask("POST", ACCEPTED, body=model(30 + number), headers=RAW) for number in range(20)]
    assert {response.status for response in accepted} <= {201, 202}
    first.stop(how)
    for pid in first_workers(first):
        os.kill(pid, signal.SIGKILL)
    again = start()
    assert [state(again, response.json()["links"]["self"]) for response in accepted] == ["succeeded"] * 20


def first_workers(service):
    """Workers that outlived a killed master: they end by themselves, but the test need not wait."""
    try:
        return service.workers()
    except OSError:
        return []


def test_a_killed_web_worker_is_replaced_and_loses_nothing(start, model):
    """Jobs of the dead one are taken up; new requests are answered."""
    service = start()
    accepted = [service.ask("POST", ACCEPTED, body=model(60 + number), headers=RAW) for number in range(10)]
    killed = set(service.workers())
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(set(service.workers()) - killed) == 2)  # those just killed may be listed a moment longer
    for response in accepted:
        assert state(service, response.json()["links"]["self"]) == "succeeded"


def test_stopping_is_orderly_and_leaves_no_process(start):
    """Exit status 0; the supervisor and its warm processes end with it."""
    service = start()
    folder = str(service.data_dir)
    assert service.stop() == 0

    def mentioning():
        found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        return [line for line in found.splitlines() if folder in line]

    wait_for(lambda: not mentioning())


def test_a_second_start_on_a_damaged_setting_says_which(tmp_path):
    """One sentence, naming the variable."""
    environment = {**os.environ, "WEIGHBRIDGE_DATA_DIR": str(tmp_path), "WEIGHBRIDGE_JOB_THREADS": "many"}
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", "serve"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert "WEIGHBRIDGE_JOB_THREADS='many'" in done.stderr
