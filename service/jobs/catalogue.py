"""Analyses as rows: added, found, listed, removed; knows the tables, not who runs a job.

Placing and removing an upload's bytes happens inside the same write transaction as its row, so that two requests about
the same content cannot cross.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from blake3 import blake3
from sqlalchemy import Connection, RowMapping, Select, bindparam, delete, exists, func, insert, select, update

from service.errors import ErrorInfo, Overloaded
from service.jobs.blobs import Blobs, Incoming
from service.jobs.database import Database
from service.jobs.records import Analysis, Part, StoredReport
from service.jobs.tables import analyses, parts, reports

COMPRESSION = 1
"""gzip level: a report of 100,000 layers shrinks 30-fold in 0.06 s; more effort gains little."""

LEASE_SECONDS = 10.0
"""How long a process may run a job without a sign of life."""

_columns = [column for column in analyses.c if column.name not in ("owner", "lease_until", "available_at", "error")]


def add(
    database: Database, new: Analysis, incoming: Sequence[Incoming], *, max_queued: int, owner: str | None = None
) -> Analysis:
    """Accept an analysis: its files and its row are durable when this returns.

    If the same content has been analysed before, the new one is finished at once from the stored report. Else, if
    `owner` is ready to run it and nobody runs the same, it is `running` and leased to him from the start.

    Raises:
        Overloaded: More than `max_queued` analyses wait already.
    """
    with database.writing() as connection:
        twin = _finished_twin(connection, new.key)
        if twin is None and _waiting(connection) >= max_queued:
            raise Overloaded("Too many analyses are waiting.", limit="max_queued_jobs", maximum=max_queued)
        if owner is not None and twin is None and not _runs(connection, new.key):
            new = msgspec.structs.replace(new, state="running", attempts=1)
        accepted = new if twin is None else _answered(new, twin)
        for file in incoming:
            file.keep()
        _insert(connection, accepted, owner)
    return accepted


def _runs(connection: Connection, key: str) -> bool:
    query = select(analyses.c.id).where(analyses.c.key == key, analyses.c.state == "running").limit(1)
    return connection.execute(query).first() is not None


_BY_ID = select(analyses).where(analyses.c.id == bindparam("identifier"))
_PARTS_OF = select(parts).where(parts.c.analysis_id == bindparam("identifier")).order_by(parts.c.position)


def lease() -> float:
    """When a lease given now ends, on this machine's monotonic clock: no one can set it back."""
    return time.monotonic() + LEASE_SECONDS


def _finished_twin(connection: Connection, key: str) -> Analysis | None:
    query = select(analyses).where(analyses.c.key == key, analyses.c.state == "succeeded").limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else _analysis(row, ())


def _waiting(connection: Connection) -> int:
    query = select(func.count()).select_from(analyses).where(analyses.c.state == "queued")
    return connection.execute(query).scalar_one()


def _answered(new: Analysis, twin: Analysis) -> Analysis:
    return msgspec.structs.replace(
        new,
        state="succeeded",
        finished_at=time.time(),
        cached=True,
        report_id=twin.report_id,
        format=twin.format,
        framework=twin.framework,
    )


def _insert(connection: Connection, new: Analysis, owner: str | None) -> None:
    row = {name: getattr(new, name) for name in new.__struct_fields__ if name not in ("parts", "error")}
    if new.state == "running":
        row |= {"owner": owner, "lease_until": lease()}
    connection.execute(insert(analyses).values(**row))
    rows = [
        {"analysis_id": new.id, "position": position, **msgspec.structs.asdict(part)}
        for position, part in enumerate(new.parts)
    ]
    connection.execute(insert(parts), rows)


def get(database: Database, identifier: str) -> Analysis | None:
    """The analysis with its files, or None."""
    with database.reading() as connection:
        return find(connection, identifier)


def find(connection: Connection, identifier: str) -> Analysis | None:
    """As `get`, within a transaction."""
    row = connection.execute(_BY_ID, {"identifier": identifier}).mappings().first()
    if row is None:
        return None
    files = connection.execute(_PARTS_OF, {"identifier": identifier}).mappings()
    return _analysis(row, tuple(_part(found) for found in files))


def page(database: Database, *, limit: int, before: str | None, filters: Mapping[str, str]) -> list[Analysis]:
    """Up to `limit` analyses, newest first, older than the one named `before`.

    `filters`: equal values of `state`, `format`, `name`; `sha256` is that of any of the files.
    """
    query: Select[Any] = select(analyses).order_by(analyses.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(analyses.c.id < before)
    for name, value in filters.items():
        query = query.where(_with_sha256(value) if name == "sha256" else analyses.c[name] == value)
    with database.reading() as connection:
        rows = connection.execute(query).mappings().all()
        files = _parts(connection, [row["id"] for row in rows])
    return [_analysis(row, files.get(row["id"], ())) for row in rows]


def _with_sha256(value: str) -> Any:
    return exists().where(parts.c.analysis_id == analyses.c.id, parts.c.sha256 == value)


def _parts(connection: Connection, identifiers: Sequence[str]) -> dict[str, tuple[Part, ...]]:
    query = select(parts).where(parts.c.analysis_id.in_(identifiers)).order_by(parts.c.analysis_id, parts.c.position)
    found: dict[str, tuple[Part, ...]] = {}
    for row in connection.execute(query).mappings():
        found[row["analysis_id"]] = (*found.get(row["analysis_id"], ()), _part(row))
    return found


def _part(row: RowMapping) -> Part:
    return Part(name=row["name"], bytes=row["bytes"], blake3=row["blake3"], sha256=row["sha256"])


def _analysis(row: RowMapping, files: tuple[Part, ...]) -> Analysis:
    error = None if row["error"] is None else msgspec.json.decode(row["error"], type=ErrorInfo)
    return Analysis(error=error, parts=files, **{column.name: row[column.name] for column in _columns})


def remove(database: Database, blobs: Blobs, identifier: str) -> bool:
    """Delete an analysis, its report and its files where nothing else needs them. False if there is none.

    One that is not finished yet is cancelled: its files go, its row stays and says so until it is removed as well.
    """
    with database.writing() as connection:
        found = find(connection, identifier)
        if found is None:
            return False
        if found.final:
            connection.execute(delete(analyses).where(analyses.c.id == identifier))
        else:
            cancelled = {"state": "cancelled", "finished_at": time.time(), "owner": None, "lease_until": None}
            connection.execute(update(analyses).where(analyses.c.id == identifier).values(**cancelled))
        if found.report_id is not None:
            _drop_report(connection, found.report_id)
        for digest in {part.blake3 for part in found.parts}:
            if not is_needed(connection, digest):
                blobs.remove(digest)
    return True


def _drop_report(connection: Connection, report_id: int) -> None:
    used = exists().where(analyses.c.report_id == report_id)
    connection.execute(delete(reports).where(reports.c.id == report_id, ~used))


def is_needed(connection: Connection, digest: str) -> bool:
    """Whether any analysis that was not cancelled was given the file with this BLAKE3."""
    query = (
        select(parts.c.position)
        .join(analyses, analyses.c.id == parts.c.analysis_id)
        .where(parts.c.blake3 == digest, analyses.c.state != "cancelled")
        .limit(1)
    )
    return connection.execute(query).first() is not None


def remove_orphans(database: Database, blobs: Blobs) -> int:
    """Delete stored files that no analysis names: what a crash between placing and committing leaves."""
    removed = 0
    for digest in blobs.stored():
        with database.writing() as connection:
            if not is_needed(connection, digest):
                blobs.remove(digest)
                removed += 1
    return removed


def report(database: Database, report_id: int) -> StoredReport:
    """A stored report."""
    with database.reading() as connection:
        row = connection.execute(select(reports).where(reports.c.id == report_id)).mappings().one()
    return StoredReport(body=row["body"], size=row["size"], etag=row["etag"])


def pack(body: bytes) -> dict[str, Any]:
    """A report's JSON as the columns it is stored in."""
    return {
        "body": gzip.compress(body, COMPRESSION, mtime=0),
        "size": len(body),
        "etag": blake3(body).hexdigest()[:32],
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


def replace_report(database: Database, report_id: int, body: bytes) -> None:
    """Store another JSON for a report, if it still exists."""
    with database.writing() as connection:
        connection.execute(update(reports).where(reports.c.id == report_id).values(**pack(body)))


def without_sha256(database: Database, *, older_than: float) -> Part | None:
    """A file whose SHA-256 nobody has computed for `older_than` seconds: its process died meanwhile."""
    query = (
        select(parts)
        .join(analyses, analyses.c.id == parts.c.analysis_id)
        .where(parts.c.sha256.is_(None), analyses.c.created_at < time.time() - older_than)
        .limit(1)
    )
    with database.reading() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else _part(row)


def count_by_state(database: Database) -> dict[str, int]:
    """How many analyses are in each state."""
    query = select(analyses.c.state, func.count().label("number")).group_by(analyses.c.state)
    with database.reading() as connection:
        return {row["state"]: row["number"] for row in connection.execute(query).mappings()}
