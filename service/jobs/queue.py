"""A job's life in the table: claimed under a lease, renewed, finished once, retried, taken again after a crash.

Several processes share the table. A lease is a time on this machine's monotonic clock, which no one can set back; one
that lies further ahead than any lease can reach is from before a reboot, and counts as expired.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, exists, insert, or_, select, update

from service.errors import ErrorInfo, WorkerCrashed
from service.jobs.catalogue import LEASE_SECONDS, find, lease, pack
from service.jobs.database import Database
from service.jobs.records import Analysis
from service.jobs.tables import analyses, reports

LEFT_SECONDS = 0.5
"""Age from which any process may take a job that the accepting one was too busy for."""
RETRY_SECONDS = (1.0, 5.0)
"""Pause before the second and third attempt: a dead warm process is replaced meanwhile."""


def has_queued(database: Database) -> bool:
    """Whether a job could be claimed now without a name."""
    with database.reading() as connection:
        return connection.execute(select(analyses.c.id).where(_claimable(), _left()).limit(1)).first() is not None


def claim(database: Database, owner: str, identifier: str | None = None) -> Analysis | None:
    """Take the named job, or the oldest that was left waiting, for `owner`; None if there is none to take.

    A fresh job is left to the process that accepted it, whose thread is woken by its end. A job whose twin is running
    waits for the twin's answer.
    """
    which = _left() if identifier is None else analyses.c.id == identifier
    oldest = select(analyses.c.id).where(_claimable(), which).order_by(analyses.c.id).limit(1).scalar_subquery()
    with database.writing() as connection:
        taken = connection.execute(
            update(analyses)
            .where(analyses.c.id == oldest)
            .values(state="running", owner=owner, attempts=analyses.c.attempts + 1, lease_until=lease())
            .returning(analyses.c.id)
        ).scalar()
        return None if taken is None else find(connection, taken)


def _claimable() -> ColumnElement[bool]:
    twin = analyses.alias("twin")
    return and_(
        analyses.c.state == "queued",
        analyses.c.available_at <= time.time(),
        ~exists().where(twin.c.key == analyses.c.key, twin.c.state == "running"),
    )


def _left() -> ColumnElement[bool]:
    """Not taken by the process that accepted it, or tried before."""
    return or_(analyses.c.attempts > 0, analyses.c.created_at < time.time() - LEFT_SECONDS)


def _owned(job: Analysis, owner: str) -> ColumnElement[bool]:
    """Still this attempt of this owner: not deleted, not taken over since."""
    return and_(
        analyses.c.id == job.id,
        analyses.c.state == "running",
        analyses.c.owner == owner,
        analyses.c.attempts == job.attempts,
    )


def succeed(database: Database, owner: str, job: Analysis, body: bytes, facts: dict[str, Any]) -> list[str]:
    """Store the report and finish the job and its waiting twins in one transaction; ids of all that are finished.

    `facts`: `format` and `framework` for the listing. Empty if the job was deleted or taken over meanwhile.
    """
    packed = pack(body)
    with database.writing() as connection:
        if connection.execute(select(analyses.c.id).where(_owned(job, owner))).first() is None:
            return []
        report_id = connection.execute(insert(reports).values(**packed).returning(reports.c.id)).scalar_one()
        result = {"state": "succeeded", "report_id": report_id, **facts}
        return _finish(connection, job, result, cached=True)


def fail(database: Database, owner: str, job: Analysis, error: ErrorInfo) -> list[str]:
    """Finish the job and its waiting twins with an error; ids of all that are finished."""
    with database.writing() as connection:
        if connection.execute(select(analyses.c.id).where(_owned(job, owner))).first() is None:
            return []
        result = {"state": "failed", "error": msgspec.json.encode(error).decode()}
        return _finish(connection, job, result, cached=False)


def _finish(connection: Connection, job: Analysis, result: dict[str, Any], *, cached: bool) -> list[str]:
    values = {**result, "finished_at": time.time(), "owner": None, "lease_until": None}
    connection.execute(update(analyses).where(analyses.c.id == job.id).values(**values))
    twins = connection.execute(
        update(analyses)
        .where(analyses.c.key == job.key, analyses.c.state == "queued")
        .values(**values, cached=cached)
        .returning(analyses.c.id)
    ).scalars()
    return [job.id, *twins]


def put_back(database: Database, owner: str, job: Analysis, *, pause: float, counted: bool = True) -> None:
    """Queue the job again, claimable after `pause` seconds; not `counted` if the attempt was no fault of the job."""
    attempts = job.attempts if counted else job.attempts - 1
    values = {
        "state": "queued",
        "owner": None,
        "lease_until": None,
        "attempts": attempts,
        "available_at": time.time() + pause,
    }
    with database.writing() as connection:
        connection.execute(update(analyses).where(_owned(job, owner)).values(**values))


def renew(database: Database, owner: str) -> None:
    """Extend the leases of everything `owner` runs."""
    with database.writing() as connection:
        connection.execute(
            update(analyses).where(analyses.c.owner == owner, analyses.c.state == "running").values(lease_until=lease())
        )


def still_mine(database: Database, owner: str) -> set[str]:
    """Ids of what `owner` runs; one that is missing was deleted or taken over."""
    with database.reading() as connection:
        query = select(analyses.c.id).where(analyses.c.owner == owner, analyses.c.state == "running")
        return set(connection.execute(query).scalars())


def recover(database: Database, attempts: int) -> list[str]:
    """Queue running jobs again whose lease has expired; those that had all their `attempts` fail. Ids of the failed."""
    now = time.monotonic()
    until = analyses.c.lease_until
    expired = and_(analyses.c.state == "running", or_(until.is_(None), until < now, until > now + 2 * LEASE_SECONDS))
    with database.reading() as connection:
        if connection.execute(select(analyses.c.id).where(expired).limit(1)).first() is None:
            return []
    with database.writing() as connection:
        connection.execute(
            update(analyses)
            .where(expired, analyses.c.attempts < attempts)
            .values(state="queued", owner=None, lease_until=None)
        )
        values = {
            "state": "failed",
            "error": _died(attempts),
            "finished_at": time.time(),
            "owner": None,
            "lease_until": None,
        }
        failed: Sequence[str] = (
            connection.execute(update(analyses).where(expired).values(**values).returning(analyses.c.id))
            .scalars()
            .all()
        )
    return list(failed)


def _died(attempts: int) -> str:
    error = WorkerCrashed(f"The service stopped {attempts} times while it ran this analysis.", attempts=attempts)
    return msgspec.json.encode(error.info).decode()
