"""The service as a client meets it."""

from __future__ import annotations

import hashlib
import json
import threading

import pytest

from schemas.analysis import AnalysisSchema
from schemas.health import ReadySchema
from tests.fakes import wait_for

RAW = {"Content-Type": "application/octet-stream"}


def test_it_is_ready_and_confined_when_it_says_so(service):
    """The static worker is warm, every layer of the wall stands, every probe was stopped."""
    response = service.ask("GET", "/readyz")
    assert response.status == 200
    static = ReadySchema().load(response.json())["workers"]["static"]
    assert static["confined"]
    assert all(static["layers"].values())
    assert all(static["selftest"].values())


def test_everything_it_writes_is_for_its_user_alone(service):
    """The data folder is closed to all others."""
    assert service.data_dir.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("how", ["raw", "chunked", "form"])
def test_a_model_file_is_analysed_however_it_comes(service, model, how):
    """With its report, whose numbers are those of the file."""
    units = {"raw": 5, "chunked": 6, "form": 7}[how]
    content = model(units)
    if how == "form":
        response = service.ask("POST", "/v1/analyses?wait=60", fields={"file": ("dir/m.weights.h5", content)})
    else:
        body = content if how == "raw" else (content[at : at + 1000] for at in range(0, len(content), 1000))
        response = service.ask("POST", "/v1/analyses?wait=60&filename=dir/m.weights.h5", body=body, headers=RAW)
    assert response.status == 201, response.data
    found = AnalysisSchema().load(response.json())
    assert found["sha256"] == hashlib.sha256(content).hexdigest()
    assert found["name"] == "dir/m.weights.h5"
    assert found["report"]["totals"]["parameters"] == 5 * units
    assert found["report"]["provenance"]["confinement"]["confined"]


def test_the_same_bytes_come_from_the_store(service, model):
    """The second time it is not read again."""
    first, second = (service.ask("POST", "/v1/analyses", body=model(8), headers=RAW).json() for _ in range(2))
    assert second["cached"]
    assert second["report"] == first["report"]


@pytest.mark.parametrize("accept", ["application/json", "text/plain", "text/csv", "text/markdown"])
def test_the_report_comes_in_four_forms(service, model, accept):
    """Each names the layer."""
    here = service.ask("POST", "/v1/analyses", body=model(9), headers=RAW).json()["links"]["report"]
    response = service.ask("GET", here, headers={"Accept": accept})
    assert response.status == 200
    assert response.headers["Content-Type"].startswith(accept)
    assert b"dense" in response.data


def test_what_is_no_model_is_said_so(service):
    """415, with what it looks like and what is read."""
    response = service.ask("POST", "/v1/analyses", body=b"just some text\n" * 20, headers=RAW)
    assert (response.status, response.headers["Content-Type"]) == (415, "application/problem+json")
    assert response.json()["looks_like"] == "a text file"
    assert response.json()["formats"]


def test_a_truncated_model_is_a_problem_of_the_file(service, model):
    """422 with the analysis that failed, and never a 500."""
    content = model(10)
    for length in (100, len(content) // 2, len(content) - 1):
        response = service.ask("POST", "/v1/analyses", body=content[:length], headers=RAW)
        assert response.status in (415, 422), response.data
        assert response.json()["analysis"]["state"] == "failed"


def test_many_at_once_are_all_answered(service, model):
    """Thirty-two clients, different and equal content, no refusal, though one web worker with 24 slots may get all."""
    statuses = []
    contents = [model(20 + number) for number in range(8)]

    def post(number):
        response = service.ask("POST", "/v1/analyses?wait=60", body=contents[number % 8], headers=RAW)
        statuses.append((response.status, response.json()["report"]["totals"]["parameters"] == 5 * (20 + number % 8)))

    threads = [threading.Thread(target=post, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [(201, True)] * 32


def test_deleting_removes_the_upload(service, model):
    """The content is gone from disk."""
    found = service.ask("POST", "/v1/analyses", body=model(11), headers=RAW).json()
    stored = service.data_dir / "blobs" / found["blake3"][:2] / found["blake3"]
    assert stored.exists()
    assert service.ask("DELETE", found["links"]["self"]).status == 204
    assert not stored.exists()
    assert service.ask("GET", found["links"]["self"]).status == 404


def test_metrics_add_up_over_all_processes(service):
    """Requests that any worker answered are counted."""

    def counted():
        text = service.ask("GET", "/metrics").data.decode()
        lines = [
            line
            for line in text.splitlines()
            if line.startswith('weighbridge_requests_total{method="GET",route="/healthz"')
        ]
        return sum(float(line.split()[-1]) for line in lines)

    before = counted()
    for _ in range(20):
        service.pool.urlopen("GET", "/healthz", headers={"Connection": "close"})
    assert counted() == before + 20


def test_every_line_of_its_log_is_json_and_holds_nothing_of_an_upload(service):
    """Requests and analyses by id; no names, no content."""
    service.ask(
        "POST", "/v1/analyses?filename=secret-name", body=b"secret-content", headers=RAW | {"X-Request-Id": "mine-1"}
    )
    wait_for(lambda: any("mine-1" in line for line in service.output))
    lines = [line for line in service.output if not line.startswith("Weighbridge is ready")]
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert not any("secret" in line for line in lines)


def test_the_page_and_the_description_are_served(service):
    """Without the internet."""
    assert service.ask("GET", "/openapi.json").json()["openapi"].startswith("3.1")
    assert b"swagger-ui" in service.ask("GET", "/docs").data
    assert len(service.ask("GET", "/docs/assets/swagger-ui-bundle.js").data) > 100_000


HEAD = (
    b"POST /v1/analyses?wait=30 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n"
)


def test_a_client_that_waits_to_be_asked_is_asked_once(service, model):
    """When its body is wanted; then it is answered as any other."""
    body = model(77)
    connection = service.raw(HEAD % len(body))
    reader = connection.makefile("rb")
    assert [reader.readline(), reader.readline()] == [b"HTTP/1.1 100 Continue\r\n", b"\r\n"]
    connection.sendall(body)
    assert reader.readline().split()[1] == b"201"
