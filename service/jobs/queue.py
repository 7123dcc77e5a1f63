"""A job's life in the table: claimed under a lease, renewed, finished once, retried, taken again after a crash.

Several processes share the table. A lease is a time on this machine's monotonic clock, which no one can set back; one
that lies further ahead than any lease can reach is from before a reboot, and counts as expired.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, insert, or_, select, update

from service.errors import ErrorInfo, WorkerCrashed
from service.jobs import rows
from service.jobs.catalogue import LEASE_SECONDS, lease, pack
from service.jobs.database import Database
from service.jobs.records import Job, Lane
from service.jobs.tables import analyses, reports
from service.language import msg

LEFT_SECONDS = 0.5
"""Age from which any process may take a job that the accepting one was too busy for."""
RETRY_SECONDS = (1.0, 5.0)
"""Pause before the second and third attempt: a dead warm process is replaced meanwhile."""

_TWIN, _SIDE = analyses.alias("twin"), analyses.alias("side")
_CLAIMABLE = and_(
    analyses.c.state == "queued",
    analyses.c.available_at <= bindparam("now"),
    ~exists().where(_TWIN.c.key == analyses.c.key, _TWIN.c.state == "running"),
    ~exists().where(
        _SIDE.c.id.in_((analyses.c.left_id, analyses.c.right_id)), _SIDE.c.state.in_(("queued", "running"))
    ),
)
_LEFT = and_(
    analyses.c.lane == bindparam("this_lane"),
    or_(analyses.c.attempts > 0, analyses.c.created_at < bindparam("long_ago"), analyses.c.work == "compare"),
)
"""Not taken by the process that accepted it, or tried before; a comparison may have waited for any process."""
_QUEUED = select(analyses.c.id).where(_CLAIMABLE, _LEFT).limit(1)
"""Made once: it is asked after every job, and building it takes longer than the database does to answer."""


def get(database: Database, identifier: str) -> Job | None:
    """The analysis or comparison, or None."""
    with database.reading() as connection:
        return rows.find(connection, identifier)


def has_queued(database: Database, lane: Lane = "quick") -> bool:
    """Whether a job of this lane could be claimed now without a name."""
    with database.reading() as connection:
        return connection.execute(_QUEUED, _bounds(lane)).first() is not None


def claim(database: Database, owner: str, identifier: str | None = None, lane: Lane = "quick") -> Job | None:
    """Take the named job, or the oldest of the lane that was left waiting, for `owner`; None if there is none to take.

    A fresh job is left to the process that accepted it, whose thread is woken by its end. A job whose twin is running
    waits for the twin's answer, and a comparison for both its sides.
    """
    which = _LEFT if identifier is None else analyses.c.id == identifier
    oldest = select(analyses.c.id).where(_CLAIMABLE, which).order_by(analyses.c.id).limit(1).scalar_subquery()
    with database.writing() as connection:
        taken = connection.execute(
            update(analyses)
            .where(analyses.c.id == oldest)
            .values(state="running", owner=owner, attempts=analyses.c.attempts + 1, lease_until=lease())
            .returning(analyses.c.id),
            _bounds(lane),
        ).scalar()
        return None if taken is None else rows.find(connection, taken)


def _bounds(lane: Lane) -> dict[str, Any]:
    """What `_CLAIMABLE` and `_LEFT` are asked with."""
    now = time.time()
    return {"now": now, "long_ago": now - LEFT_SECONDS, "this_lane": lane}


def _owned(job: Job, owner: str) -> ColumnElement[bool]:
    """Still this attempt of this owner: not deleted, not taken over since."""
    return and_(
        analyses.c.id == job.id,
        analyses.c.state == "running",
        analyses.c.owner == owner,
        analyses.c.attempts == job.attempts,
    )


def succeed(database: Database, owner: str, job: Job, text: Iterable[bytes], facts: dict[str, Any]) -> list[str]:
    """Store the report and finish the job and its waiting twins in one transaction; ids of all that are finished.

    `facts`: `format` and `framework` for the listing. Empty if the job was deleted or taken over meanwhile.
    """
    packed = pack(text)
    with database.writing() as connection:
        if connection.execute(select(analyses.c.id).where(_owned(job, owner))).first() is None:
            return []
        report_id = connection.execute(insert(reports).values(**packed).returning(reports.c.id)).scalar_one()
        result = {"state": "succeeded", "report_id": report_id, **facts}
        return _finish(connection, job, result, cached=True)


def fail(database: Database, owner: str, job: Job, error: ErrorInfo, *, alone: bool = False) -> list[str]:
    """Finish the job and its waiting twins with an error, or the job `alone`; ids of all that are finished."""
    with database.writing() as connection:
        if connection.execute(select(analyses.c.id).where(_owned(job, owner))).first() is None:
            return []
        result = {"state": "failed", "error": rows.error_text(error)}
        return _finish(connection, job, result, cached=None if alone else False)


def _finish(connection: Connection, job: Job, result: dict[str, Any], *, cached: bool | None) -> list[str]:
    """`cached`: what the twins are told; None leaves them alone."""
    values = {**result, "finished_at": time.time(), **rows.RELEASED}
    connection.execute(update(analyses).where(analyses.c.id == job.id).values(**values))
    if cached is None:
        return [job.id]
    twins = connection.execute(
        update(analyses)
        .where(analyses.c.key == job.key, analyses.c.state == "queued")
        .values(**values, cached=cached)
        .returning(analyses.c.id)
    ).scalars()
    return [job.id, *twins]


def put_back(database: Database, owner: str, job: Job, *, pause: float, counted: bool = True) -> None:
    """Queue the job again, claimable after `pause` seconds; not `counted` if the attempt was no fault of the job."""
    attempts = job.attempts if counted else job.attempts - 1
    values = {
        "state": "queued",
        "attempts": attempts,
        "available_at": time.time() + pause,
        **rows.RELEASED,
    }
    with database.writing() as connection:
        connection.execute(update(analyses).where(_owned(job, owner)).values(**values))


def renew(database: Database, owner: str) -> None:
    """Extend the leases of everything `owner` runs."""
    with database.writing() as connection:
        connection.execute(
            update(analyses).where(analyses.c.owner == owner, analyses.c.state == "running").values(lease_until=lease())
        )


def tell_progress(database: Database, owner: str, shares: Mapping[str, float]) -> None:
    """Note how far what `owner` runs has come: id -> share, 0 to 1."""
    with database.writing() as connection:
        for identifier, share in shares.items():
            mine = and_(analyses.c.id == identifier, analyses.c.owner == owner, analyses.c.state == "running")
            connection.execute(update(analyses).where(mine).values(progress=share))


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
            update(analyses).where(expired, analyses.c.attempts < attempts).values(state="queued", **rows.RELEASED)
        )
        values = {
            "state": "failed",
            "error": _died(attempts),
            "finished_at": time.time(),
            **rows.RELEASED,
        }
        failed: Sequence[str] = (
            connection.execute(update(analyses).where(expired).values(**values).returning(analyses.c.id))
            .scalars()
            .all()
        )
    return list(failed)


def _died(attempts: int) -> str:
    error = WorkerCrashed(
        msg("The service stopped {count} times while it ran this job.", count=attempts), attempts=attempts
    )
    return rows.error_text(error.info)
