"""One comparison from two stored reports to its answer; knows the sandbox, not how models are compared.

The reports were made by children that read hostile files: they are compared in a child, too. The uploads themselves are
only handed over where their numbers are to be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import msgspec

from service import pressed, wire
from service.comparisons import Comparison
from service.config import Limits
from service.errors import InputLost, OutdatedReport, WorkerCrashed
from service.jobs import comparisons, reports
from service.jobs.analysis import Sandbox, Watch, opened, run
from service.jobs.blobs import Blobs
from service.jobs.comparisons import SIDES, Side
from service.jobs.database import Database
from service.jobs.records import ComparisonJob
from service.jobs.sealing import sealed
from service.language import msg
from service.tree import SCHEMA_VERSION


def compare_stored(
    sandbox: Sandbox, database: Database, blobs: Blobs, job: ComparisonJob, limits: Limits, watch: Watch
) -> Comparison:
    """The answer of a comparison whose sides are finished. Raises the WeighbridgeError that prevents one."""
    sides = comparisons.sides(database, job)
    if job.values:
        _require_places(sides)
    names = [tuple(part.name for part in side.analysis.parts) if job.values else () for side in sides]
    task = wire.Task(work="compare", parts=names[0], right_parts=names[1], values=job.values, limits=limits)
    with ExitStack() as stack:
        descriptors = [stack.enter_context(sealed(pressed.unpressed(side.report.body))) for side in sides]
        if job.values:
            descriptors += _uploads(blobs, sides, stack)
        outcome = run(sandbox, "values" if job.values else "static", task, descriptors, watch)
    if outcome.answer.comparison is None:
        raise WorkerCrashed(msg("The worker's answer was not understood."), reason="no comparison")
    return outcome.answer.comparison


def _require_places(sides: tuple[Side, Side]) -> None:
    """OutdatedReport where a report does not tell all that leads to its values (strides, before schema 1.1)."""
    for side in sides:
        version = msgspec.json.decode(reports.text(side.report), type=_Versioned).schema_version
        if version != SCHEMA_VERSION:
            raise OutdatedReport(
                msg(
                    "The report of {name} is of an older version: its values cannot be found by it.",
                    name=side.analysis.name,
                )
            )


class _Versioned(msgspec.Struct):
    """The one field of a report that is looked at outside the wall."""

    schema_version: str


def _uploads(blobs: Blobs, sides: tuple[Side, Side], stack: ExitStack) -> Iterator[int]:
    """Descriptors of the left upload's files and the right's, for the time of `stack`."""
    for name, side in zip(SIDES, sides, strict=True):
        try:
            yield from stack.enter_context(opened(blobs, side.analysis.parts, verified=True))
        except InputLost:
            raise comparisons.upload_gone(name) from None
