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
    assert (workers["static"]["confined"], workers["torch"]["confined"]) == (True, None)


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


def broken(client, name, *also):
    """What /readyz says of one thing that is not well; all others are, but for those that need it `also`."""
    response = client.get("/readyz")
    problem = response.get_json()
    assert (response.status_code, problem["code"] in ("service_error", "worker_unavailable")) == (503, True)
    assert "Retry-After" in response.headers
    kept = problem["keeping"]
    assert [known for known, check in kept.items() if not check["ok"]] == [name, *also]
    assert problem["detail"] == kept[name]["problem"]
    assert kept[name]["needs"]
    return kept[name]["problem"]


def test_ready_tells_that_what_is_sent_can_be_kept(client):
    """Database, disk, folder of uploads and sweeping, each well."""
    kept = ReadySchema().load(client.get("/readyz").get_json())["keeping"]
    assert set(kept) == {"database", "disk", "spool", "retention"}
    assert all(check == {"ok": True, "problem": None, "needs": None} for check in kept.values())


def test_a_disk_without_room_is_not_ready(client, parts, monkeypatch):
    """With the figures; and ready again once there is room."""
    monkeypatch.setattr(parts.blobs, "free_bytes", lambda: -1)
    assert "-1 bytes are free" in broken(client, "disk")
    monkeypatch.undo()
    assert client.get("/readyz").status_code == 200


def test_a_folder_that_cannot_be_written_is_not_ready(client, parts):
    """What the system says of it; a sweep makes it anew if that is all it takes."""
    parts.blobs.temporary.rmdir()
    assert "No such file" in broken(client, "spool")
    parts.storage.sweep()
    assert client.get("/readyz").status_code == 200


def test_a_database_that_is_away_is_not_ready(client, parts):
    """Its file was taken away under the service: that needs a person. Nothing is accepted meanwhile."""
    parts.database.file.rename(parts.database.file.with_suffix(".old"))
    assert "replaced or removed" in broken(client, "database", "retention")
    refused = client.post("/v1/analyses", data=b"model", content_type="application/octet-stream")
    assert (refused.status_code, refused.get_json()["code"]) == (503, "service_error")
    assert not parts.database.file.exists()


def test_a_damaged_database_is_not_ready_and_takes_nothing(client, parts, send):
    """Once anybody has met the damage: uploads are refused with that."""
    parts.database._note_damage("a page")
    assert "damaged" in broken(client, "database")
    response = send(b"model")
    assert (response.status_code, response.get_json()["code"]) == (503, "database_damaged")


def test_sweeping_that_has_stopped_is_not_ready(client, parts):
    """Uploads would fill the disk, and be kept for longer than was promised."""
    with parts.database.writing() as connection:
        connection.exec_driver_sql("UPDATE ages SET age = age - 1000")
    assert "1,000 seconds ago" in broken(client, "retention")
    parts.storage.sweep()
    assert client.get("/readyz").status_code == 200


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
