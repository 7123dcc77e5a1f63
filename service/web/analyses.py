"""The resource /v1/analyses: taken in, shown, listed, deleted. Must not know how anything is read."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, g, request

from schemas.requests import CreateQuery, ListQuery, ShowQuery
from service.errors import Cancelled
from service.jobs import catalogue
from service.jobs.analysis import VERSION
from service.jobs.hashing import Follower
from service.jobs.identifiers import new_id
from service.jobs.records import Analysis, result_key
from service.jobs.reports import learn_sha256, text
from service.web import documents, failures, metrics
from service.web.services import Services
from service.web.uploads import Receiver, Upload, names_of

blueprint = Blueprint("analyses", __name__, url_prefix=documents.PREFIX)


def services() -> Services:
    """The parts of this process."""
    found: Services = current_app.extensions["services"]
    return found


@blueprint.post("")
def create() -> Response:
    """Take an upload in, and answer with the analysis: finished if that takes no longer than `wait` seconds."""
    parts = services()
    query = CreateQuery().load(request.args)
    with ExitStack() as stack:
        stack.enter_context(parts.slots.uploading())
        upload = Receiver(request, parts.settings, parts.blobs, stack).receive(query.get("filename"))
        accepted = _accept(parts, upload)
    metrics.uploaded.inc(accepted.bytes)
    found = _run(parts, accepted, query.get("wait", parts.settings.default_wait_seconds))
    return _created(parts, found)


def _accept(parts: Services, upload: Upload) -> Analysis:
    """Make the upload and its row durable, and wake the engine."""
    files = upload.parts()
    new = Analysis(
        id=new_id(),
        state="queued",
        created_at=time.time(),
        name=names_of(upload),
        bytes=sum(file.bytes for file in files),
        key=result_key(files, VERSION),
        request_id=g.request_id,
        parts=files,
    )
    incoming = [file.incoming for file in upload.files]
    accepted = catalogue.add(
        parts.database,
        new,
        incoming,
        max_queued=parts.settings.max_queued_jobs,
        owner=parts.engine.ready_owner(),
    )
    for file, part in zip(incoming, files, strict=True):
        if part.sha256 is None and file.follower is not None:
            _learn_later(parts, part.blake3, file.follower)
    return accepted


def _learn_later(parts: Services, digest: str, follower: Follower) -> None:
    follower.then(lambda sha256: learn_sha256(parts.database, digest, sha256))


def _run(parts: Services, accepted: Analysis, seconds: float) -> Analysis:
    """Hand the job to the engine, and return what has become of it after at most `seconds`."""
    if accepted.final:
        return accepted
    with parts.slots.waiting() as granted:
        return _existing(parts.engine.run(accepted, seconds if granted else 0.0))


def _wait(parts: Services, identifier: str, seconds: float) -> Analysis:
    """The analysis after at most `seconds`."""
    with parts.slots.waiting() as granted:
        return _existing(parts.engine.wait(identifier, seconds if granted else 0.0))


def _existing(found: Analysis | None) -> Analysis:
    if found is None:
        raise Cancelled("The analysis was deleted while this request waited for it.")
    return found


def _created(parts: Services, found: Analysis) -> Response:
    if found.error is not None:
        return failures.answer(found.error, about=found)
    if found.state == "cancelled":
        raise Cancelled("The analysis was cancelled before it was finished.")
    response = _document(parts, found, 201 if found.final else 202)
    response.headers["Location"] = documents.link(found.id)
    if not found.final:
        response.headers["Retry-After"] = "1"
    return response


def _document(parts: Services, found: Analysis, status: int = 200) -> Response:
    report = None if found.report_id is None else text(catalogue.report(parts.database, found.report_id))
    response = Response(documents.body(found, report), status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/<id:identifier>")
def show(identifier: str) -> Response:
    """One analysis, with its report once it has one; after at most `wait` seconds."""
    parts = services()
    seconds = ShowQuery().load(request.args).get("wait", 0.0)
    found = catalogue.get(parts.database, identifier)
    if found is None:
        raise failures.not_found()
    return _document(parts, found if found.final or not seconds else _wait(parts, identifier, seconds))


@blueprint.get("")
def listing() -> Response:
    """Analyses, newest first, a page at a time."""
    query: dict[str, Any] = dict(ListQuery().load(request.args))
    limit, before = query.pop("limit"), query.pop("cursor", None)
    if "sha256" in query:
        query["sha256"] = query["sha256"].lower()
    found = catalogue.page(services().database, limit=limit + 1, before=before, filters=query)
    following = None
    if len(found) > limit:
        found = found[:limit]
        following = f"{documents.PREFIX}?{urlencode({**query, 'limit': limit, 'cursor': found[-1].id})}"
    return Response(documents.listing(found, following), content_type="application/json")


@blueprint.delete("/<id:identifier>")
def delete(identifier: str) -> Response:
    """Delete an analysis with its upload and report; one that waits or runs is killed and stays `cancelled`."""
    parts = services()
    if not catalogue.remove(parts.database, parts.blobs, identifier):
        raise failures.not_found()
    parts.engine.cancel(identifier)
    return Response(status=204)
