"""The resource /v1/analyses: taken in, shown, listed, deleted. Must not know how anything is read."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from schemas.requests import CreateQuery, ListQuery, ShowQuery
from service.errors import Cancelled
from service.jobs import catalogue
from service.jobs.records import Analysis
from service.jobs.records import Options as Asked
from service.language import msg
from service.presentation import JSON, Options
from service.splicing import Pieces
from service.web import answers, documents, failures, metrics
from service.web.accepting import accept, existing_analysis, run, settled
from service.web.languages import language
from service.web.services import Services, services
from service.web.uploads import Receiver
from service.web.viewing import options_of

blueprint = Blueprint("analyses", __name__, url_prefix=documents.PREFIX)


@blueprint.post("")
def create() -> Response:
    """Take an upload in, and answer with the analysis: finished if that takes no longer than `wait` seconds."""
    parts = services()
    query = CreateQuery().load(request.args)
    options = options_of(query)
    with ExitStack() as stack:
        stack.enter_context(parts.slots.uploading())
        upload = Receiver(request, parts.settings, parts.blobs, stack).receive(query.get("filename"))
        accepted = accept(parts, upload, Asked(stats=query.get("stats", False)))
    metrics.uploaded.inc(accepted.bytes)
    found = run(parts, accepted, query.get("wait", parts.settings.default_wait_seconds))
    return _created(parts, found, options)


def _created(parts: Services, found: Analysis, options: Options) -> Response:
    if found.error is not None:
        return failures.answer(found.error, about=found)
    if found.state == "cancelled":
        raise Cancelled(msg("The analysis was cancelled before it was finished."))
    text = _body(parts, found, options)
    response = answers.document(text, 201) if found.final else answers.not_finished(text)
    response.headers["Location"] = documents.link(found.id)
    return response


def _body(parts: Services, found: Analysis, options: Options) -> Pieces:
    """The analysis with its report, if it has one, as the reader wants it."""
    if found.report_id is None:
        return documents.body(found, None, options.language)
    report = parts.presenter.report(catalogue.report(parts.database, found.report_id), JSON, options)
    return documents.body(found, report.pieces(), options.language)


@blueprint.get("/<id:identifier>")
def show(identifier: str) -> Response:
    """One analysis, with its report once it has one; after at most `wait` seconds."""
    parts = services()
    query = ShowQuery().load(request.args)
    options = options_of(query)
    found = settled(parts, existing_analysis(parts, identifier), query)
    if found.parent_id is not None and found.error is not None:
        return failures.answer(found.error, about=found)
    text = _body(parts, found, options)
    return answers.document(text) if found.final or not query.get("stats") else answers.not_finished(text)


@blueprint.get("")
def listing() -> Response:
    """Analyses, newest first, a page at a time."""
    query: dict[str, Any] = dict(ListQuery().load(request.args))
    limit, before = query.pop("limit"), query.pop("cursor", None)
    chosen = {"lang": query.pop("lang")} if "lang" in query else {}
    if "sha256" in query:
        query["sha256"] = query["sha256"].lower()
    found = catalogue.page(services().database, limit=limit + 1, before=before, filters=query)
    following = None
    if len(found) > limit:
        found = found[:limit]
        following = f"{documents.PREFIX}?{urlencode({**query, **chosen, 'limit': limit, 'cursor': found[-1].id})}"
    return answers.document(documents.listing(found, following, language()))


@blueprint.delete("/<id:identifier>")
def delete(identifier: str) -> Response:
    """Delete an analysis with its upload and report; one that waits or runs is killed and stays `cancelled`."""
    parts = services()
    if not catalogue.remove(parts.database, parts.blobs, identifier):
        raise failures.not_found()
    parts.engine.cancel(identifier)
    return Response(status=204)
