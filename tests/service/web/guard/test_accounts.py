"""Two accounts: nothing of the one for the other, and all of both for an administrator."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import update

from service.jobs.tables import uploads
from tests.fakes import wait_for
from tests.service.web.guard.asking import COMPARISONS, HERE, addresses, compared, raw


def test_another_s_analysis_is_not_there(client, parts, ann, bob):
    """404 on every route with an id, word for word as for one that never was; and it is as it was."""
    theirs = raw(client, ann).get_json()["id"]
    mine = raw(client, bob, b"model 2").get_json()["id"]
    comparison = compared(client, ann, theirs, theirs).get_json()["id"]
    none = "01a1fe4e-0024-7aff-ab23-a6011f840764"
    with_id = [(method, path) for method, path, _ in addresses(parts) if "{id}" in path]
    assert len(with_id) > 8
    for method, path in with_id:
        for query in ("", "?stats=true") if method == "GET" and "comparisons" not in path else ("",):
            other = theirs if HERE in path else comparison
            found, absent = (
                client.open(path.replace("{id}", which) + query, method=method, headers=bob) for which in (other, none)
            )
            assert found.status_code == absent.status_code == 404, (method, path)
            assert _without_ids(found, other) == _without_ids(absent, none)
    for left, right, side in ((theirs, mine, "left"), (mine, theirs, "right")):
        refused = compared(client, bob, left, right)
        assert (refused.status_code, refused.get_json()["pointer"]) == (404, side)
    assert client.get(f"{HERE}/{theirs}", headers=ann).get_json()["state"] == "succeeded"
    assert client.get(f"{COMPARISONS}/{comparison}", headers=ann).get_json()["state"] == "succeeded"


def _without_ids(response, identifier):
    told = json.loads(response.text or "{}")
    told.pop("request_id", None)
    return json.dumps(told).replace(identifier, "{id}")


@pytest.mark.parametrize("query", ["", "?name=same.pt", "?state=succeeded", "?format=fake", "?limit=200"])
def test_a_list_holds_nothing_of_another(client, ann, bob, query):
    """Whatever it is asked for."""
    for headers in (ann, ann, bob):
        raw(client, headers, path=f"{HERE}?wait=10&filename=same.pt")
    assert [len(client.get(HERE + query, headers=headers).get_json()["items"]) for headers in (ann, bob)] == [2, 1]


def test_a_list_by_hash_or_from_a_cursor_of_another_holds_nothing_of_them(client, ann, bob):
    """A hash is no way to ask whether somebody has sent a file."""
    theirs = raw(client, ann).get_json()
    raw(client, bob, b"model 2")
    assert client.get(f"{HERE}?sha256={theirs['sha256']}", headers=bob).get_json()["items"] == []
    assert client.get(f"{HERE}?cursor={theirs['id']}", headers=bob).get_json()["items"] == []


def test_the_same_file_from_two_accounts_is_read_twice(client, sandbox, ann, bob, key):
    """Neither `cached` nor speed tells one that another has sent it; two keys of one account share."""
    first, second = raw(client, ann).get_json(), raw(client, bob).get_json()
    assert [first["cached"], second["cached"]] == [False, False]
    assert len(sandbox.runs) == 2
    assert raw(client, key("ann")).get_json()["cached"]
    assert len(sandbox.runs) == 2


def test_a_file_that_two_accounts_sent_stays_while_one_needs_it(client, parts, ann, bob):
    """Deleting mine does not take theirs away."""
    mine, theirs = (raw(client, headers).get_json()["id"] for headers in (ann, bob))
    assert len(list(parts.blobs.stored())) == 1
    assert client.delete(f"{HERE}/{mine}", headers=ann).status_code == 204
    assert client.get(f"{HERE}/{theirs}?stats=true&wait=10", headers=bob).get_json()["report"]
    assert client.delete(f"{HERE}/{theirs}", headers=bob).status_code == 204


def test_a_file_that_another_keeps_is_gone_for_me_when_my_time_is_up(client, parts, ann, bob):
    """Else it would tell that somebody else has sent the same; for the other it is there."""
    mine, theirs = (raw(client, headers).get_json()["id"] for headers in (ann, bob))
    with parts.database.writing() as connection:
        old = update(uploads).where(uploads.c.account == "ann").values(used_at=uploads.c.used_at - 7200.0)
        connection.execute(old)
    parts.storage.sweep()
    assert len(list(parts.blobs.stored())) == 1
    gone = client.get(f"{HERE}/{mine}?stats=true&wait=10", headers=ann)
    assert (gone.status_code, gone.get_json()["code"]) == (409, "upload_gone")
    assert client.get(f"{HERE}/{theirs}?stats=true&wait=10", headers=bob).status_code == 200
    raw(client, ann)
    assert client.get(f"{HERE}/{mine}?stats=true&wait=10", headers=ann).status_code == 200


def test_a_file_that_nobody_keeps_any_longer_goes(client, parts, ann, bob):
    """Once the last account's time is up."""
    for headers in (ann, bob):
        raw(client, headers)
    with parts.database.writing() as connection:
        connection.execute(update(uploads).values(used_at=uploads.c.used_at - 7200.0))
    assert parts.storage.sweep().uploads == 1
    assert not list(parts.blobs.stored())


def test_statistics_and_comparisons_belong_to_who_has_the_analysis(client, ann, bob):
    """Also those made later, and whose answer is stored already."""
    ids = [raw(client, headers).get_json()["id"] for headers in (ann, bob)]
    made = [compared(client, headers, mine, mine).get_json() for headers, mine in zip((ann, bob), ids, strict=True)]
    assert [each["cached"] for each in made] == [False, False]
    assert [each["account"] for each in made] == ["ann", "bob"]
    for headers, mine in zip((ann, bob), ids, strict=True):
        found = client.get(f"{HERE}/{mine}?stats=true&wait=10", headers=headers).get_json()
        assert (found["account"], found["state"], found["cached"]) == (
            client.get(f"{HERE}/{mine}", headers=headers).get_json()["account"], "succeeded", False,
        )  # fmt: skip


def test_an_administrator_sees_and_deletes_everybody_s(client, key, ann, bob):
    """With whose it is; and may compare across."""
    first, second = raw(client, ann).get_json()["id"], raw(client, bob, b"model 2").get_json()["id"]
    admin = key("root", "admin")
    assert [item["account"] for item in client.get(HERE, headers=admin).get_json()["items"]] == ["bob", "ann"]
    assert compared(client, admin, first, second).status_code == 201
    assert client.delete(f"{HERE}/{first}", headers=admin).status_code == 204
    assert client.get(f"{HERE}/{first}", headers=ann).status_code == 404


def test_what_was_made_without_keys_is_for_administrators_only(client, parts, key, ann):
    """Where keys are asked for later on."""
    parts.gate.required = False
    old = raw(client, {}).get_json()
    assert old["account"] is None
    parts.gate.required = True
    assert client.get(f"{HERE}/{old['id']}", headers=ann).status_code == 404
    assert client.get(f"{HERE}/{old['id']}", headers=key("root", "admin")).status_code == 200


def test_an_entity_tag_does_not_open_what_is_not_mine(client, ann, bob):
    """If-None-Match is looked at after who asks."""
    made = raw(client, ann).get_json()["id"]
    tag = client.get(f"{HERE}/{made}/report", headers=ann).headers["ETag"]
    assert client.get(f"{HERE}/{made}/report", headers=ann | {"If-None-Match": tag}).status_code == 304
    for sent in (tag, "*"):
        assert client.get(f"{HERE}/{made}/report", headers=bob | {"If-None-Match": sent}).status_code == 404
        assert client.get(f"{HERE}/{made}/report", headers={"If-None-Match": sent}).status_code == 401


def test_an_idempotency_key_is_that_of_its_account(client, ann, bob):
    """The same key of another is another."""
    once = {"Idempotency-Key": '"1"'}
    first, second = (raw(client, headers | once).get_json() for headers in (ann, bob))
    assert first["id"] != second["id"]
    assert raw(client, ann | once).get_json()["id"] == first["id"]


def test_another_s_running_job_can_be_neither_seen_nor_stopped(client, sandbox, ann, bob):
    """By its id."""
    running = raw(client, ann, b"hang", path=f"{HERE}?wait=0").get_json()["id"]
    wait_for(lambda: sandbox.runs)
    assert client.delete(f"{HERE}/{running}", headers=bob).status_code == 404
    assert sandbox.cancelled == 0
    sandbox.release.set()
    assert client.get(f"{HERE}/{running}?wait=10", headers=ann).get_json()["state"] == "succeeded"
