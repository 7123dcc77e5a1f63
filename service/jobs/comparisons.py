"""Comparisons as rows beside the analyses they compare: found, removed; knows tables, not who runs a job.

A comparison is a job like any other: the queue claims it once both sides are finished, retries it and takes it up again
after a crash. Its answer is stored as its own, so that it stays when a side is deleted.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from sqlalchemy import Connection

from service.errors import ErrorInfo, LeftFailed, LeftGone, NotFound, RightFailed, RightGone, SideError
from service.jobs import catalogue, rows
from service.jobs.database import Database
from service.jobs.records import Analysis, ComparisonJob, StoredReport
from service.language import msg

SideName = Literal["left", "right"]
SIDES: tuple[SideName, SideName] = ("left", "right")


class Side(msgspec.Struct, frozen=True):
    """One of two finished analyses, with its report as it is stored."""

    analysis: Analysis
    report: StoredReport


def analyses_of(connection: Connection, job: ComparisonJob) -> tuple[Analysis, Analysis]:
    """Left and right, finished or not. NotFound if there is no such analysis; `pointer` says which."""
    return _side(connection, job, "left"), _side(connection, job, "right")


def _side(connection: Connection, job: ComparisonJob, side: SideName) -> Analysis:
    identifier = job.left_id if side == "left" else job.right_id
    found = rows.find(connection, identifier)
    if not isinstance(found, Analysis):
        raise NotFound(msg("There is no analysis {id}.", id=identifier), pointer=side)
    return found


def get(database: Database, identifier: str) -> ComparisonJob | None:
    """The comparison, or None."""
    with database.reading() as connection:
        found = rows.find(connection, identifier)
    return found if isinstance(found, ComparisonJob) else None


def remove(database: Database, identifier: str) -> bool:
    """Delete a comparison and its answer; one that is not finished is cancelled and stays as such. False if none."""
    with database.writing() as connection:
        found = rows.find(connection, identifier)
        if not isinstance(found, ComparisonJob):
            return False
        catalogue.withdraw(connection, found)
    return True


def sides(database: Database, job: ComparisonJob) -> tuple[Side, Side]:
    """Left and right of a claimed comparison with their reports. SideError if one of them has none (any more)."""
    with database.reading() as connection:
        return _finished(connection, job, "left"), _finished(connection, job, "right")


def _finished(connection: Connection, job: ComparisonJob, side: SideName) -> Side:
    try:
        found = _side(connection, job, side)
    except NotFound:
        raise gone(side) from None
    if found.error is not None:
        raise failed(side, found.error)
    if found.report_id is None:
        raise gone(side)
    return Side(found, rows.report(connection, found.report_id))


def failed(side: SideName, error: ErrorInfo) -> SideError:
    """A side's own error as that of the comparison."""
    if side == "left":
        detail = msg("The analysis of the left model failed: {reason}", reason=error.detail)
        return LeftFailed(detail, side=side, cause=error.code)
    detail = msg("The analysis of the right model failed: {reason}", reason=error.detail)
    return RightFailed(detail, side=side, cause=error.code)


def gone(side: SideName) -> SideError:
    """A side that was deleted while the comparison waited."""
    if side == "left":
        return LeftGone(msg("The left model was deleted before the comparison was made."), side=side)
    return RightGone(msg("The right model was deleted before the comparison was made."), side=side)


def upload_gone(side: SideName) -> SideError:
    """A side whose values cannot be read any more."""
    if side == "left":
        return LeftGone(msg("The upload of the left model is no longer stored."), side=side)
    return RightGone(msg("The upload of the right model is no longer stored."), side=side)
