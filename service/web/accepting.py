"""From an upload to a job, and from a job to what has become of it: what analyses and comparisons share."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, TypeVar

from flask import g, request

from service.errors import Cancelled, NotFinished, RequestError
from service.jobs import acceptance, catalogue, idempotency
from service.jobs.acceptance import Terms
from service.jobs.analysis import VERSION
from service.jobs.blobs import Incoming
from service.jobs.hashing import Follower
from service.jobs.idempotency import Once
from service.jobs.identifiers import new_id
from service.jobs.records import Analysis, ComparisonJob, Lane, Options, StoredReport, result_key
from service.jobs.reports import learn_sha256
from service.language import msg
from service.web import failures
from service.web.guard import caller, concerns, holder
from service.web.services import Services
from service.web.uploads import Upload, names_of

J = TypeVar("J", Analysis, ComparisonJob)
KEY = re.compile(r'"(?P<quoted>[ !#-\[\]-~]{1,255})"|(?P<bare>[!#-+\--:<-~]{1,255})')
"""Without quotes neither a list nor parameters: no comma, semicolon or space."""


def accept(parts: Services, upload: Upload, options: Options, once: Once | None) -> Analysis:
    """Make the upload and its row durable."""
    new = _analysis(upload, options)
    terms = _terms(parts, new.lane, once)
    accepted = acceptance.add(parts.database, new, _incoming(upload), terms)
    parts.storage.note_stored(new.bytes)
    concerns(analysis=accepted.id)
    _follow(parts, upload, new)
    return accepted


def accept_comparison(parts: Services, left: str, right: str, once: Once | None, *, values: bool) -> ComparisonJob:
    """Make the comparison of two analyses durable."""
    new = _comparison(left, right, values=values)
    accepted, _ = acceptance.add_comparison(parts.database, parts.blobs, new, (), _terms(parts, new.lane, once))
    concerns(comparison=accepted.id, left=accepted.left_id, right=accepted.right_id)
    return accepted


def accept_pair(parts: Services, left: Upload, right: Upload, once: Once | None, *, values: bool) -> ComparisonJob:
    """Make two uploads, an analysis of each, and their comparison durable together, and have the analyses run."""
    sides = [(_analysis(upload, Options()), upload) for upload in (left, right)]
    new = _comparison(sides[0][0].id, sides[1][0].id, values=values)
    incoming = [(side, _incoming(upload)) for side, upload in sides]
    terms = _terms(parts, "quick", once)
    accepted, made = acceptance.add_comparison(parts.database, parts.blobs, new, incoming, terms)
    parts.storage.note_stored(sum(side.bytes for side in made))
    concerns(comparison=accepted.id, left=accepted.left_id, right=accepted.right_id)
    for side in made:
        run(parts, side, 0.0)
    for side, upload in sides:
        _follow(parts, upload, side)
    return accepted


def _analysis(upload: Upload, options: Options) -> Analysis:
    files = upload.parts()
    return Analysis(
        id=new_id(),
        state="queued",
        created_at=time.time(),
        name=names_of(upload),
        bytes=sum(file.bytes for file in files),
        key=result_key(files, VERSION, options, caller().account),
        request_id=g.request_id,
        account=caller().account,
        parts=files,
        options=options,
    )


def _comparison(left: str, right: str, *, values: bool) -> ComparisonJob:
    return ComparisonJob(
        id=new_id(),
        state="queued",
        created_at=time.time(),
        left_id=left,
        right_id=right,
        values=values,
        request_id=g.request_id,
        account=caller().account,
    )


def _terms(parts: Services, lane: Lane, once: Once | None) -> Terms:
    return Terms(
        max_queued=parts.settings.max_queued_jobs,
        max_of_account=parts.settings.max_queued_jobs_per_account,
        owner=parts.engine.ready_owner(lane),
        once=once,
    )


def once(parts: Services) -> Once | None:
    """The request's Idempotency-Key: a string as structured fields have them (RFC 8941), or the same without quotes.

    To be asked before the body is received: RequestError if it is neither.
    """
    sent = request.headers.get(idempotency.HEADER)
    if sent is None:
        return None
    found = KEY.fullmatch(sent.strip())
    if found is None:
        raise RequestError(
            msg("The Idempotency-Key must be 1 to 255 characters of visible ASCII, in double quotes."),
            pointer=idempotency.HEADER,
        )
    return Once(name=found["quoted"] or found["bare"], seconds=parts.settings.idempotency_seconds)


def _incoming(upload: Upload) -> list[Incoming]:
    return [file.incoming for file in upload.files]


def _follow(parts: Services, upload: Upload, new: Analysis) -> None:
    """Have the SHA-256 of large files written down once it is known."""
    for incoming, part in zip(_incoming(upload), new.parts, strict=True):
        if part.sha256 is None and incoming.follower is not None:
            _learn_later(parts, part.blake3, incoming.follower)


def _learn_later(parts: Services, digest: str, follower: Follower) -> None:
    follower.then(lambda sha256: learn_sha256(parts.database, digest, sha256))


def run(parts: Services, accepted: J, seconds: float) -> J:
    """Hand the job to the engine, and return what has become of it after at most `seconds`."""
    if accepted.final:
        return accepted
    if accepted.repeated:
        return wait(parts, accepted, seconds)
    with parts.slots.waiting(holder()) as granted:
        return _existing(parts.engine.run(accepted, seconds if granted else 0.0))


def wait(parts: Services, found: J, seconds: float) -> J:
    """The job after at most `seconds`."""
    if found.final or not seconds:
        return found
    with parts.slots.waiting(holder()) as granted:
        later = parts.engine.wait(found.id, seconds if granted else 0.0)
    return _existing(later if isinstance(later, type(found)) else None)


def _existing(found: J | None) -> J:
    if found is None:
        raise Cancelled(msg("It was deleted while this request waited for it."))
    return found


def existing_analysis(parts: Services, identifier: str) -> Analysis:
    """The analysis; NotFound if there is none, and just so if it is not the caller's."""
    found = catalogue.get(parts.database, identifier)
    if found is None or not caller().sees(found.account):
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
    terms = Terms(max_queued=parts.settings.max_queued_jobs, max_of_account=parts.settings.max_queued_jobs_per_account)
    derived = acceptance.derive(parts.database, parts.blobs, found, Options(stats=True), terms)
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
