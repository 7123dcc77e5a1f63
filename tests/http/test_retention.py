"""What is kept for a time, seen from outside: while it is kept, after it, and what is said then."""

from __future__ import annotations

import sqlite3

import pytest

from tests.fakes import wait_for
from tests.http.conftest import running
from tests.torture.storm import model

RAW = {"Content-Type": "application/octet-stream"}
HERE = "/v1/analyses?wait=20"


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory):
    """A service that stores little, and sweeps often, for it forgets keys soon."""
    yield from running(
        tmp_path_factory.mktemp("data"), WEB_CONCURRENCY="1", WEIGHBRIDGE_IDEMPOTENCY_SECONDS="5",
        WEIGHBRIDGE_MAX_STORED_BYTES="1500000",
    )  # fmt: skip


def pass_by(service, seconds):
    """Make all that it keeps so much older."""
    with sqlite3.connect(service.data_dir / "weighbridge.db", timeout=60) as raw:
        raw.execute("UPDATE uploads SET used_at = used_at - ?", (seconds,))
        raw.execute("UPDATE analyses SET kept_from = kept_from - ?", (seconds,))


def stored(service):
    """Uploads on disk."""
    return [file for file in (service.data_dir / "blobs").glob("??/*") if file.is_file()]


def test_an_upload_goes_after_its_last_use_and_an_analysis_later(forgetful):
    """Statistics and comparisons of values follow while it is there; then they are refused, until it is sent again."""
    pass_by(forgetful, 31 * 86400)
    wait_for(lambda: not stored(forgetful), 40.0)
    here, other = (forgetful.ask("POST", HERE, body=model(number), headers=RAW).json() for number in (5, 6))
    both = {"left": here["id"], "right": other["id"], "values": True}
    address = here["links"]["self"]
    compared = forgetful.ask("POST", "/v1/comparisons?wait=30", json=both)
    assert compared.status == 201, compared.json()
    pass_by(forgetful, 3500)
    assert forgetful.ask("GET", f"{address}?stats=true&wait=30").json()["state"] == "succeeded"
    assert len(stored(forgetful)) == 2
    pass_by(forgetful, 3700)
    wait_for(lambda: not stored(forgetful), 40.0)
    gone = forgetful.ask("GET", f"{other['links']['self']}?stats=true")
    assert (gone.status, gone.json()["code"]) == (409, "upload_gone")
    swapped = {"left": other["id"], "right": here["id"], "values": True}
    refused = forgetful.ask("POST", "/v1/comparisons", json=swapped)
    assert (refused.status, refused.json()["code"]) == (409, "left_gone")
    assert "no longer stored" in refused.json()["detail"]
    assert forgetful.ask("POST", "/v1/comparisons?wait=20", json={**swapped, "values": False}).status == 201
    assert forgetful.ask("GET", address).json()["report"]["totals"]["parameters"] == 5
    again = forgetful.ask("POST", HERE, body=model(5), headers=RAW).json()
    assert again["cached"]
    assert forgetful.ask("POST", "/v1/comparisons", json=swapped).json()["code"] == "left_gone"
    assert len(stored(forgetful)) == 1
    pass_by(forgetful, 31 * 86400)
    wait_for(lambda: forgetful.ask("GET", address).status == 404, 40.0)
    assert forgetful.ask("GET", compared.json()["links"]["self"]).status == 404


def test_what_does_not_fit_takes_the_place_of_what_nobody_needs_or_is_refused(forgetful):
    """507 names the limit and says when to try again; nothing of it is left."""
    for number in (100_000, 100_001, 100_002, 100_003):
        assert forgetful.ask("POST", HERE, body=model(number), headers=RAW).status == 201
    assert sum(file.stat().st_size for file in stored(forgetful)) < 1_500_000
    refused = forgetful.ask("POST", HERE, body=model(400_000), headers=RAW)
    assert (refused.status, refused.json()["code"]) == (507, "storage_full")
    assert (refused.json()["limit"], refused.json()["maximum"]) == ("max_stored_bytes", 1_500_000)
    assert "Retry-After" in refused.headers
    assert forgetful.left_behind() == []
