"""Accepting jobs: an upload, what is asked of one that is there, a comparison. Knows the tables, not who runs a job.

Placing an upload's bytes happens inside the same write transaction as its row, so that it cannot cross the removal of
the same content by another request; whatever is accepted is durable before anybody is told.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, RowMapping, bindparam, func, select

from service.errors import (
    BY_CODE,
    InputLost,
    NotFinished,
    NotFound,
    Overloaded,
    QuotaExceeded,
    ServiceError,
    UploadGone,
    WeighbridgeError,
)
from service.jobs import ages, comparisons, idempotency, rows, uploads
from service.jobs.analysis import VERSION
from service.jobs.blobs import Blobs, Incoming
from service.jobs.comparisons import SIDES
from service.jobs.database import Database
from service.jobs.idempotency import Once
from service.jobs.identifiers import new_id
from service.jobs.records import Analysis, ComparisonJob, Job, Options, comparison_key, result_key
from service.jobs.tables import analyses
from service.jobs.uploads import Held
from service.language import msg

LEASE_SECONDS = 10.0
"""How long a process may run a job without a sign of life."""
LEFT_SECONDS = 0.5
"""For which a new job is left to the process that accepted it, whose thread is woken by its end."""
FAILED_AGAIN_SECONDS = 60.0
"""How long a failure of ours, not of the upload, is told again before the same is tried anew."""

WAITING_SECONDS = 5
"""After which an account that has too many jobs waiting is told to come back."""

J = TypeVar("J", Analysis, ComparisonJob)

_TWIN = select(analyses).where(analyses.c.key == bindparam("key"), analyses.c.state == bindparam("state")).limit(1)
_WAITING = select(func.count()).select_from(analyses).where(analyses.c.state == "queued")
"""Made once: building them takes longer than the database does to answer."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """On what terms a job is accepted.

    Attributes:
        max_queued: Jobs that may wait.
        max_of_account: Of one account; 0: as many. Those made where no key is needed have none.
        owner: Who is ready to run it at once, if anybody is.
        once: The Idempotency-Key that came with it.
    """

    max_queued: int
    max_of_account: int = 0
    owner: str | None = None
    once: Once | None = None


def add(database: Database, new: Analysis, incoming: Sequence[Incoming], terms: Terms) -> Analysis:
    """Accept an analysis: its files and its row are durable when this returns.

    If the same content has been analysed before, the new one is finished at once from the stored report. Else, if
    `terms.owner` is ready to run it and nobody runs the same, it is `running` and leased to him from the start. If the
    same was asked with the same Idempotency-Key before, it is the one made then, `repeated`.

    Raises:
        Overloaded, QuotaExceeded: Too many jobs wait already, of all or of the account.
        StorageFull: The disk has no room for it.
        IdempotencyKeyReused: Something else was asked with the Idempotency-Key.
    """
    asked = idempotency.content("analysis", _content(new), msgspec.structs.asdict(new.options))
    with database.writing() as connection:
        earlier = _earlier(connection, new, terms, asked)
        if earlier is not None:
            _keep_again(connection, earlier, incoming)
            return earlier
        accepted = accept(connection, new, terms)
        _place(incoming)
        _remember(connection, accepted, terms, asked)
    return accepted


def add_comparison(
    database: Database,
    blobs: Blobs,
    new: ComparisonJob,
    sides: Sequence[tuple[Analysis, Sequence[Incoming]]],
    terms: Terms,
) -> tuple[ComparisonJob, tuple[Analysis, ...]]:
    """Accept a comparison of two analyses: those that `new` names, or left and right in `sides`, accepted with it.

    The same comparison made before finishes it at once from the stored answer. Else it waits for its sides, or is
    `running` as in `add`. Also gives the sides that were accepted with it, of which none is if it is `repeated`.

    Raises:
        NotFound: There is no such analysis; `pointer` is `left` or `right`.
        LeftGone, RightGone: Values are to be compared, and the upload is no longer there.
    And as `add`.
    """
    uploaded = [_content(side) for side, _ in sides]
    asked = idempotency.content("comparison", uploaded or [new.left_id, new.right_id], new.values)
    with database.writing() as connection:
        earlier = _earlier(connection, new, terms, asked)
        if earlier is not None:
            return earlier, ()
        nobody = msgspec.structs.replace(terms, owner=None)  # who is ready is so for one job
        made = tuple(accept(connection, side, terms if side is sides[0][0] else nobody) for side, _ in sides)
        accepted = _compare(connection, blobs, new, terms)
        _place([file for _, files in sides for file in files])
        _remember(connection, accepted, terms, asked)
    return accepted, made


def _compare(connection: Connection, blobs: Blobs, new: ComparisonJob, terms: Terms) -> ComparisonJob:
    left, right = comparisons.analyses_of(connection, new)
    key = comparison_key(left, right, VERSION, values=new.values, account=new.account)
    ready = left.final and right.final
    terms = terms if ready else msgspec.structs.replace(terms, owner=None)
    gone = [
        name
        for name, side in zip(SIDES, (left, right), strict=True)
        if new.values and side.state == "succeeded" and not _is_kept(connection, blobs, side)
    ]
    accepted = accept(connection, msgspec.structs.replace(new, key=key), terms)
    if gone and not accepted.final:
        raise comparisons.upload_gone(gone[0])
    return accepted


def accept(connection: Connection, new: J, terms: Terms) -> J:
    """Write a job's row within a transaction: finished if its key was answered before. Raises as `add` does."""
    twin = _finished_twin(connection, new.key)
    if twin is not None:
        new = _answered(new, twin)
    else:
        _require_place(connection, new.account, terms)
        if terms.owner is not None and not _runs(connection, new.key):
            new = msgspec.structs.replace(new, state="running", attempts=1)
    left = 0.0 if isinstance(new, ComparisonJob) else time.monotonic() + LEFT_SECONDS
    rows.write(connection, new, {"owner": terms.owner, "lease_until": lease()}, available_at=left)
    uploads.use(connection, read_by(connection, new))
    return new


def read_by(connection: Connection, job: Job) -> Sequence[Held]:
    """The uploaded files that a job reads."""
    if isinstance(job, Analysis):
        return [(job.account, part) for part in job.parts]
    return uploads.of_job(connection, (job.left_id, job.right_id)) if job.values else ()


def _content(analysis: Analysis) -> list[tuple[str, str]]:
    return [(part.name, part.blake3) for part in analysis.parts]


def _earlier(connection: Connection, new: J, terms: Terms, asked: str) -> J | None:
    """The job that was made with the same Idempotency-Key, unless it failed by a fault of ours."""
    identifier = terms.once and idempotency.find(connection, new.account, terms.once, asked)
    found = rows.find(connection, identifier) if identifier else None
    if not isinstance(found, type(new)) or _is_our_fault(found):
        return None
    return msgspec.structs.replace(found, repeated=True)


def _remember(connection: Connection, accepted: Job, terms: Terms, asked: str) -> None:
    if terms.once is not None:
        idempotency.remember(connection, accepted.account, terms.once, asked, accepted.id)


def _keep_again(connection: Connection, earlier: Analysis, incoming: Sequence[Incoming]) -> None:
    """Its upload may be gone by now, and was just sent again: as without a key, that brings it back."""
    if earlier.state != "cancelled":
        _place(incoming)
        uploads.use(connection, read_by(connection, earlier))


def _place(incoming: Sequence[Incoming]) -> None:
    for file in incoming:
        file.keep()


def _runs(connection: Connection, key: str) -> bool:
    return connection.execute(_TWIN, {"key": key, "state": "running"}).first() is not None


def lease() -> float:
    """When a lease given now ends, on this machine's monotonic clock: no one can set it back."""
    return time.monotonic() + LEASE_SECONDS


def _finished_twin(connection: Connection, key: str) -> RowMapping | None:
    return connection.execute(_TWIN, {"key": key, "state": "succeeded"}).mappings().first()


def _require_place(connection: Connection, account: str, terms: Terms) -> None:
    """Overloaded or QuotaExceeded if too many jobs wait, of all or of the account."""
    if connection.execute(_WAITING).scalar_one() >= terms.max_queued:
        raise Overloaded(msg("Too many analyses are waiting."), limit="max_queued_jobs", maximum=terms.max_queued)
    if not (account and terms.max_of_account):
        return
    if connection.execute(_WAITING.where(analyses.c.account == account)).scalar_one() >= terms.max_of_account:
        raise QuotaExceeded(
            msg("No more than {maximum} jobs of one account may wait.", maximum=terms.max_of_account),
            limit="max_queued_jobs_per_account",
            maximum=terms.max_of_account,
            retry_after=WAITING_SECONDS,
        )


def _answered(new: J, twin: RowMapping) -> J:
    facts = {name: twin[name] for name in ("report_id", "format", "framework") if name in new.__struct_fields__}
    return msgspec.structs.replace(new, state="succeeded", finished_at=time.time(), cached=True, **facts)


def derive(database: Database, blobs: Blobs, parent: Analysis, options: Options, terms: Terms) -> Analysis:
    """The analysis of `parent`'s upload with `options`: `parent` itself, the one derived before, or a new one.

    A new one is accepted as in `add`, is not listed, and goes with its parent. A failure is told again; one that was
    not the upload's fault only for `FAILED_AGAIN_SECONDS`.

    Raises:
        NotFound: The analysis was deleted meanwhile.
        NotFinished: It has no report.
        UploadGone: Its files are no longer there.
        Overloaded, QuotaExceeded: Too many jobs wait already, of all or of the account.
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
        known = _derived_before(connection, blobs, new)
        if known is not None:
            return known
        is_kept = _is_kept(connection, blobs, found)  # accepting it notes their use
        accepted = accept(connection, new, terms)
        if not (accepted.final or is_kept):
            raise UploadGone(msg("The upload of this analysis is no longer stored."))
    return accepted


def _derived(parent: Analysis, options: Options) -> Analysis:
    return Analysis(
        id=new_id(),
        state="queued",
        created_at=time.time(),
        name=parent.name,
        bytes=parent.bytes,
        key=result_key(parent.parts, VERSION, options, parent.account),
        request_id=parent.request_id,
        account=parent.account,
        parts=parent.parts,
        options=options,
        parent_id=parent.id,
    )


def _derived_before(connection: Connection, blobs: Blobs, new: Analysis) -> Analysis | None:
    query = select(analyses.c.id).where(analyses.c.parent_id == new.parent_id, analyses.c.key == new.key)
    identifier = connection.execute(query.limit(1)).scalar()
    known = None if identifier is None else rows.find(connection, identifier)
    if not isinstance(known, Analysis) or not _may_succeed_now(connection, blobs, known):
        return known if isinstance(known, Analysis) else None
    connection.execute(analyses.delete().where(analyses.c.id == known.id))
    return None


def _may_succeed_now(connection: Connection, blobs: Blobs, found: Analysis) -> bool:
    """Whether it was called off, failed by a fault of ours some time ago, or for want of files that came again."""
    if found.state == "cancelled" or _came_again(blobs, found):
        return True
    ended = connection.execute(select(analyses.c.kept_from).where(analyses.c.id == found.id)).scalar()
    return _is_our_fault(found) and (ended or 0.0) < ages.now(connection) - FAILED_AGAIN_SECONDS


def _came_again(blobs: Blobs, found: Analysis) -> bool:
    """Whether its files were lost or damaged, and one is newer than that."""
    if found.error is None or found.error.code != InputLost.code:
        return False
    files = [blobs.path(part.blake3) for part in found.parts]
    return any(file.exists() and file.stat().st_mtime > (found.finished_at or 0.0) for file in files)


def _is_our_fault(found: Job) -> bool:
    """Whether it failed, and that was not the content's doing."""
    return found.error is not None and issubclass(BY_CODE.get(found.error.code, WeighbridgeError), ServiceError)


def _is_kept(connection: Connection, blobs: Blobs, found: Analysis) -> bool:
    digests = [part.blake3 for part in found.parts]
    return uploads.holds(connection, found.account, digests) and all(blobs.path(digest).exists() for digest in digests)
