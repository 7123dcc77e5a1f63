"""Rows of the job table as frozen records and back; asks one row by its identifier, knows no other query."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, bindparam, exists, insert, select

from service.errors import ErrorInfo
from service.jobs.records import Analysis, ComparisonJob, Job, Options, Part, StoredReport
from service.jobs.tables import analyses, parts, reports
from service.language import as_data, from_data

RELEASED: dict[str, Any] = {"owner": None, "lease_until": None, "progress": None}
"""Columns of a job that nobody runs."""

_BY_ID = select(analyses).where(analyses.c.id == bindparam("identifier"))
_PARTS_OF = select(parts).where(parts.c.analysis_id == bindparam("identifier")).order_by(parts.c.position)
_ELSEWHERE = ("parts", "error", "options", "values")
"""Fields that are stored in another form, or in another table."""
_error_encoder = msgspec.json.Encoder(enc_hook=as_data)
_error_decoder = msgspec.json.Decoder(ErrorInfo, dec_hook=from_data)


def find(connection: Connection, identifier: str) -> Job | None:
    """The analysis with its files, or the comparison, or None."""
    row = connection.execute(_BY_ID, {"identifier": identifier}).mappings().first()
    if row is None or row["work"] == "compare":
        return None if row is None else comparison(row)
    files = connection.execute(_PARTS_OF, {"identifier": identifier}).mappings()
    return analysis(row, tuple(part(found) for found in files))


def part(row: RowMapping) -> Part:
    """One file of an analysis."""
    return Part(name=row["name"], bytes=row["bytes"], blake3=row["blake3"], sha256=row["sha256"])


def analysis(row: RowMapping, files: tuple[Part, ...]) -> Analysis:
    """An analysis from its row and its files."""
    options = msgspec.json.decode(row["options"], type=Options)
    return Analysis(parts=files, options=options, **_common(row, Analysis))


def comparison(row: RowMapping) -> ComparisonJob:
    """A comparison from its row."""
    return ComparisonJob(values=row["lane"] == "values", **_common(row, ComparisonJob))


def _common(row: RowMapping, kind: type[msgspec.Struct]) -> dict[str, Any]:
    fields = {name: row[name] for name in kind.__struct_fields__ if name not in _ELSEWHERE}
    fields["error"] = None if row["error"] is None else _error_decoder.decode(row["error"])
    tells = row["state"] == "running" and row["lane"] == "values"
    fields["progress"] = (row["progress"] or 0.0) if tells else None
    return fields


def error_text(error: ErrorInfo) -> str:
    """An error as it is stored: its sentences are still data."""
    return _error_encoder.encode(error).decode()


def write(connection: Connection, new: Job, leased: dict[str, Any]) -> None:
    """Insert a job, with the columns `leased` of one that is running from the start."""
    row = {name: getattr(new, name) for name in new.__struct_fields__ if name not in _ELSEWHERE}
    row |= {"work": new.work, "lane": new.lane} | (leased if new.state == "running" else {})
    if isinstance(new, ComparisonJob):
        connection.execute(insert(analyses).values(name="", bytes=0, **row))
        return
    connection.execute(insert(analyses).values(options=msgspec.json.encode(new.options).decode(), **row))
    files = [
        {"analysis_id": new.id, "position": position, **msgspec.structs.asdict(file)}
        for position, file in enumerate(new.parts)
    ]
    connection.execute(insert(parts), files)


def report(connection: Connection, report_id: int) -> StoredReport:
    """A stored answer."""
    row = connection.execute(select(reports).where(reports.c.id == report_id)).mappings().one()
    return StoredReport(body=row["body"], size=row["size"], etag=row["etag"])


def drop_report(connection: Connection, report_id: int | None) -> None:
    """Delete a stored answer that no job names any more."""
    used = exists().where(analyses.c.report_id == report_id)
    connection.execute(reports.delete().where(reports.c.id == report_id, ~used))
