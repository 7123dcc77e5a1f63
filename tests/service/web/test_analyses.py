"""The resource /v1/analyses, over a fake sandbox."""

from __future__ import annotations

import hashlib
import io
import json
import re

import pytest

from service import tree
from service.jobs.identifiers import new_id
from tests.fakes import wait_for


def test_a_raw_body_is_answered_with_the_finished_analysis(send):
    """201, where it is, and the report spliced in whole."""
    response = send(b"model one", path="/v1/analyses?wait=10&filename=dir/tiny.pt")
    assert response.status_code == 201
    body = response.get_json()
    assert response.headers["Location"] == body["links"]["self"] == f"/v1/analyses/{body['id']}"
    assert (body["state"], body["error"], body["cached"], body["name"]) == ("succeeded", None, False, "dir/tiny.pt")
    assert body["sha256"] == body["report"]["model"]["sha256"] == hashlib.sha256(b"model one").hexdigest()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["created_at"])
    assert body["links"]["report"] == f"{body['links']['self']}/report"
    assert body["report"]["layers"][0]["weights"][0]["shape"] == [2, 3]


def test_the_same_bytes_are_answered_from_the_store(send, sandbox):
    """A new analysis, marked cached, without another run."""
    first, second = send(b"model").get_json(), send(b"model").get_json()
    assert first["id"] != second["id"]
    assert (second["cached"], second["report"]) == (True, first["report"])
    assert len(sandbox.runs) == 1


def test_several_files_keep_their_relative_names(client, sandbox):
    """Each by its own hash; the names go to the reader as data."""
    files = [(io.BytesIO(b"model"), "m/variables/variables.index"), (io.BytesIO(b"x"), "m\\variables\\variables.data")]
    body = client.post("/v1/analyses", data={"file": files}).get_json()
    assert sandbox.runs == [("static", ("m/variables/variables.index", "m/variables/variables.data"))]
    assert (body["name"], body["bytes"], body["sha256"]) == ("m/variables", 6, None)
    assert [file["sha256"] for file in body["files"]] == [hashlib.sha256(data).hexdigest() for data in (b"model", b"x")]


@pytest.mark.parametrize(
    "content_type",
    ["application/octet-stream", "application/x-www-form-urlencoded", "text/plain", "application/zip", "", "nonsense"],
)
def test_any_other_type_is_a_raw_body(send, content_type):
    """What curl says when it is not told is not a reason to refuse."""
    assert send(b"model", content_type=content_type).status_code == 201


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('attachment; filename="a b.keras"', "a b.keras"),
        ("attachment; filename=plain.pt", "plain.pt"),
        ("attachment; filename*=UTF-8''%e6%a8%a1.pt", "模.pt"),
        ("nonsense;;;", "upload"),
    ],
)
def test_a_raw_body_s_name_comes_from_its_disposition(send, header, name):
    """Unless the query says another."""
    assert send(b"model", headers={"Content-Disposition": header}).get_json()["name"] == name


def test_a_json_body_is_a_spec(send, sandbox):
    """Stored as spec.json and read like any upload; what it asks for is built."""
    body = send(b"spec", content_type="application/json; charset=utf-8").get_json()
    assert body["name"] == "spec.json"
    assert [kind for kind, _ in sandbox.runs] == ["static", "keras"]
    assert body["report"]["provenance"]["method"] == "framework"


def test_waiting_for_no_time_is_accepted_with_where_to_look(send, client, sandbox):
    """202, Location, Retry-After; and the analysis can be waited for later."""
    response = send(b"hang", path="/v1/analyses?wait=0")
    assert response.status_code == 202
    assert response.headers["Retry-After"] == "1"
    assert response.get_json()["state"] in ("queued", "running")
    assert response.get_json()["report"] is None
    sandbox.release.set()
    assert client.get(f"{response.headers['Location']}?wait=10").get_json()["state"] == "succeeded"


@pytest.mark.parametrize("wait", ["-1", "61", "x", "nan", "inf", "1e9", ""])
def test_a_wait_that_cannot_be_is_refused_before_the_upload(send, nothing_left, wait):
    """400, with the parameter named."""
    response = send(b"model", path=f"/v1/analyses?wait={wait}")
    assert (response.status_code, response.get_json()["pointer"]) == (400, "wait")
    nothing_left()


@pytest.mark.parametrize(
    ("word", "status", "code"),
    [("bad", 422, "malformed_file"), ("unknown", 415, "unknown_format"), ("crash", 422, "worker_crashed")],
)
def test_a_failure_while_waiting_is_its_problem(send, client, word, status, code):
    """With where it broke, what to do, and the analysis that failed."""
    response = send(word.encode())
    problem = response.get_json()
    assert (response.status_code, response.content_type) == (status, "application/problem+json")
    assert (problem["code"], problem["status"]) == (code, status)
    here = problem["analysis"]["links"]["self"]
    assert response.headers["Location"] == problem["instance"] == here
    shown = client.get(here)
    assert shown.status_code == 200
    assert (shown.get_json()["state"], shown.get_json()["error"]["code"]) == ("failed", code)
    if code == "malformed_file":
        assert (problem["member"], problem["offset"]) == ("config.json", 17)
        assert "checksum" in problem["hint"]
    if code == "unknown_format":
        assert problem["looks_like"] == "a text file"
        assert problem["formats"]


def test_a_bug_of_ours_says_nothing_of_its_inside(send):
    """A 500 without a path, a traceback or a class."""
    response = send(b"break")
    assert response.status_code == 500
    assert response.get_json()["code"] == "internal_error"
    assert not re.search(r"secret|Traceback|RuntimeError|\.py", response.text)


@pytest.mark.parametrize(
    ("body", "looks"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 100, "PNG"),
        (b"<!DOCTYPE html><html>", "HTML"),
    ],
)
def test_what_can_be_no_model_is_refused_at_sight(send, client, nothing_left, sandbox, body, looks):
    """Raw or as the only file of a form: 415 with what it looks like; never stored, never read."""
    as_file = client.post("/v1/analyses", data={"file": (io.BytesIO(body), "model.keras")})
    for response in (send(body), as_file):
        assert response.status_code == 415
        assert looks in response.get_json()["looks_like"]
    nothing_left()
    assert sandbox.runs == []


def test_an_empty_upload_is_none(send, client, nothing_left):
    """No body, an empty file, a form without a file."""
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.pt"\r\n\r\n\r\n--b--\r\n'
    empty = client.post("/v1/analyses", data=part, content_type="multipart/form-data; boundary=b")
    unsent = client.post("/v1/analyses", data=b"--b--\r\n", content_type="multipart/form-data; boundary=b")
    for response in (send(b""), empty, unsent):
        assert (response.status_code, response.get_json()["code"]) == (400, "nothing_uploaded"), response.text
    nothing_left()


def test_a_field_that_is_not_known_is_refused_by_name(client, nothing_left):
    """There is no upload by address."""
    response = client.post("/v1/analyses", data={"model_url": "http://127.0.0.1/", "file": (io.BytesIO(b"model"), "a")})
    assert (response.status_code, response.get_json()["pointer"]) == (400, "model_url")
    nothing_left()


def test_two_files_of_one_name_are_refused(client, nothing_left):
    """After normalising."""
    files = [(io.BytesIO(b"model"), "a/b"), (io.BytesIO(b"x"), "./a//b")]
    response = client.post("/v1/analyses", data={"file": files})
    assert (response.status_code, response.get_json()["pointer"]) == (400, "file[1].filename")
    nothing_left()


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip", "x"])
def test_an_encoded_body_is_refused(send, nothing_left, encoding):
    """415: nothing is inflated here."""
    response = send(b"model", headers={"Content-Encoding": encoding})
    assert (response.status_code, response.get_json()["code"]) == (415, "unsupported_media_type")
    nothing_left()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=" + "b" * 300, b"x"),
        ("multipart/form-data; boundary=b", b"no boundary here"),
        ("multipart/form-data; boundary=b", b"--b\r\n"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nmodel'),
        ("multipart/form-data; boundary=b", b"--b\r\nX: y\r\n\r\nmodel\r\n--b--"),
        ("multipart/form-data; boundary=b", b"--b\r\n\xff\xfe: y\r\n\r\nmodel\r\n--b--"),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"X: y\r\n" * 100 + b"\r\nmodel\r\n--b--"),
        ("multipart/form-data; boundary=b", b"--b\r\nX: " + b"y" * 100_000 + b"\r\n\r\nmodel\r\n--b--"),
        ("multipart/mixed; boundary=b", b"--b--"),
    ],
)
def test_broken_forms_are_refused_and_leave_nothing(send, nothing_left, content_type, body):
    """400, 413 or 415; never a 500."""
    response = send(body, content_type=content_type)
    assert response.status_code in (400, 413, 415)
    assert response.content_type == "application/problem+json"
    nothing_left()


def test_deleting_takes_everything_away(send, client, nothing_left):
    """204, then 404 for the analysis and its report."""
    here = send(b"model").headers["Location"]
    assert client.delete(here).status_code == 204
    for response in (client.get(here), client.get(f"{here}/report"), client.delete(here)):
        assert (response.status_code, response.get_json()["code"]) == (404, "not_found")
    nothing_left()


def test_deleting_a_running_analysis_kills_it(send, client, sandbox, nothing_left):
    """The child is told to stop, the upload is gone, and the analysis says so until it is deleted too."""
    here = send(b"hang", path="/v1/analyses?wait=0").headers["Location"]
    wait_for(lambda: sandbox.runs)
    assert client.delete(here).status_code == 204
    wait_for(lambda: sandbox.cancelled)
    nothing_left()
    shown = client.get(here).get_json()
    assert (shown["state"], shown["report"], shown["finished_at"] is None) == ("cancelled", None, False)
    assert client.get(f"{here}/report").get_json()["code"] == "not_finished"
    assert client.delete(here).status_code == 204
    assert client.get(here).status_code == 404


def test_the_listing_is_paged_newest_first(send, client):
    """Following the links meets each once."""
    made = [send(f"model {number}".encode()).get_json()["id"] for number in range(5)]
    seen, address = [], "/v1/analyses?limit=2"
    while address:
        page = client.get(address).get_json()
        assert len(page["items"]) <= 2
        assert all(item["report"] is None for item in page["items"])
        seen += [item["id"] for item in page["items"]]
        address = page["links"]["next"]
    assert seen == made[::-1]


def test_the_listing_is_filtered(send, client):
    """By state, format, name and SHA-256, and the link to the next page keeps the filter."""
    one = send(b"model 1", path="/v1/analyses?filename=one").get_json()
    send(b"bad")
    for query in (
        "state=succeeded",
        "format=fake",
        "name=one",
        f"sha256={one['sha256']}",
        f"sha256={one['sha256'].upper()}",
    ):
        assert [item["id"] for item in client.get(f"/v1/analyses?{query}").get_json()["items"]] == [one["id"]], query
    send(b"model 2")
    following = client.get("/v1/analyses?state=succeeded&limit=1").get_json()["links"]["next"]
    assert [item["id"] for item in client.get(following).get_json()["items"]] == [one["id"]]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "state=done",
        "cursor=1",
        "sha256=abc",
        "unknown=1",
        "cursor=' OR 1=1",
        "format=" + "x" * 200,
    ],
)
def test_a_listing_s_parameters_are_checked(client, query):
    """400, with the parameter named."""
    response = client.get(f"/v1/analyses?{query}")
    assert (response.status_code, response.get_json()["pointer"]) == (400, query.split("=")[0])


@pytest.mark.parametrize(
    "identifier",
    [
        "x",
        "..%2f..%2fetc%2fpasswd",
        "0" * 36,
        "%00",
        "%ff",
        "../../etc/passwd",
        "01a1fc66-bc3c-70cd-976b-f03c599b3780%0a",
    ],
)
def test_ids_that_can_be_none_are_not_found(client, identifier):
    """The same 404 as for one that does not exist."""
    for response in (client.get(f"/v1/analyses/{identifier}"), client.delete(f"/v1/analyses/{identifier}")):
        assert response.status_code in (404, 405)
        assert response.content_type == "application/problem+json"
    assert client.get(f"/v1/analyses/{new_id()}").status_code == 404


def test_a_large_file_s_sha256_comes_after_the_answer(send, client, monkeypatch):
    """The first answer does not wait for it; the stored report gets it."""
    monkeypatch.setattr("service.jobs.blobs.FOLLOW_UP_TO", 0)
    content = b"model " + bytes(3 << 20)
    here = send(content).headers["Location"]
    expected = hashlib.sha256(content).hexdigest()
    wait_for(lambda: client.get(here).get_json()["report"]["model"]["sha256"] == expected)
    assert client.get(f"/v1/analyses?sha256={expected}").get_json()["items"]


def test_the_report_is_spliced_as_the_bytes_that_are_stored(send, client):
    """The document holds exactly what the report resource gives."""
    response = send(b"model")
    stored = client.get(f"{response.headers['Location']}/report").data
    assert b'"report":' + stored in response.data
    assert json.loads(stored)["schema_version"] == tree.SCHEMA_VERSION
