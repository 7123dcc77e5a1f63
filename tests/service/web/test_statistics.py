"""`?stats=true`: the values of an analysis' weights, read when asked for."""

from __future__ import annotations

import pytest

from schemas.analysis import AnalysisSchema
from tests.fakes import wait_for

PLACES = ("", "/report", "/layers/dense")


def test_an_upload_may_be_measured_at_once(send, sandbox):
    """The option is the analysis' own."""
    response = send(b"model", path="/v1/analyses?wait=10&stats=true")
    found = AnalysisSchema().load(response.get_json())
    assert (response.status_code, found["options"], found["progress"]) == (201, {"stats": True}, None)
    assert not send(b"model").get_json()["cached"]
    assert send(b"model", path="/v1/analyses?wait=10&stats=1").get_json()["cached"]


@pytest.mark.parametrize("place", PLACES)
def test_an_analysis_may_be_measured_later(client, send, sandbox, place):
    """Its own id; measured once, however often and wherever it is asked for."""
    here = send(b"model").headers["Location"]
    for path in (place, *PLACES):
        response = client.get(f"{here}{path}?stats=true&wait=10")
        assert response.status_code == 200, response.text
    assert len(sandbox.runs) == 2
    document = client.get(f"{here}?stats=true").get_json()
    assert (document["links"]["self"], document["options"]) == (here, {"stats": True})
    assert client.get(document["links"]["report"]).status_code == 200
    assert client.get(here).get_json()["options"] == {"stats": False}
    assert len(client.get("/v1/analyses").get_json()["items"]) == 1


@pytest.mark.parametrize("place", PLACES)
def test_while_it_is_measured_the_answer_is_how_far_it_has_come(client, send, sandbox, place):
    """202 with Retry-After and progress; the report without statistics stays where it is."""
    sandbox.release.set()
    here = send(b"hang").headers["Location"]
    sandbox.release.clear()
    response = client.get(f"{here}{place}?stats=true")
    assert (response.status_code, response.headers["Retry-After"]) == (202, "1")
    found = response.get_json()
    assert f"/v1/analyses/{found['id']}" == here == found["links"]["self"]
    wait_for(lambda: client.get(f"{here}{place}?stats=true").get_json()["progress"] is not None)
    assert client.get(f"{here}/report").status_code == 200
    sandbox.release.set()
    assert client.get(f"{here}{place}?stats=true&wait=10").status_code == 200


@pytest.mark.parametrize("place", PLACES)
def test_an_upload_that_is_gone_cannot_be_measured(client, send, parts, place):
    """409 that says so; what was read before stays."""
    here = send(b"model").headers["Location"]
    for digest in list(parts.blobs.stored()):
        parts.blobs.path(digest).unlink()
    response = client.get(f"{here}{place}?stats=true&wait=5")
    assert (response.status_code, response.get_json()["code"]) == (409, "upload_gone")
    assert client.get(f"{here}{place}").status_code == 200


def test_an_upload_that_was_damaged_is_not_measured(client, send, parts):
    """Of the same length: 503 that says to send it again, and no wrong values. Sent again, it is measured at once."""
    here = send(b"model").headers["Location"]
    (digest,) = parts.blobs.stored()
    parts.blobs.path(digest).write_bytes(b"wrong")
    response = client.get(f"{here}?stats=true&wait=5")
    assert (response.status_code, response.get_json()["code"]) == (503, "input_lost")
    assert client.get(f"{here}?stats=true&wait=5").status_code == 503
    again = send(b"model").headers["Location"]
    assert [client.get(f"{place}?stats=true&wait=5").status_code for place in (again, here)] == [200, 200]


def test_a_measurement_that_fails_is_its_problem(client, send, sandbox, monkeypatch):
    """As for the analysis itself, and with its address."""
    here = send(b"away").headers["Location"]
    monkeypatch.setattr(type(sandbox), "_away", type(sandbox)._bad)
    for place in PLACES:
        response = client.get(f"{here}{place}?stats=true&wait=10")
        assert (response.status_code, response.get_json()["code"]) == (422, "malformed_file")
        assert response.get_json()["instance"] == here
    assert client.get(here).get_json()["state"] == "succeeded"


def test_a_failed_analysis_is_not_measured(client, send):
    """It says why there is nothing."""
    here = client.get("/v1/analyses").get_json()["items"]
    assert here == []
    failed = send(b"bad").headers["Location"]
    assert client.get(f"{failed}?stats=true&wait=5").get_json()["error"]["code"] == "malformed_file"
    assert client.get(f"{failed}/report?stats=true").status_code == 409
