"""The resource /v1/comparisons, over a fake sandbox."""

from __future__ import annotations

import io
import json

import pytest

from schemas.comparison import ComparisonJobSchema
from tests.fakes import wait_for

HERE = "/v1/comparisons"
NOBODY = "01a1fc66-bc3c-70cd-976b-f03c599b3780"


@pytest.fixture
def analyse(send):
    """`analyse(b"model 1")` is the id of its analysis."""
    return lambda body: send(body).get_json()["id"]


@pytest.fixture
def compare(client):
    """`compare(left=b"model", right=...)` sends a form; a list is several files."""

    def do(path=f"{HERE}?wait=10", **fields):
        form = {}
        for name, value in fields.items():
            bodies = value if isinstance(value, list) else [value]
            is_file = isinstance(bodies[0], bytes)
            form[name] = [(io.BytesIO(body), f"{name}{at}.pt") for at, body in enumerate(bodies)] if is_file else value
        return client.post(path, data=form)

    return do


def test_two_analyses_are_compared_by_id(client, analyse):
    """201, where it is, and where both sides are."""
    left, right = analyse(b"model 1"), analyse(b"model 2")
    response = client.post(f"{HERE}?wait=10", json={"left": left, "right": right})
    assert response.status_code == 201, response.text
    found = ComparisonJobSchema().load(response.get_json())
    assert (found["state"], found["error"], found["values"]) == ("succeeded", None, False)
    assert found["comparison"]["summary"] == "They are equal."
    assert found["links"] == {
        "self": f"{HERE}/{found['id']}", "left": f"/v1/analyses/{left}", "right": f"/v1/analyses/{right}"
    }  # fmt: skip
    assert response.headers["Location"] == found["links"]["self"]
    assert client.get(found["links"]["self"]).get_json() == response.get_json()


@pytest.mark.parametrize(
    ("query", "body", "values"),
    [
        ("", {}, False),
        ("&values=true", {}, True),
        ("", {"values": True}, True),
        ("&values=true", {"values": False}, False),
    ],
)
def test_values_are_compared_when_asked_for(client, analyse, query, body, values):
    """In the body, else in the query."""
    both = {"left": analyse(b"model 1"), "right": analyse(b"model 2")}
    found = client.post(f"{HERE}?wait=10{query}", json={**both, **body}).get_json()
    assert (found["values"], found["comparison"]["values"]) == (values, values)


def test_two_models_are_sent_along(client, compare):
    """Each becomes an analysis that stays."""
    response = compare(left=b"model 1", right=[b"model 2", b"more"], values="true")
    assert response.status_code == 201, response.text
    found = response.get_json()
    assert found["values"]
    names = [client.get(found["links"][side]).get_json()["files"] for side in ("left", "right")]
    assert [[file["name"] for file in files] for files in names] == [["left0.pt"], ["right0.pt", "right1.pt"]]


def test_the_same_model_may_be_on_both_sides(compare):
    """The same bytes, under two names."""
    assert compare(left=b"model", right=b"model").status_code == 201


def test_the_same_comparison_again_comes_from_the_store(client, analyse, sandbox):
    """Marked cached, without another run."""
    both = {"left": analyse(b"model 1"), "right": analyse(b"model 2")}
    first, second = (client.post(f"{HERE}?wait=10", json=both).get_json() for _ in range(2))
    assert (first["cached"], second["cached"]) == (False, True)
    assert first["comparison"] == second["comparison"]
    assert len(sandbox.runs) == 3


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_analysis_that_there_is_not_is_named(client, analyse, side):
    """404 with the side as pointer; also for an id that can be none."""
    for identifier in (NOBODY, "nonsense"):
        both = {"left": analyse(b"model"), "right": analyse(b"model"), side: identifier}
        response = client.post(HERE, json=both)
        assert (response.status_code, response.get_json()["pointer"]) == (404, side)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"left": NOBODY}, "right"), ({"right": NOBODY}, "left"), ({"left": 1, "right": NOBODY}, "left"),
        ({"left": None, "right": NOBODY}, "left"), ({"left": NOBODY, "right": NOBODY, "x": 1}, "x"),
        ({"left": NOBODY, "right": NOBODY, "values": "yes"}, "values"),
        ({"left": NOBODY, "right": NOBODY, "values": None}, "values"), ([], "body"), (None, "body"),
        (3, "body"), ({"left": NOBODY, "right": NOBODY, "values": 1}, "values"),
    ],
)  # fmt: skip
def test_bodies_that_cannot_be_are_refused(client, body, pointer):
    """400 with the field."""
    response = client.post(HERE, data=json.dumps(body), content_type="application/json")
    assert (response.status_code, response.get_json()["pointer"]) == (400, pointer)


@pytest.mark.parametrize("body", [b"", b"{", b'{"left": "\xff"}', b"[" * 50_000, b" " * 70_000])
def test_broken_json_is_refused(client, body):
    """400 or 413; never a 500."""
    response = client.post(HERE, data=body, content_type="application/json")
    assert response.status_code in (400, 413)
    assert response.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("fields", "status", "pointer"),
    [
        ({"left": b"model"}, 400, "right"),
        ({"left": b"model", "right": b""}, 400, None),
        ({"left": b"model", "right": b"model", "more": b"model"}, 400, "more"),
        ({"left": b"model", "right": b"model", "file": b"model"}, 400, "file"),
        ({"left": b"model", "right": b"model", "values": "maybe"}, 400, "values"),
        ({"left": b"model", "right": b"model", "values": "true" * 100}, 400, "values"),
        ({"left": b"model", "right": b"model", "values": ["true", "true"]}, 400, "values"),
        ({"left": b"\x89PNG\r\n\x1a\n" + bytes(100), "right": b"model"}, 415, "left"),
    ],
)
def test_forms_that_cannot_be_are_refused_and_leave_nothing(compare, nothing_left, fields, status, pointer):
    """Neither an upload nor an analysis."""
    response = compare(**fields)
    assert (response.status_code, response.get_json().get("pointer")) == (status, pointer), response.text
    nothing_left()


@pytest.mark.parametrize("kind", ["application/octet-stream", "multipart/mixed; boundary=b", "", "text/plain"])
def test_other_bodies_are_not_taken(client, kind):
    """415: two models cannot be in one raw body."""
    response = client.post(HERE, data=b"model", content_type=kind)
    assert (response.status_code, response.get_json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(("side", "word"), [("left", b"bad"), ("right", b"bad"), ("right", b"crash")])
def test_a_side_that_cannot_be_read_is_named(client, compare, side, word):
    """422 with the side and its cause; the comparison stays and says so."""
    response = compare(**{"left": b"model 1", "right": b"model 2", side: word})
    problem = response.get_json()
    assert (response.status_code, problem["code"], problem["side"]) == (422, f"{side}_failed", side)
    assert problem["cause"] == {b"bad": "malformed_file", b"crash": "worker_crashed"}[word]
    here = problem["comparison"]["links"]["self"]
    assert problem["instance"] == here == response.headers["Location"]
    shown = client.get(here).get_json()
    assert (shown["state"], shown["comparison"], shown["error"]["code"]) == ("failed", None, f"{side}_failed")
    assert client.get(f"{here}?format=text").status_code == 409


def test_waiting_for_no_time_is_accepted_with_where_to_look(client, compare, sandbox):
    """202, Location, Retry-After; and it can be waited for."""
    response = compare(f"{HERE}?wait=0", left=b"hang 1", right=b"model")
    assert (response.status_code, response.headers["Retry-After"]) == (202, "1")
    here = response.headers["Location"]
    assert response.get_json()["comparison"] is None
    assert client.get(f"{here}?format=csv").status_code == 409
    sandbox.release.set()
    assert client.get(f"{here}?wait=10").get_json()["state"] == "succeeded"


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("text", "text/plain"), ("csv", "text/csv"), ("markdown", "text/markdown"), ("html", "text/html")],
)
def test_the_answer_comes_in_several_forms(client, compare, name, media_type):
    """By name or by Accept, with a tag."""
    here = compare(left=b"model 1", right=b"model 2").headers["Location"]
    for response in (client.get(f"{here}?format={name}"), client.get(here, headers={"Accept": media_type})):
        assert (response.status_code, response.mimetype) == (200, media_type)
        assert {"Accept", "Accept-Encoding", "Accept-Language"} <= set(response.headers["Vary"].split(", "))
    tag = response.headers["ETag"]
    assert client.get(f"{here}?format={name}", headers={"If-None-Match": tag}).status_code == 304


def test_there_is_no_picture_of_a_comparison(client, compare):
    """406 with what there is."""
    here = compare(left=b"model 1", right=b"model 2").headers["Location"]
    for response in (client.get(f"{here}?format=svg"), client.get(here, headers={"Accept": "image/svg+xml"})):
        assert response.status_code == 406
        assert "text/markdown" in response.get_json()["available"]


def test_a_page_may_run_nothing(client, compare):
    """Whatever a name in it says."""
    here = compare(left=b"model 1", right=b"model 2").headers["Location"]
    response = client.get(f"{here}?format=html")
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "script" not in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_deleting_leaves_the_analyses(client, compare):
    """204, then 404; both sides are still there."""
    found = compare(left=b"model 1", right=b"model 2").get_json()
    assert client.delete(found["links"]["self"]).status_code == 204
    assert client.get(found["links"]["self"]).status_code == 404
    assert client.delete(found["links"]["self"]).status_code == 404
    for side in ("left", "right"):
        assert client.get(found["links"][side]).status_code == 200


def test_it_stays_when_a_side_is_deleted(client, compare):
    """The answer is its own."""
    found = compare(left=b"model 1", right=b"model 2").get_json()
    client.delete(found["links"]["left"])
    assert client.get(found["links"]["self"]).get_json()["comparison"] == found["comparison"]


def test_deleting_one_that_waits_cancels_it(client, compare, sandbox):
    """It says so until it is deleted too."""
    here = compare(f"{HERE}?wait=0", left=b"hang 1", right=b"model").headers["Location"]
    wait_for(lambda: sandbox.runs)
    assert client.delete(here).status_code == 204
    assert client.get(here).get_json()["state"] == "cancelled"


def test_a_comparison_is_no_analysis(client, compare):
    """And the other way round; it is not among the analyses."""
    found = compare(left=b"model 1", right=b"model 2").get_json()
    assert client.get(f"/v1/analyses/{found['id']}").status_code == 404
    left = found["links"]["left"].rpartition("/")[2]
    assert client.get(f"{HERE}/{left}").status_code == 404
    assert found["id"] not in [item["id"] for item in client.get("/v1/analyses").get_json()["items"]]
    assert client.post(HERE, json={"left": found["id"], "right": left}).status_code == 404


class TestAFullQueue:
    """A comparison that cannot be accepted takes back what it accepted for it."""

    @pytest.fixture
    def settings(self):
        return {"max_queued_jobs": 1, "job_threads": 1}

    def test_nothing_is_left(self, client, compare, sandbox):
        """503, and no analysis that nobody asked for."""
        response = compare(f"{HERE}?wait=0", left=b"hang 1", right=b"hang 2")
        assert (response.status_code, response.get_json()["code"]) == (503, "overloaded")
        states = [item["state"] for item in client.get("/v1/analyses").get_json()["items"]]
        assert set(states) <= {"cancelled"}
