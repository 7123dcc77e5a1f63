"""A request that is sent again, as clients send them: the Idempotency-Key and what it may be."""

from __future__ import annotations

import io

import pytest

from service.jobs import catalogue

HERE = "/v1/analyses?wait=10"
KEY = {"Idempotency-Key": '"8e03978e-40d5-43e8-bc93-6894a57f9324"'}


def form(client, path, headers, **files):
    data = {name: (io.BytesIO(content), f"{name}.bin") for name, content in files.items()}
    return client.post(path, data=data, headers=headers, content_type="multipart/form-data")


@pytest.mark.parametrize("path", [HERE, "/v1/analyses?wait=0"])
def test_the_same_request_again_is_answered_with_the_same_analysis(client, send, parts, path):
    """Finished or not, and however it waits; nothing is made twice."""
    first = send(b"model", path, headers=KEY)
    again = send(b"model", HERE, headers=KEY)
    assert (again.status_code, again.headers["Location"]) == (201, first.headers["Location"])
    assert sum(catalogue.count_by_state(parts.database).values()) == 1


def test_a_failed_one_is_told_again(send, sandbox):
    """The problem of the analysis that failed, without another try."""
    first, again = (send(b"bad", headers=KEY) for _ in range(2))
    assert (first.status_code, again.status_code) == (422, 422)
    assert first.get_json()["analysis"]["id"] == again.get_json()["analysis"]["id"]
    assert len(sandbox.runs) == 1


def test_a_key_for_something_else_is_refused(client, send, parts):
    """422 with a stable code, naming the header and the job the key belongs to; nothing is kept of it."""
    first = send(b"model", headers=KEY)
    for response in (
        send(b"model 2", headers=KEY),
        send(b"model", f"{HERE}&stats=true", headers=KEY),
        send(b"model", f"{HERE}&filename=other.bin", headers=KEY),
        form(client, "/v1/comparisons", KEY, left=b"model", right=b"model 2"),
    ):
        problem = response.get_json()
        assert (response.status_code, problem["code"]) == (422, "idempotency_key_reused")
        assert (problem["pointer"], problem["earlier"]) == ("Idempotency-Key", first.get_json()["id"])
    assert len(list(parts.blobs.stored())) == 1


def test_a_comparison_is_made_once_with_its_sides(client, parts):
    """Of two uploads sent again neither side is analysed again; by id too."""
    path = "/v1/comparisons?wait=10"
    first, again = (form(client, path, KEY, left=b"model 1", right=b"model 2") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.get_json()["links"] == again.get_json()["links"]
    assert catalogue.count_by_state(parts.database) == {"succeeded": 3}
    sides = [first.get_json()["links"][side].rpartition("/")[2] for side in ("left", "right")]
    named = {"left": sides[0], "right": sides[1]}
    key = {"Idempotency-Key": '"by id"'}
    by_id = [client.post(path, json=named, headers=key).get_json()["id"] for _ in range(2)]
    assert by_id[0] == by_id[1]
    other = client.post(path, json={"left": sides[1], "right": sides[0]}, headers=key)
    assert other.get_json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("sent", ['"a b"', '"' + "x" * 255 + '"', "plain-Key_0.1~", '\t"a" '])
def test_what_may_be_a_key(send, sent):
    """A string in quotes, as the draft has it; one without, as many send it."""
    assert send(b"model", headers={"Idempotency-Key": sent}).status_code == 201


@pytest.mark.parametrize("sent", ["", '""', '"', '"a', "a b", "a,b", '"a";x=1', '"' + "x" * 256 + '"', '"\xe9"'])
def test_what_may_not_be_a_key(send, parts, sent):
    """400 that names the header, before anything is kept."""
    response = send(b"model", headers={"Idempotency-Key": sent})
    assert (response.status_code, response.get_json()["pointer"]) == (400, "Idempotency-Key")
    assert list(parts.blobs.stored()) == []


def test_without_a_key_each_request_is_its_own(send):
    """The answer comes from store, as another analysis."""
    first, second = (send(b"model").get_json() for _ in range(2))
    assert (first["id"] != second["id"], second["cached"]) == (True, True)
