"""Idempotency-Key: a request that is sent again gives the job that the first one made. Knows one table, no HTTP.

A key belongs to an account, and to what was asked with it. It is looked for and written down in the transaction that
accepts the job: of fifty equal requests at once, one makes it and the others get it. It goes with its job.
"""

from __future__ import annotations

from typing import Any

import msgspec
from blake3 import blake3
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from service.errors import IdempotencyKeyReused
from service.jobs import ages
from service.jobs.tables import idempotency_keys as keys
from service.language import msg

HEADER = "Idempotency-Key"


class Once(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it was sent, and for how many seconds it is remembered."""

    name: str
    seconds: float


def content(*facts: Any) -> str:
    """A hash of what is asked: equal requests are those with equal facts."""
    return blake3(msgspec.json.encode(facts)).hexdigest()


def find(connection: Connection, account: str, once: Once, content: str) -> str | None:
    """The id of the job that this account made with this key; None if there is none, or it is too long ago.

    Raises:
        IdempotencyKeyReused: It made another job than is asked now.
    """
    query = select(keys).where(keys.c.account == account, keys.c.name == once.name)
    row = connection.execute(query).mappings().first()
    if row is None or row["kept_from"] < ages.now(connection) - once.seconds:
        return None
    if row["content"] != content:
        raise IdempotencyKeyReused(
            msg("This Idempotency-Key belongs to an earlier request with another content."),
            pointer=HEADER,
            earlier=row["job_id"],
        )
    return str(row["job_id"])


def remember(connection: Connection, account: str, once: Once, content: str, job_id: str) -> None:
    """Write down that this key made this job; one that is there already made another, which counts no longer."""
    facts = {"content": content, "job_id": job_id, "kept_from": ages.now(connection)}
    statement = insert(keys).values(account=account, name=once.name, **facts)
    connection.execute(statement.on_conflict_do_update(["account", "name"], set_=facts))


def expire(connection: Connection, seconds: float) -> int:
    """Forget keys that are older; how many."""
    old = keys.c.kept_from < ages.now(connection) - seconds
    return connection.execute(delete(keys).where(old)).rowcount
