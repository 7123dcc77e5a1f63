"""From an upload to a job, and from a job to what has become of it: what analyses and comparisons share."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TypeVar

from flask import g

from service.errors import Cancelled, NotFinished
from service.jobs import catalogue
from service.jobs.analysis import VERSION
from service.jobs.hashing import Follower
from service.jobs.identifiers import new_id
from service.jobs.records import Analysis, ComparisonJob, Options, StoredReport, result_key
from service.jobs.reports import learn_sha256
from service.language import msg
from service.web import failures
from service.web.services import Services
from service.web.uploads import Upload, names_of

J = TypeVar("J", Analysis, ComparisonJob)


def accept(parts: Services, upload: Upload, options: Options) -> Analysis:
    """Make the upload and its row durable."""
    files = upload.parts()
    new = Analysis(
        id=new_id(),
        state="queued",
        created_at=time.time(),
        name=names_of(upload),
        bytes=sum(file.bytes for file in files),
        key=result_key(files, VERSION, options),
        request_id=g.request_id,
        parts=files,
        options=options,
    )
    incoming = [file.incoming for file in upload.files]
    accepted = catalogue.add(
        parts.database,
        new,
        incoming,
        max_queued=parts.settings.max_queued_jobs,
        owner=parts.engine.ready_owner(new.lane),
    )
    for file, part in zip(incoming, files, strict=True):
        if part.sha256 is None and file.follower is not None:
            _learn_later(parts, part.blake3, file.follower)
    return accepted


def _learn_later(parts: Services, digest: str, follower: Follower) -> None:
    follower.then(lambda sha256: learn_sha256(parts.database, digest, sha256))


def run(parts: Services, accepted: J, seconds: float) -> J:
    """Hand the job to the engine, and return what has become of it after at most `seconds`."""
    if accepted.final:
        return accepted
    with parts.slots.waiting() as granted:
        return _existing(parts.engine.run(accepted, seconds if granted else 0.0))


def wait(parts: Services, found: J, seconds: float) -> J:
    """The job after at most `seconds`."""
    if found.final or not seconds:
        return found
    with parts.slots.waiting() as granted:
        later = parts.engine.wait(found.id, seconds if granted else 0.0)
    return _existing(later if isinstance(later, type(found)) else None)


def _existing(found: J | None) -> J:
    if found is None:
        raise Cancelled(msg("It was deleted while this request waited for it."))
    return found


def existing_analysis(parts: Services, identifier: str) -> Analysis:
    """The analysis; NotFound if there is none."""
    found = catalogue.get(parts.database, identifier)
    if found is None:
        raise failures.not_found()
    return found


def settled(parts: Services, found: Analysis, query: Mapping[str, Any]) -> Analysis:
    """The analysis after `wait` seconds at most; with `stats`, the one derived from it that has statistics.

    Raises:
        UploadGone: Statistics are wanted, and the upload is no longer there.
    """
    began = time.monotonic()
    seconds = query.get("wait", 0.0)
    found = wait(parts, found, seconds)
    if not query.get("stats") or found.state != "succeeded":
        return found
    derived = catalogue.derive(
        parts.database, parts.blobs, found, Options(stats=True), max_queued=parts.settings.max_queued_jobs
    )
    left = max(0.0, seconds - (time.monotonic() - began))
    return run(parts, derived, left) if derived.state == "queued" else wait(parts, derived, left)


def stored(parts: Services, found: Analysis) -> StoredReport:
    """The report of a finished analysis. NotFinished where there is none."""
    if found.error is not None:
        raise NotFinished(msg("The analysis failed: there is no report."), reason=found.error.code)
    if found.state == "cancelled":
        raise NotFinished(msg("The analysis was cancelled: there is no report."), state=found.state)
    if found.report_id is None:
        raise NotFinished(msg("The analysis is not finished."), state=found.state)
    return catalogue.report(parts.database, found.report_id)
