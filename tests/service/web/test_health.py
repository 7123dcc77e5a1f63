"""Health, readiness, numbers and formats."""

from __future__ import annotations

import pytest

from schemas.analysis import FormatsSchema, ProblemSchema
from schemas.health import HealthSchema, ReadySchema
from service.config import Settings
from service.registry import formats
from service.sandbox.state import KindState
from service.web.readiness import readiness
from tests.fakes import FakeSandbox

WARM = KindState(installed=True, warm=True, layers={"seccomp": True}, probes={"socket": True})


def ready(settings, **states):
    class Sandbox(FakeSandbox):
        def states(self):
            return states

    return readiness(settings, Sandbox())[0]


def test_health_is_this_process_s(client):
    """Always 200 while it answers."""
    response = client.get("/healthz")
    assert response.status_code == 200
    assert HealthSchema().load(response.get_json())["status"] == "ok"


def test_ready_reports_every_kind_and_layer(client):
    """As documented, field by field."""
    response = client.get("/readyz")
    assert response.status_code == 200
    workers = ReadySchema().load(response.get_json())["workers"]
    assert workers["static"]["layers"] == {"seccomp": True}
    assert not workers["torch"]["installed"]


def test_not_ready_is_a_problem_that_shows_the_workers(client, sandbox, monkeypatch):
    """503 and Retry-After."""
    monkeypatch.setattr(sandbox, "states", lambda: {"static": KindState(installed=True)})
    response = client.get("/readyz")
    assert (response.status_code, response.content_type) == (503, "application/problem+json")
    assert response.get_json()["workers"]["static"]["warm"] is False
    assert "Retry-After" in response.headers


@pytest.mark.parametrize(
    ("settings", "states", "expected"),
    [
        ({}, {"static": WARM}, True),
        ({}, {}, False),
        ({}, {"static": WARM, "keras": KindState()}, True),
        ({}, {"static": WARM, "keras": KindState(installed=True)}, False),
        ({"warm_frameworks": False}, {"static": WARM, "keras": KindState(installed=True)}, True),
        (
            {},
            {"static": KindState(installed=True, warm=True, layers={"seccomp": False}, probes={"socket": True})},
            False,
        ),
        (
            {},
            {"static": KindState(installed=True, warm=True, layers={"seccomp": True}, probes={"socket": False})},
            False,
        ),
        ({}, {"static": WARM, "values": KindState(installed=True)}, True),
        ({"warm_values": True}, {"static": WARM, "values": KindState(installed=True)}, False),
        ({"warm_values": True}, {"static": WARM, "values": WARM}, True),
        ({"warm_values": True}, {"static": WARM, "values": KindState()}, True),
        ({"allow_unconfined": True}, {"static": KindState(installed=True, warm=True, layers={"seccomp": False})}, True),
    ],
)
def test_ready_means_warm_and_confined_as_demanded(settings, states, expected):
    """The static kind always; frameworks if they are installed and meant to be warm; walls unless waived."""
    assert ready(Settings(**settings), **states) is expected


def test_metrics_count_requests_by_route_and_jobs_by_state(client, send):
    """In Prometheus's text; no identifier becomes a label."""
    here = send(b"model").headers["Location"]
    client.get(here)
    response = client.get("/metrics")
    assert response.status_code == 200
    assert 'weighbridge_jobs{state="succeeded"} 1.0' in response.text
    assert 'route="/v1/analyses/<id:identifier>"' in response.text
    assert here not in response.text


def test_formats_are_what_the_readers_say(client):
    """All of them, in the order in which they are asked."""
    listed = FormatsSchema().load(client.get("/v1/formats").get_json())["items"]
    assert [item["id"] for item in listed] == [item.id for item in formats()]


def test_problems_load_through_their_schema(client):
    """With the members of the error itself."""
    assert ProblemSchema().load(client.get("/v1/nothing").get_json())["code"] == "not_found"
