"""Idempotency-Key: the same request gives the same job, to the one who made it, for a time."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import update

from service.errors import ErrorInfo, IdempotencyKeyReused
from service.jobs import ages, catalogue, idempotency, queue, uploads
from service.jobs.idempotency import Once
from service.jobs.records import Options
from service.jobs.tables import analyses, idempotency_keys
from service.language import msg

ONCE = Once(name="k", seconds=100.0)


def test_the_same_key_and_content_give_the_same_job(database, add):
    """Marked as repeated, whatever its state; another content makes no second one, but an error that names it."""
    first = add(once=ONCE)
    assert not first.repeated
    again = add(once=ONCE)
    assert (again.id, again.repeated) == (first.id, True)
    with pytest.raises(IdempotencyKeyReused) as caught:
        add(b"other", once=ONCE)
    assert (caught.value.info.pointer, caught.value.info.extra) == ("Idempotency-Key", {"earlier": first.id})
    with pytest.raises(IdempotencyKeyReused):
        add(once=ONCE, options=Options(stats=True))
    with pytest.raises(IdempotencyKeyReused):
        add(name="b.pt", once=ONCE)
    assert catalogue.count_by_state(database) == {"queued": 1}


def test_a_repeated_request_stores_nothing_twice(blobs, add):
    """Its upload takes the place of the equal one."""
    add(once=ONCE)
    add(once=ONCE)
    assert len(list(blobs.stored())) == 1
    assert not list(blobs.temporary.iterdir())


def test_a_repeated_request_brings_an_upload_back_that_is_gone(database, blobs, add):
    """Who is told to send it again need not know that a key was remembered for longer; it is kept as if it were new."""
    first = add(once=ONCE, owner="me")
    queue.succeed(database, "me", first, [b"{}"], {})
    with database.writing() as connection:
        _, gone = uploads.expire(connection, blobs, used_before=ages.now(connection) + 1.0)
        assert len(gone) == 1
    again = add(once=ONCE)
    assert (again.id, again.state) == (first.id, "succeeded")
    with database.reading() as connection:
        assert uploads.known(connection) == {first.parts[0].blake3} == set(blobs.stored())


def test_a_repeated_request_for_what_was_called_off_stores_nothing(database, blobs, add):
    """Its upload went when it was deleted."""
    first = add(once=ONCE)
    catalogue.remove(database, blobs, first.id)
    again = add(once=ONCE)
    assert (again.id, again.state) == (first.id, "cancelled")
    assert list(blobs.stored()) == []


def test_of_many_at_once_one_makes_the_job(database, add):
    """Fifty threads with one key."""
    got = []
    threads = [threading.Thread(target=lambda: got.append(add(once=ONCE))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job.id for job in got}) == 1
    assert [job.repeated for job in got].count(False) == 1
    assert catalogue.count_by_state(database) == {"queued": 1}


def test_keys_of_different_accounts_have_nothing_to_do_with_each_other(add):
    """Nobody learns by a key what another has sent."""
    first, second = add(once=ONCE, account="a"), add(once=ONCE, account="b")
    assert first.id != second.id
    assert add(b"other", once=Once(name="l", seconds=1.0), account="a").id != first.id


def test_a_key_is_remembered_for_its_time(database, add):
    """After that it may be used for something else."""
    first = add(once=ONCE)
    with database.writing() as connection:
        connection.execute(update(idempotency_keys).values(kept_from=idempotency_keys.c.kept_from - 101.0))
    other = add(b"other", once=ONCE)
    assert other.id != first.id
    assert add(b"other", once=ONCE).id == other.id
    with database.writing() as connection:
        assert idempotency.expire(connection, 100.0) == 0
        assert idempotency.expire(connection, -1.0) == 1


def test_a_key_goes_with_its_job(database, blobs, add):
    """What was deleted is not brought back by a request that comes late; it makes a new one."""
    first = add(once=ONCE, owner="me")
    queue.succeed(database, "me", first, [b"{}"], {})
    catalogue.remove(database, blobs, first.id)
    assert add(once=ONCE).id != first.id


@pytest.mark.parametrize(("code", "again"), [("malformed_file", False), ("worker_unavailable", True)])
def test_a_failure_is_told_again_unless_it_was_ours(database, add, code, again):
    """What is broken stays so; but a retry after a fault of the service is what the key is for."""
    first = add(once=ONCE, owner="me")
    queue.fail(database, "me", first, ErrorInfo(code=code, detail=msg("Broken.")))
    second = add(once=ONCE)
    assert (second.id != first.id) == again
    assert add(once=ONCE).id == second.id


def test_what_is_asked_is_hashed_apart(database, add):
    """Lists that run together are not the same; the key is found by the account's own row only."""
    assert idempotency.content(["a", "b"], ["c"]) != idempotency.content(["a"], ["b", "c"])
    add(once=ONCE)
    with database.reading() as connection:
        assert connection.execute(analyses.select()).mappings().one()["account"] == ""
