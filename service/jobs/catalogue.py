"""Analyses as rows: found, listed, removed, amended; knows the tables, not who runs a job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import structlog
from blake3 import blake3
from sqlalchemy import Connection, Select, and_, delete, exists, func, select, update

from service.errors import ReportDamaged, ServiceError
from service.jobs import ages, rows, uploads
from service.jobs.blobs import Blobs, deleting
from service.jobs.database import Database
from service.jobs.records import Analysis, Job, Part, StoredReport
from service.jobs.tables import analyses, parts, reports
from service.jobs.tables import uploads as stored
from service.pressed import press

log = structlog.get_logger("weighbridge.jobs")


def get(database: Database, identifier: str) -> Analysis | None:
    """The analysis with its files, or None."""
    with database.reading() as connection:
        found = rows.find(connection, identifier)
    return found if isinstance(found, Analysis) else None


def page(database: Database, *, limit: int, before: str | None, filters: Mapping[str, str]) -> list[Analysis]:
    """Up to `limit` analyses, newest first, older than the one named `before`.

    `filters`: equal values of `account`, `state`, `format`, `name`; `sha256` is that of any of the files.
    """
    listed = and_(analyses.c.work != "compare", analyses.c.parent_id.is_(None))
    query: Select[Any] = select(analyses).where(listed).order_by(analyses.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(analyses.c.id < before)
    for name, value in filters.items():
        query = query.where(_with_sha256(value) if name == "sha256" else analyses.c[name] == value)
    with database.reading() as connection:
        found = connection.execute(query).mappings().all()
        files = _parts(connection, [row["id"] for row in found])
    return [rows.analysis(row, files.get(row["id"], ())) for row in found]


def _with_sha256(value: str) -> Any:
    return exists().where(parts.c.analysis_id == analyses.c.id, parts.c.sha256 == value)


def _parts(connection: Connection, identifiers: Sequence[str]) -> dict[str, tuple[Part, ...]]:
    query = select(parts).where(parts.c.analysis_id.in_(identifiers)).order_by(parts.c.analysis_id, parts.c.position)
    found: dict[str, tuple[Part, ...]] = {}
    for row in connection.execute(query).mappings():
        found[row["analysis_id"]] = (*found.get(row["analysis_id"], ()), rows.part(row))
    return found


def remove(database: Database, blobs: Blobs, identifier: str) -> bool:
    """Delete an analysis, its report and its files where nothing else needs them. False if there is none.

    One that is not finished yet is cancelled: its files go, its row stays and says so until it is removed as well.
    """
    with database.writing() as connection:
        found = rows.find(connection, identifier)
        if not isinstance(found, Analysis):
            return False
        digests = forget(connection, found)
    try:
        remove_files(database, blobs, digests)
    except ServiceError as error:  # nobody can see them any more, and the next sweep removes them
        log.warning("files_stay", analysis=found.id, reason=str(error))
    return True


def forget(connection: Connection, found: Analysis) -> set[str]:
    """Withdraw an analysis and what was derived from it; digests of the files that it was given."""
    derived = select(analyses.c.report_id).where(analyses.c.parent_id == found.id)
    answers = connection.execute(derived).scalars().all()
    withdraw(connection, found)
    for report_id in answers:  # their rows have gone with their parent
        rows.drop_report(connection, report_id)
    return {part.blake3 for part in found.parts}


def remove_files(database: Database, blobs: Blobs, digests: Iterable[str]) -> int:
    """Delete those files that no analysis needs (any more); how many.

    In a transaction of its own: were they deleted in that of the rows, and it came to nothing, rows would be left that
    miss them.
    """
    with deleting() as gone, database.writing() as connection:
        gone.extend(uploads.discard(connection, blobs, uploads.unneeded(connection, digests)))
    return len(gone)


def withdraw(connection: Connection, job: Job) -> None:
    """Delete the row of a finished job with its answer; one that is not finished is cancelled and stays."""
    if job.final:
        connection.execute(delete(analyses).where(analyses.c.id == job.id))
        rows.drop_report(connection, job.report_id)
    else:
        cancelled = {"state": "cancelled", **rows.ended(connection)}
        connection.execute(update(analyses).where(analyses.c.id == job.id).values(**cancelled))


def report(database: Database, report_id: int) -> StoredReport:
    """A stored report. ReportDamaged if it is no longer what was stored; whoever has it is failed with that."""
    try:
        with database.reading() as connection:
            return rows.report(connection, report_id)
    except ReportDamaged as error:
        with database.writing() as connection:
            failed = {"state": "failed", "report_id": None, "error": rows.error_text(error.info)}
            connection.execute(update(analyses).where(analyses.c.report_id == report_id).values(**failed))
            rows.drop_report(connection, report_id)
        raise


def pack(text: Iterable[bytes]) -> dict[str, Any]:
    """A report's JSON, which comes in pieces, as the columns it is stored in."""
    digest, size = blake3(), 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for piece in text:
            digest.update(piece)
            size += len(piece)
            yield piece

    pressed = press(counted())
    return {
        "body": pressed,
        "size": size,
        "etag": digest.hexdigest()[:32],
        "hash": blake3(pressed).hexdigest(),
    }


def note_sha256(database: Database, digest: str, sha256: str) -> list[int]:
    """Remember the SHA-256 of the file with BLAKE3 `digest`; ids of reports that describe just this file."""
    other = parts.alias()
    alone = ~exists().where(other.c.analysis_id == analyses.c.id, other.c.position > 0)
    with database.writing() as connection:
        connection.execute(update(parts).where(parts.c.blake3 == digest).values(sha256=sha256))
        query = (
            select(analyses.c.report_id)
            .join(parts, parts.c.analysis_id == analyses.c.id)
            .where(parts.c.blake3 == digest, analyses.c.report_id.is_not(None), alone)
        )
        return sorted(set(connection.execute(query).scalars()))


def replace_report(database: Database, report_id: int, text: Iterable[bytes]) -> None:
    """Store another JSON for a report, if it still exists."""
    packed = pack(text)
    with database.writing() as connection:
        connection.execute(update(reports).where(reports.c.id == report_id).values(**packed))


def without_sha256(database: Database, *, older_than: float) -> Part | None:
    """A file whose SHA-256 nobody has computed for `older_than` seconds: its process died meanwhile."""
    with database.reading() as connection:
        query = (
            select(parts)
            .join(analyses, analyses.c.id == parts.c.analysis_id)
            .join(stored, stored.c.blake3 == parts.c.blake3)
            .where(parts.c.sha256.is_(None), analyses.c.kept_from < ages.now(connection) - older_than)
            .limit(1)
        )
        row = connection.execute(query).mappings().first()
    return None if row is None else rows.part(row)


def count_by_state(database: Database) -> dict[str, int]:
    """How many analyses and comparisons are in each state."""
    query = select(analyses.c.state, func.count().label("number")).group_by(analyses.c.state)
    with database.reading() as connection:
        return {row["state"]: row["number"] for row in connection.execute(query).mappings()}
