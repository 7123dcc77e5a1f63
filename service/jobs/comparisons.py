"""Comparisons as rows beside the analyses they compare: added, found, removed; knows tables, not who runs a job.

A comparison is a job like any other: the queue claims it once both sides are finished, retries it and takes it up again
after a crash. Its answer is stored as its own, so that it stays when a side is deleted.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from sqlalchemy import Connection

from service.errors import ErrorInfo, LeftFailed, LeftGone, NotFound, RightFailed, RightGone, SideError
from service.jobs import catalogue, rows
from service.jobs.analysis import VERSION
from service.jobs.database import Database
from service.jobs.records import Analysis, ComparisonJob, StoredReport, comparison_key
from service.language import msg

SideName = Literal["left", "right"]
SIDES: tuple[SideName, SideName] = ("left", "right")


class Side(msgspec.Struct, frozen=True):
    """One of two finished analyses, with its report as it is stored."""

    analysis: Analysis
    report: StoredReport


def add(database: Database, new: ComparisonJob, *, max_queued: int, owner: str | None = None) -> ComparisonJob:
    """Accept a comparison of two analyses, finished or not: it is durable when this returns.

    The same comparison made before finishes it at once from the stored answer. Else, if both sides are finished and
    `owner` is ready to run it, it is `running` and leased to him from the start.

    Raises:
        NotFound: There is no such analysis; `pointer` is `left` or `right`.
        Overloaded: More than `max_queued` jobs wait already.
    """
    with database.writing() as connection:
        left, right = (_side(connection, new, side) for side in SIDES)
        new = msgspec.structs.replace(new, key=comparison_key(left, right, VERSION, values=new.values))
        ready = left.final and right.final
        return catalogue.accept(connection, new, max_queued=max_queued, owner=owner if ready else None)


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
