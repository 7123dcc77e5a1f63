"""Starting, stopping and dying: what was accepted is not lost, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.fakes import wait_for
from tests.http.conftest import ROOT, answer

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


def test_stopping_answers_what_runs_and_takes_nothing_more(start, model, tmp_path):
    """Six slow uploads and a request that waits are answered, new connections refused; all twenty jobs are then run."""
    faults = tmp_path / "faults"
    faults.mkdir()
    first = start(WEIGHBRIDGE_FAULTS=str(faults))
    slow = [_begun(first, model(100 + number)) for number in range(6)]
    (faults / "child.started").write_text("stall 60")
    jobs = [first.ask("POST", ACCEPTED, body=model(110 + number), headers=RAW) for number in range(20)]
    waiting = first.raw(f"GET {jobs[0].json()['links']['self']}?wait=60 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    first.process.send_signal(signal.SIGTERM)
    wait_for(lambda: _refused(first))
    for connection, rest in slow:
        connection.sendall(rest)
    heads = [answer(connection) for connection in (waiting, *(connection for connection, _ in slow))]
    assert [status for status, _, _ in heads] == [200] + [202] * 6
    assert first.process.wait(60) == 0
    (faults / "child.started").unlink()
    again = start()
    accepted = [json.loads(body) for _, _, body in heads[1:]] + [job.json() for job in jobs]
    assert [state(again, job["links"]["self"]) for job in accepted] == ["succeeded"] * 26
    assert again.left_behind() == []


def _begun(service, content):
    """A connection on which half of an upload was sent, and the other half."""
    head = f"POST {ACCEPTED} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n"
    connection = service.raw(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode(), content[:100])
    return connection, content[100:]


def _refused(service):
    """Whether nobody listens any more."""
    try:
        service.raw().close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_reload_under_load_loses_nothing(start, model):
    """SIGHUP: other web workers take over, and every request is answered."""
    service = start()
    before = set(service.workers())
    service.process.send_signal(signal.SIGHUP)
    accepted = []
    while before & set(service.workers()):
        number = 140 + len(accepted) % 100
        accepted.append(service.ask("POST", ACCEPTED, body=model(number), headers=RAW))
    assert {response.status for response in accepted} <= {201, 202}
    assert [state(service, response.json()["links"]["self"]) for response in accepted] == ["succeeded"] * len(accepted)


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
