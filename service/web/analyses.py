"""The resource /v1/analyses: taken in, shown, listed, deleted. Must not know how anything is read."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from schemas.requests import CreateQuery, ListQuery, ShowQuery
from service.errors import Cancelled, Overloaded
from service.jobs import catalogue
from service.jobs.records import Analysis
from service.jobs.records import Options as Asked
from service.language import msg
from service.presentation import JSON, Options
from service.splicing import Pieces
from service.web import answers, documents, failures, metrics
from service.web.accepting import accept, existing_analysis, once, run, settled
from service.web.guard import caller, holder
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
    options, key = options_of(query), once(parts)
    with ExitStack() as stack:
        stack.enter_context(parts.slots.uploading(holder()))
        upload = Receiver(request, parts.settings, parts.storage, stack).receive(query.get("filename"))
        accepted = accept(parts, upload, Asked(stats=query.get("stats", False)), key)
    metrics.uploaded.inc(accepted.bytes)
    found = run(parts, accepted, query.get("wait", parts.settings.default_wait_seconds))
    return _created(parts, found, options)


def _created(parts: Services, found: Analysis, options: Options) -> Response:
    if found.error is not None:
        return failures.answer(found.error, about=found)
    if found.state == "cancelled":
        raise Cancelled(msg("The analysis was cancelled before it was finished."))
    response = _accepted(parts, found, options)
    response.headers["Location"] = documents.link(found.id)
    return response


def _accepted(parts: Services, found: Analysis, options: Options) -> Response:
    """The analysis as it is; without the report where too many large ones are being sent: it is to be asked for."""
    if found.report_id is not None:
        try:
            return _with_report(parts, found, found.report_id, options, 201)
        except Overloaded:
            return answers.not_finished(documents.body(found, None, options.language))
    text = documents.body(found, None, options.language)
    return answers.document(text, 201) if found.final else answers.not_finished(text)


def _with_report(parts: Services, found: Analysis, report_id: int, options: Options, status: int = 200) -> Response:
    """The analysis with its report as the reader wants it."""
    kept = catalogue.report(parts.database, report_id)

    def made() -> Pieces:
        return documents.body(found, parts.presenter.report(kept, JSON, options).pieces(), options.language)

    return answers.enclosing(kept, made, status)


@blueprint.get("/<id:identifier>")
def show(identifier: str) -> Response:
    """One analysis, with its report once it has one; after at most `wait` seconds."""
    parts = services()
    query = ShowQuery().load(request.args)
    options = options_of(query)
    found = settled(parts, existing_analysis(parts, identifier), query)
    if found.parent_id is not None and found.error is not None:
        return failures.answer(found.error, about=found)
    if found.report_id is not None:
        return _with_report(parts, found, found.report_id, options)
    text = documents.body(found, None, options.language)
    return answers.document(text) if found.final or not query.get("stats") else answers.not_finished(text)


@blueprint.get("")
def listing() -> Response:
    """Analyses, newest first, a page at a time."""
    query: dict[str, Any] = dict(ListQuery().load(request.args))
    limit, before = query.pop("limit"), query.pop("cursor", None)
    chosen = {"lang": query.pop("lang")} if "lang" in query else {}
    if "sha256" in query:
        query["sha256"] = query["sha256"].lower()
    found = catalogue.page(services().database, limit=limit + 1, before=before, filters=query | _mine())
    following = None
    if len(found) > limit:
        found = found[:limit]
        following = f"{documents.PREFIX}?{urlencode({**query, **chosen, 'limit': limit, 'cursor': found[-1].id})}"
    return answers.document(documents.listing(found, following, language()))


def _mine() -> dict[str, str]:
    """What keeps a listing to the caller's own analyses; nothing for who sees all."""
    return {} if caller().may("admin") else {"account": caller().account}


@blueprint.delete("/<id:identifier>")
def delete(identifier: str) -> Response:
    """Delete an analysis with its upload and report; one that waits or runs is killed and stays `cancelled`."""
    parts = services()
    existing_analysis(parts, identifier)
    if not catalogue.remove(parts.database, parts.blobs, identifier):
        raise failures.not_found()
    parts.engine.cancel(identifier)
    return Response(status=204)
