"""A job's life in the table: claimed under a lease, renewed, finished once, retried, taken again after a crash.

Several processes share the table. A lease is a time on this machine's monotonic clock, which no one can set back; one
that lies further ahead than any lease can reach is from before a reboot, and counts as expired. So it is with the time
until which a job waits. A process that is known to be dead (`service.jobs.marks`) holds no lease.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, func, insert, or_, select, update

from service import faults
from service.errors import ErrorInfo, WorkerCrashed
from service.jobs import rows, uploads
from service.jobs.acceptance import LEASE_SECONDS, LEFT_SECONDS, lease, read_by
from service.jobs.catalogue import pack
from service.jobs.database import Database
from service.jobs.records import Job, Lane
from service.jobs.tables import analyses, reports
from service.language import msg

RETRY_SECONDS = (1.0, 5.0)
"""Pause before the second attempt, and before the others: a dead warm process is replaced meanwhile."""
REST_SECONDS = 5.0
"""Pause before a job whose process died is begun once more, for each death but the first: it may be what kills them."""
LONGEST_PAUSE = 60.0
"""Seconds for which a job may be told to wait."""

_TWIN, _SIDE = analyses.alias("twin"), analyses.alias("side")
_CLAIMABLE = and_(
    analyses.c.state == "queued",
    or_(analyses.c.available_at <= bindparam("now"), analyses.c.available_at > bindparam("latest")),
    ~exists().where(_TWIN.c.key == analyses.c.key, _TWIN.c.state == "running"),
    ~exists().where(
        _SIDE.c.id.in_((analyses.c.left_id, analyses.c.right_id)), _SIDE.c.state.in_(("queued", "running"))
    ),
)
_OF_LANE = analyses.c.lane == bindparam("this_lane")
_QUEUED = select(analyses.c.id).where(_CLAIMABLE, _OF_LANE).limit(1)
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
    which = _OF_LANE if identifier is None else analyses.c.id == identifier
    bounds = _bounds(lane) if identifier is None else _bounds(lane, LEFT_SECONDS)
    oldest = select(analyses.c.id).where(_CLAIMABLE, which).order_by(analyses.c.id).limit(1).scalar_subquery()
    with database.writing() as connection:
        faults.point("job.claiming")
        taken = connection.execute(
            update(analyses)
            .where(analyses.c.id == oldest)
            .values(state="running", owner=owner, attempts=analyses.c.attempts + 1, lease_until=lease())
            .returning(analyses.c.id),
            bounds,
        ).scalar()
        return None if taken is None else rows.find(connection, taken)


def _bounds(lane: Lane, ahead: float = 0.0) -> dict[str, Any]:
    """What `_CLAIMABLE` and `_OF_LANE` are asked with, `ahead` seconds early: a new job is left to who accepted it."""
    now = time.monotonic() + ahead
    return {"now": now, "latest": now + LONGEST_PAUSE, "this_lane": lane}


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
        faults.point("report.storing")
        report_id = connection.execute(insert(reports).values(**packed).returning(reports.c.id)).scalar_one()
        result = {"state": "succeeded", "report_id": report_id, **facts}
        finished = _finish(connection, job, result, cached=True)
    faults.point("report.stored")
    return finished


def fail(database: Database, owner: str, job: Job, error: ErrorInfo, *, alone: bool = False) -> list[str]:
    """Finish the job and its waiting twins with an error, or the job `alone`; ids of all that are finished."""
    with database.writing() as connection:
        if connection.execute(select(analyses.c.id).where(_owned(job, owner))).first() is None:
            return []
        result = {"state": "failed", "error": rows.error_text(error)}
        return _finish(connection, job, result, cached=None if alone else False)


def _finish(connection: Connection, job: Job, result: dict[str, Any], *, cached: bool | None) -> list[str]:
    """`cached`: what the twins are told; None leaves them alone."""
    values = {**result, **rows.ended(connection)}
    uploads.use(connection, read_by(connection, job))
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
    with database.writing() as connection:
        connection.execute(update(analyses).where(_owned(job, owner)).values(**_again(pause, counted=counted)))


def give_back(database: Database, owner: str) -> None:
    """Queue all again that `owner` was to run: he ends in good order, and takes no more."""
    held = and_(analyses.c.owner == owner, analyses.c.state == "running")
    with database.writing() as connection:
        connection.execute(update(analyses).where(held).values(**_again(0.0, counted=False)))


def _again(pause: float, *, counted: bool) -> dict[str, Any]:
    attempts = analyses.c.attempts if counted else analyses.c.attempts - 1
    pause = min(pause, LONGEST_PAUSE)
    return {"state": "queued", "attempts": attempts, "available_at": time.monotonic() + pause, **rows.RELEASED}


def renew(database: Database, owner: str, identifiers: Collection[str]) -> None:
    """Extend the leases of these jobs, as far as `owner` has them."""
    mine = and_(analyses.c.id.in_(identifiers), analyses.c.owner == owner, analyses.c.state == "running")
    with database.writing() as connection:
        connection.execute(update(analyses).where(mine).values(lease_until=lease()))


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


def recover(database: Database, attempts: int, is_dead: Callable[[str], bool] = lambda _: False) -> list[str]:
    """Queue running jobs again whose lease has expired, or whose owner `is_dead`.

    After a first death at once, after others with a pause. Those that had all their `attempts` fail. Ids of the failed.
    """
    with database.reading() as connection:
        lost = _lost(connection, is_dead)
        if connection.execute(select(analyses.c.id).where(lost).limit(1)).first() is None:
            return []
    with database.writing() as connection:
        again = {"state": "queued", "available_at": _rested(), **rows.RELEASED}
        connection.execute(update(analyses).where(lost, analyses.c.attempts < attempts).values(**again))
        failed = {"state": "failed", "error": _died(attempts), **rows.ended(connection)}
        statement = update(analyses).where(lost).values(**failed).returning(analyses.c.id)
        return list(connection.execute(statement).scalars())


def _rested() -> ColumnElement[float]:
    rest: ColumnElement[float] = func.min(REST_SECONDS * (analyses.c.attempts - 1), LONGEST_PAUSE)
    return time.monotonic() + rest


def _lost(connection: Connection, is_dead: Callable[[str], bool]) -> ColumnElement[bool]:
    now = time.monotonic()
    until = analyses.c.lease_until
    expired = or_(until.is_(None), until < now, until > now + 2 * LEASE_SECONDS)
    owners = select(analyses.c.owner).where(analyses.c.state == "running", analyses.c.owner.is_not(None)).distinct()
    dead = [owner for owner in connection.execute(owners).scalars() if is_dead(owner)]
    return and_(analyses.c.state == "running", or_(expired, analyses.c.owner.in_(dead)))


def has_running(database: Database, owner: str) -> bool:
    """Whether `owner` is to run anything, as far as the table knows."""
    return bool(still_mine(database, owner))


def _died(attempts: int) -> str:
    error = WorkerCrashed(
        msg("The service stopped {count} times while it ran this job.", count=attempts), attempts=attempts
    )
    return rows.error_text(error.info)
