"""Analyses as rows: added, found, listed, removed; knows the tables, not who runs a job.

Placing and removing an upload's bytes happens inside the same write transaction as its row, so that two requests about
the same content cannot cross.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from blake3 import blake3
from sqlalchemy import Connection, RowMapping, Select, and_, delete, exists, func, select, update

from service.errors import (
    BY_CODE,
    NotFinished,
    NotFound,
    Overloaded,
    ServiceError,
    UploadGone,
    WeighbridgeError,
)
from service.jobs import rows
from service.jobs.analysis import VERSION
from service.jobs.blobs import Blobs, Incoming
from service.jobs.database import Database
from service.jobs.identifiers import new_id
from service.jobs.records import Analysis, ComparisonJob, Job, Options, Part, StoredReport, result_key
from service.jobs.tables import analyses, parts, reports
from service.language import msg
from service.pressed import press

LEASE_SECONDS = 10.0
"""How long a process may run a job without a sign of life."""

FAILED_AGAIN_SECONDS = 60.0
"""How long a failure of ours, not of the upload, is told again before the same is tried anew."""

J = TypeVar("J", Analysis, ComparisonJob)


def add(
    database: Database, new: Analysis, incoming: Sequence[Incoming], *, max_queued: int, owner: str | None = None
) -> Analysis:
    """Accept an analysis: its files and its row are durable when this returns.

    If the same content has been analysed before, the new one is finished at once from the stored report. Else, if
    `owner` is ready to run it and nobody runs the same, it is `running` and leased to him from the start.

    Raises:
        Overloaded: More than `max_queued` jobs wait already.
    """
    with database.writing() as connection:
        accepted = accept(connection, new, max_queued=max_queued, owner=owner)
        for file in incoming:
            file.keep()
    return accepted


def accept(connection: Connection, new: J, *, max_queued: int, owner: str | None) -> J:
    """Write a job's row within a transaction: finished if its key was answered before. Raises as `add` does."""
    twin = _finished_twin(connection, new.key)
    if twin is not None:
        new = _answered(new, twin)
    elif _waiting(connection) >= max_queued:
        raise Overloaded(msg("Too many analyses are waiting."), limit="max_queued_jobs", maximum=max_queued)
    elif owner is not None and not _runs(connection, new.key):
        new = msgspec.structs.replace(new, state="running", attempts=1)
    rows.write(connection, new, {"owner": owner, "lease_until": lease()})
    return new


def _runs(connection: Connection, key: str) -> bool:
    query = select(analyses.c.id).where(analyses.c.key == key, analyses.c.state == "running").limit(1)
    return connection.execute(query).first() is not None


def lease() -> float:
    """When a lease given now ends, on this machine's monotonic clock: no one can set it back."""
    return time.monotonic() + LEASE_SECONDS


def _finished_twin(connection: Connection, key: str) -> RowMapping | None:
    query = select(analyses).where(analyses.c.key == key, analyses.c.state == "succeeded").limit(1)
    return connection.execute(query).mappings().first()


def _waiting(connection: Connection) -> int:
    query = select(func.count()).select_from(analyses).where(analyses.c.state == "queued")
    return connection.execute(query).scalar_one()


def _answered(new: J, twin: RowMapping) -> J:
    facts = {name: twin[name] for name in ("report_id", "format", "framework") if name in new.__struct_fields__}
    return msgspec.structs.replace(new, state="succeeded", finished_at=time.time(), cached=True, **facts)


def derive(
    database: Database,
    blobs: Blobs,
    parent: Analysis,
    options: Options,
    *,
    max_queued: int,
    owner: str | None = None,
) -> Analysis:
    """The analysis of `parent`'s upload with `options`: `parent` itself, the one derived before, or a new one.

    A new one is accepted as in `add`, is not listed, and goes with its parent. A failure is told again; one that was
    not the upload's fault only for `FAILED_AGAIN_SECONDS`.

    Raises:
        NotFound: The analysis was deleted meanwhile.
        NotFinished: It has no report.
        UploadGone: Its files are no longer there.
        Overloaded: More than `max_queued` jobs wait already.
    """
    if parent.options == options:
        return parent
    with database.writing() as connection:
        found = rows.find(connection, parent.id)
        if not isinstance(found, Analysis):
            raise NotFound(msg("There is no such analysis."))
        if found.state != "succeeded":
            raise NotFinished(msg("The analysis has no report."), state=found.state)
        new = _derived(found, options)
        known = _derived_before(connection, new)
        if known is not None:
            return known
        accepted = accept(connection, new, max_queued=max_queued, owner=owner)
        if not (accepted.final or _is_kept(blobs, found)):
            raise UploadGone(msg("The upload of this analysis is no longer stored."))
    return accepted


def _derived(parent: Analysis, options: Options) -> Analysis:
    return Analysis(
        id=new_id(),
        state="queued",
        created_at=time.time(),
        name=parent.name,
        bytes=parent.bytes,
        key=result_key(parent.parts, VERSION, options),
        request_id=parent.request_id,
        parts=parent.parts,
        options=options,
        parent_id=parent.id,
    )


def _derived_before(connection: Connection, new: Analysis) -> Analysis | None:
    query = select(analyses.c.id).where(analyses.c.parent_id == new.parent_id, analyses.c.key == new.key)
    identifier = connection.execute(query.limit(1)).scalar()
    known = None if identifier is None else rows.find(connection, identifier)
    if not isinstance(known, Analysis) or not _may_succeed_now(known):
        return known if isinstance(known, Analysis) else None
    connection.execute(delete(analyses).where(analyses.c.id == known.id))
    return None


def _may_succeed_now(found: Analysis) -> bool:
    """Whether it was called off, or failed by a fault of ours some time ago."""
    if found.error is None or found.finished_at is None:
        return found.state == "cancelled"
    ours = issubclass(BY_CODE.get(found.error.code, WeighbridgeError), ServiceError)
    return ours and found.finished_at < time.time() - FAILED_AGAIN_SECONDS


def _is_kept(blobs: Blobs, found: Analysis) -> bool:
    return all(blobs.path(part.blake3).exists() for part in found.parts)


def get(database: Database, identifier: str) -> Analysis | None:
    """The analysis with its files, or None."""
    with database.reading() as connection:
        found = rows.find(connection, identifier)
    return found if isinstance(found, Analysis) else None


def page(database: Database, *, limit: int, before: str | None, filters: Mapping[str, str]) -> list[Analysis]:
    """Up to `limit` analyses, newest first, older than the one named `before`.

    `filters`: equal values of `state`, `format`, `name`; `sha256` is that of any of the files.
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
        derived = select(analyses.c.report_id).where(analyses.c.parent_id == identifier)
        answers = connection.execute(derived).scalars().all()
        withdraw(connection, found)
        for report_id in answers:  # their rows have gone with their parent
            rows.drop_report(connection, report_id)
        for digest in {part.blake3 for part in found.parts}:
            if not is_needed(connection, digest):
                blobs.remove(digest)
    return True


def withdraw(connection: Connection, job: Job) -> None:
    """Delete the row of a finished job with its answer; one that is not finished is cancelled and stays."""
    if job.final:
        connection.execute(delete(analyses).where(analyses.c.id == job.id))
        rows.drop_report(connection, job.report_id)
    else:
        cancelled = {"state": "cancelled", "finished_at": time.time(), **rows.RELEASED}
        connection.execute(update(analyses).where(analyses.c.id == job.id).values(**cancelled))


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
        return rows.report(connection, report_id)


def pack(text: Iterable[bytes]) -> dict[str, Any]:
    """A report's JSON, which comes in pieces, as the columns it is stored in."""
    digest, size = blake3(), 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for piece in text:
            digest.update(piece)
            size += len(piece)
            yield piece

    return {"body": press(counted()), "size": size, "etag": digest.hexdigest()[:32]}


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
    query = (
        select(parts)
        .join(analyses, analyses.c.id == parts.c.analysis_id)
        .where(parts.c.sha256.is_(None), analyses.c.created_at < time.time() - older_than)
        .limit(1)
    )
    with database.reading() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else rows.part(row)


def count_by_state(database: Database) -> dict[str, int]:
    """How many analyses and comparisons are in each state."""
    query = select(analyses.c.state, func.count().label("number")).group_by(analyses.c.state)
    with database.reading() as connection:
        return {row["state"]: row["number"] for row in connection.execute(query).mappings()}
