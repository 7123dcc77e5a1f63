"""Processes die at every point and at random, disks and clocks misbehave: no job is lost or answered wrongly."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from tests.fakes import wait_for
from tests.http.conftest import ROOT
from tests.torture.storm import ALL, Steady, model, storm

RAW = {"Content-Type": "application/octet-stream"}
HERE = "/v1/analyses?wait=20"
ON_THE_WAY = (
    "blob.open", "blob.write", "blob.written", "blob.fsynced", "blob.place", "blob.placed", "row.written",
    "row.committed", "child.started", "answer.received", "report.storing", "report.stored",
)  # fmt: skip
"""What a web worker passes from the first byte of an upload to the stored report."""
TRIES = 5
"""At each: some are passed in the background, too, and it may be that which dies."""
TAKEN_UP = ("job.claiming", "job.claimed")
"""What it passes with a job that another left."""


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """A service that minds a folder of faults."""
    folder = tmp_path_factory.mktemp("faults")
    made = Steady(folder / "data", WEIGHBRIDGE_FAULTS=str(folder))
    made.current.wait_until_ready()
    yield made
    made.stop()


@pytest.fixture
def faulty(steady):
    """The same, as clients see it."""
    return steady.current


@pytest.fixture
def armed(steady):
    """Its folder; empty before and after."""
    folder = steady.current.data_dir.parent
    yield folder
    for file in folder.iterdir():
        if file.is_file():
            file.unlink()


def send(service, parameters, path=HERE, seconds=60.0):
    """The answer to a model of so many parameters, sent again with the same key until there is one; and the tries."""
    headers = {**RAW, "Idempotency-Key": f'"{parameters}"'}
    answers, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            answers.append(service.ask("POST", path, body=model(parameters), headers=headers))
        except Exception as error:  # noqa: BLE001 - whatever a connection to a dying process ends with
            answers.append(error)
        if getattr(answers[-1], "status", 503) < 500:
            return answers
        time.sleep(0.05)
    pytest.fail(f"never answered: {answers[-3:]}")


def counted(service, answer):
    """Parameters that the analysis of an answer ends with."""
    found = service.ask("GET", f"{answer.json()['links']['self']}?wait=30").json()
    assert found["state"] == "succeeded", found["error"]
    return found["report"]["totals"]["parameters"]


def test_a_web_worker_that_dies_at_any_point_costs_no_job_and_makes_none_twice(faulty, armed):
    """The client sends again with the same key, and gets the analysis that was accepted, if one was."""
    numbers, before = itertools.count(100), len(listed(faulty))
    for point in ON_THE_WAY:
        struck = (len(sent_through(faulty, armed, point, next(numbers))) > 1 for _ in range(TRIES))
        assert any(struck), point
    for point in TAKEN_UP:
        (armed / "child.started.once").write_text("kill")
        sent_through(faulty, armed, point, next(numbers))
    assert len(listed(faulty)) - before == next(numbers) - 100
    wait_for(lambda: not faulty.left_behind(), 40.0)


def listed(service):
    """All analyses that a service tells of, of which there are few."""
    return service.ask("GET", "/v1/analyses?limit=100").json()["items"]


def sent_through(faulty, armed, point, parameters):
    """The answers to one upload, while the first that passes the point dies there."""
    (armed / f"{point}.once").write_text("kill")
    answers = send(faulty, parameters)
    assert counted(faulty, answers[-1]) == parameters
    wait_for(lambda: not (armed / f"{point}.once").exists())
    return answers


@pytest.mark.parametrize("kind", ["child", "zygote", "supervisor"])
def test_what_runs_a_job_may_die_under_it(steady, armed, kind):
    """While the answer is awaited: it is run again, by a new one, and the client hears of nothing."""
    parameters = {"child": 201, "zygote": 202, "supervisor": 203}[kind]
    (armed / "child.started.once").write_text("stall 0.5")
    answers = []
    client = threading.Thread(target=lambda: answers.extend(send(steady.current, parameters)))
    client.start()
    wait_for(lambda: not (armed / "child.started.once").exists())
    for pid in steady.victims(kind):
        os.kill(pid, signal.SIGKILL)
    client.join(60)
    assert [counted(steady.current, answer) for answer in answers] == [parameters]


def test_a_storm_of_deaths_under_load_loses_no_job(tmp_path):
    """Children, warm processes, their supervisor, web workers, the master, stops and reloads, at random moments."""
    service = Steady(tmp_path / "data")
    service.current.wait_until_ready()
    try:
        account = storm(service, seconds=6.0, kinds=ALL, seed=5, clients=3, pause=0.1)
        wait_for(lambda: not service.current.left_behind(), 40.0)
    finally:
        service.stop()
    print("\n".join(account.lines()))
    assert (account.lost, account.wrong) == ([], [])
    assert account.accepted > 0
    assert sum(account.kills.values()) > 0


@pytest.mark.parametrize("point", ["blob.write", "blob.place"])
@pytest.mark.parametrize(
    ("number", "status", "code"), [("ENOSPC", 507, "storage_full"), ("EROFS", 503, "service_error")]
)
def test_a_disk_that_takes_nothing_is_told_and_passes(faulty, armed, point, number, status, code):
    """Named, with when to try again; nothing is left, and the next upload is taken, under the same key."""
    (armed / f"{point}.once").write_text(f"errno {number}")
    headers = {**RAW, "Idempotency-Key": f"{point}-{number}"}
    parameters = len(headers["Idempotency-Key"])
    refused, again = (faulty.ask("POST", HERE, body=model(parameters), headers=headers) for _ in range(2))
    assert (refused.status, refused.json()["code"], "Retry-After" in refused.headers) == (status, code, True)
    assert (again.status, counted(faulty, again)) == (201, parameters)
    assert faulty.left_behind() == []


def test_a_clock_that_jumps_an_hour_changes_nothing(faulty, armed):
    """Forward and back: what was accepted is run, what is kept for an hour is there, sweeping goes on."""
    first = faulty.ask("POST", HERE, body=model(5), headers=RAW).json()
    for jump in ("3600", "-3600", "100000000"):
        (armed / "clock").write_text(jump)
        accepted = faulty.ask("POST", "/v1/analyses?wait=0", body=model(1000 + len(jump)), headers=RAW)
        assert counted(faulty, accepted) == 1000 + len(jump)
    found = faulty.ask("GET", f"/v1/analyses/{first['id']}?stats=true&wait=60")
    assert (found.status, found.json()["state"]) == (200, "succeeded")
    assert faulty.ask("GET", "/readyz").status == 200


def test_a_database_that_is_damaged_and_then_restored_without_its_uploads(start, tmp_path):
    """The service starts, says at /readyz what it needs and promises nothing. With the backup it has all that this has.

    What had not run, and whose upload is lost, ends as that, in so many words, not by being waited for.
    """
    one = {"WEB_CONCURRENCY": "1", "WEIGHBRIDGE_FAULTS": str(tmp_path)}
    first = start(**one)
    done = first.ask("POST", HERE, body=model(5), headers=RAW).json()["links"]["self"]
    (tmp_path / "child.started").write_text("stall 60")
    waiting = first.ask("POST", "/v1/analyses?wait=0", body=model(6), headers=RAW).json()["links"]["self"]
    first.kill()
    backup, data = tmp_path / "backup", tmp_path / "data"
    shutil.copytree(data, backup, ignore=shutil.ignore_patterns("blobs", "run"))
    (data / "weighbridge.db").write_bytes(bytes(100_000))

    damaged = start(**one)
    told = damaged.ask("GET", "/readyz")
    assert told.status == 503
    assert "restore a backup" in told.json()["keeping"]["database"]["needs"]
    assert damaged.ask("GET", "/healthz").status == 200
    assert damaged.ask("POST", HERE, body=model(5), headers=RAW).json()["code"] == "database_damaged"
    damaged.stop()

    shutil.rmtree(data)
    backup.rename(data)
    (tmp_path / "child.started").unlink()
    restored = start(**one)
    lost = restored.ask("GET", f"{waiting}?wait=30").json()
    assert (lost["state"], lost["error"]["code"], lost["error"]["status"]) == ("failed", "input_lost", 503)
    assert restored.ask("GET", done).json()["report"]["totals"]["parameters"] == 5
    assert restored.ask("GET", f"{done}?stats=true").json()["code"] == "upload_gone"


def test_faults_are_for_tests_on_this_machine_only(tmp_path):
    """A service that others can reach does not mind them; it does not even start."""
    done = _serve(tmp_path, HOST="0.0.0.0", WEIGHBRIDGE_FAULTS=str(tmp_path), WEIGHBRIDGE_AUTH="required")  # noqa: S104
    assert done.returncode != 0
    assert "WEIGHBRIDGE_FAULTS is for tests" in done.stderr


def test_a_folder_that_cannot_be_written_is_one_sentence_at_the_start(tmp_path):
    """It names the folder, and what can be done."""
    done = _serve(tmp_path, WEIGHBRIDGE_DATA_DIR="/sys/weighbridge")
    assert done.returncode != 0
    assert "weighbridge: the data folder /sys/weighbridge cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_schema_of_the_future_is_one_sentence_at_the_start(tmp_path):
    """What to do instead; the database is left as it is."""
    with sqlite3.connect(tmp_path / "weighbridge.db") as raw:
        raw.execute("PRAGMA user_version = 99")
    done = _serve(tmp_path)
    assert done.returncode != 0
    assert "Start the newer version" in done.stderr
    assert "Traceback" not in done.stderr


def _serve(data_dir, **settings):
    environment = {**os.environ, "WEIGHBRIDGE_DATA_DIR": str(data_dir), "PORT": "0", **settings}
    command = [sys.executable, "-m", "service.cli", "serve"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
