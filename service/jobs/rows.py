"""Rows of the job table as frozen records and back; asks one row by its identifier, knows no other query.

A row that cannot be what was written there is damage: nobody is told anything that was read from it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from blake3 import blake3
from sqlalchemy import Connection, RowMapping, bindparam, distinct, exists, func, insert, select

from service import pressed
from service.errors import DatabaseDamaged, ErrorInfo, NotFound, ReportDamaged
from service.jobs import ages
from service.jobs.records import Analysis, ComparisonJob, Job, Options, Part, StoredReport
from service.jobs.tables import analyses, parts, reports
from service.language import as_data, from_data, msg

RELEASED: dict[str, Any] = {"owner": None, "lease_until": None, "progress": None}
"""Columns of a job that nobody runs."""

_BY_ID = select(analyses).where(analyses.c.id == bindparam("identifier"))
_PARTS_OF = select(parts).where(parts.c.analysis_id == bindparam("identifier")).order_by(parts.c.position)
_KEYS = select(func.count(distinct(analyses.c.key))).where(analyses.c.report_id == reports.c.id).scalar_subquery()
_REPORT = select(reports, _KEYS.label("keys")).where(reports.c.id == bindparam("identifier"))
_ELSEWHERE = ("parts", "error", "options", "values", "repeated")
"""Fields that are stored in another form, in another table, or not at all."""
_error_encoder = msgspec.json.Encoder(enc_hook=as_data)
_error_decoder = msgspec.json.Decoder(ErrorInfo, dec_hook=from_data)


def find(connection: Connection, identifier: str) -> Job | None:
    """The analysis with its files, or the comparison, or None."""
    row = connection.execute(_BY_ID, {"identifier": identifier}).mappings().first()
    if row is None:
        return None
    if row["id"] != identifier:  # found by an index that points elsewhere
        raise _damaged()
    if row["work"] == "compare":
        return comparison(row)
    files = connection.execute(_PARTS_OF, {"identifier": identifier}).mappings()
    return analysis(row, tuple(part(found) for found in files))


def part(row: RowMapping) -> Part:
    """One file of an analysis."""
    with _believed():
        return msgspec.convert({name: row[name] for name in Part.__struct_fields__}, Part)


def analysis(row: RowMapping, files: tuple[Part, ...]) -> Analysis:
    """An analysis from its row and its files."""
    with _believed():
        options = msgspec.json.decode(row["options"], type=Options)
        return msgspec.convert({"parts": files, "options": options, **_common(row, Analysis)}, Analysis)


def comparison(row: RowMapping) -> ComparisonJob:
    """A comparison from its row."""
    with _believed():
        values = row["lane"] == "values"
        return msgspec.convert({"values": values, **_common(row, ComparisonJob)}, ComparisonJob)


def _common(row: RowMapping, kind: type[msgspec.Struct]) -> dict[str, Any]:
    fields = {name: row[name] for name in kind.__struct_fields__ if name not in _ELSEWHERE}
    if (fields["report_id"] is None) == (row["state"] == "succeeded"):
        raise ValueError("an answer without success, or success without one")
    fields["error"] = None if row["error"] is None else _error_decoder.decode(row["error"])
    tells = row["state"] == "running" and row["lane"] == "values"
    fields["progress"] = (row["progress"] or 0.0) if tells else None
    return fields


@contextmanager
def _believed() -> Iterator[None]:
    """DatabaseDamaged if what is read meanwhile cannot be what was written."""
    try:
        yield
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise _damaged() from error


def _damaged() -> DatabaseDamaged:
    return DatabaseDamaged(msg("The service's database is damaged."))


def error_text(error: ErrorInfo) -> str:
    """An error as it is stored: its sentences are still data."""
    return _error_encoder.encode(error).decode()


def write(connection: Connection, new: Job, leased: dict[str, Any], *, available_at: float) -> None:
    """Insert a job, with the columns `leased` of one that is running from the start."""
    row = {name: getattr(new, name) for name in new.__struct_fields__ if name not in _ELSEWHERE}
    row |= {"work": new.work, "lane": new.lane, "kept_from": ages.now(connection)}
    row["available_at"] = available_at
    row |= leased if new.state == "running" else {}
    if isinstance(new, ComparisonJob):
        connection.execute(insert(analyses).values(name="", bytes=0, **row))
        return
    connection.execute(insert(analyses).values(options=msgspec.json.encode(new.options).decode(), **row))
    files = [
        {"analysis_id": new.id, "position": position, **msgspec.structs.asdict(file)}
        for position, file in enumerate(new.parts)
    ]
    connection.execute(insert(parts), files)


def ended(connection: Connection) -> dict[str, Any]:
    """Columns of a job that has just come to an end. No clock that was set back makes it end before it began."""
    at = func.max(analyses.c.created_at, time.time())
    return {"finished_at": at, "kept_from": ages.now(connection), **RELEASED}


def report(connection: Connection, report_id: int) -> StoredReport:
    """A stored answer.

    NotFound if it was deleted meanwhile, ReportDamaged if it is not what was stored, DatabaseDamaged if it is named by
    jobs that cannot have the same answer.
    """
    row = connection.execute(_REPORT, {"identifier": report_id}).mappings().first()
    if row is None:
        raise NotFound(msg("It was deleted meanwhile."))
    if row["keys"] > 1:
        raise _damaged()
    with _believed():
        stored = msgspec.convert({name: row[name] for name in StoredReport.__struct_fields__}, StoredReport)
    if not _is_as_stored(stored, row["hash"]):
        raise ReportDamaged(msg("The stored report is damaged."))
    return stored


def _is_as_stored(stored: StoredReport, digest: str | None) -> bool:
    if digest is None:  # an older service wrote it
        return pressed.is_whole(stored.body, stored.size)
    return blake3(stored.body).hexdigest() == digest


def drop_report(connection: Connection, report_id: int | None) -> None:
    """Delete a stored answer that no job names any more."""
    used = exists().where(analyses.c.report_id == report_id)
    connection.execute(reports.delete().where(reports.c.id == report_id, ~used))
