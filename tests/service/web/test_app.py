"""What is true of every answer."""

from __future__ import annotations

import errno
import json
import os
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.jobs.identifiers import is_id
from service.web import logs


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1", 404, "not_found"),
        ("PUT", "/v1/analyses", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("BREW", "/v1/analyses", 405, "method_not_allowed"),
        ("GET", "/v1/analyses?limit=x", 400, "bad_request"),
    ],
)
def test_every_error_is_a_problem(client, method, path, status, code):
    """With the required members, the request's id and the headers of every answer."""
    response = client.open(path, method=method)
    problem = response.get_json()
    assert (response.status_code, response.content_type) == (status, "application/problem+json")
    assert {"type", "title", "status", "detail", "code", "request_id", "instance"} <= problem.keys()
    assert (problem["code"], problem["status"]) == (code, status)
    assert response.headers["X-Request-Id"] == problem["request_id"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    if status == 405:
        assert response.headers["Allow"]


def test_a_bug_is_a_problem_without_its_inside(client, parts, monkeypatch):
    """500, with an id to look for in the log."""

    def broken(*_, **__):
        raise RuntimeError("/secret/path")

    monkeypatch.setattr("service.jobs.catalogue.page", broken)
    response = client.get("/v1/analyses")
    assert (response.status_code, response.get_json()["code"]) == (500, "internal_error")
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [(errno.EMFILE, 503, "service_error"), (errno.EROFS, 503, "service_error"), (errno.EIO, 503, "service_error"),
     (errno.ENOMEM, 503, "service_error"), (errno.EDQUOT, 507, "storage_full"), (errno.ENOTDIR, 500, "internal_error")],
)  # fmt: skip
def test_what_the_system_refuses_may_pass(client, monkeypatch, number, status, code):
    """Descriptors, memory, room, a disk that takes no change: try again later. Anything else is a bug."""

    def refused(*_, **__):
        raise OSError(number, os.strerror(number), "/secret/path")

    monkeypatch.setattr("service.jobs.catalogue.page", refused)
    response = client.get("/v1/analyses")
    assert (response.status_code, response.get_json()["code"]) == (status, code)
    assert ("Retry-After" in response.headers) is (status != 500)
    assert "secret" not in response.text


@pytest.mark.parametrize("offered", ["abc-123", "A" * 128, "a.b:c_d"])
def test_a_sane_request_id_is_kept(client, offered):
    """In the answer, and in the log."""
    assert client.get("/healthz", headers={"X-Request-Id": offered}).headers["X-Request-Id"] == offered


@pytest.mark.parametrize("offered", [None, "", "a b", "x" * 129, '"', "<script>", "\u00e4"])
def test_any_other_request_id_is_replaced(client, offered):
    """By one of ours."""
    headers = {} if offered is None else {"X-Request-Id": offered}
    assert is_id(client.get("/healthz", headers=headers).headers["X-Request-Id"])


def test_options_and_head_are_answered(client):
    """OPTIONS says what is allowed; HEAD has no body."""
    assert set(client.options("/v1/analyses").headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    response = client.head("/v1/formats")
    assert (response.status_code, response.data) == (200, b"")


def test_log_lines_are_json_with_the_request_s_id_and_nothing_of_the_upload(client, send, capsys):
    """Neither a name nor content, whatever is in them."""
    logs.configure("INFO")
    send(b"bad secret-content", path="/v1/analyses?filename=secret-name", headers={"X-Request-Id": "my-id"})
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {line["event"] for line in lines} == {"analysis", "request"}
    assert all(line["request_id"] == "my-id" for line in lines)
    assert "secret" not in json.dumps(lines)


HEADERS = st.dictionaries(
    st.sampled_from(
        ["Content-Type", "Content-Disposition", "Accept", "X-Request-Id", "Content-Encoding", "If-None-Match", "Range"]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60),
    max_size=4,
)
PATHS = st.one_of(
    st.sampled_from(["/v1/analyses", "/v1/formats", "/readyz", "/docs", "/openapi.json"]),
    st.text(max_size=40).map(lambda text: "/v1/analyses/" + quote(text, errors="replace")),
)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH"]), PATHS, HEADERS,
    st.dictionaries(st.sampled_from(["wait", "filename", "format", "limit", "x"]), st.text(max_size=20), max_size=3),
    st.binary(max_size=300),
)  # fmt: skip
def test_nothing_a_client_sends_is_a_500(client, method, path, headers, query, body):
    """Any method, path, headers, parameters and body: an answer below 500, errors as problems."""
    query.setdefault("wait", "0")
    response = client.open(path, method=method, headers=headers, query_string=query, data=b"model " + body)
    assert response.status_code < 500
    if response.status_code >= 400:
        assert response.content_type == "application/problem+json"
