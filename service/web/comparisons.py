"""The resource /v1/comparisons: two analyses, or two uploads, held against each other. Knows nothing of how."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import msgspec
from flask import Blueprint, Response, request

from schemas.requests import CompareBody, CompareQuery, ComparisonQuery
from service.errors import Cancelled, NotFinished, NotFound, Overloaded, RequestError
from service.jobs import catalogue, comparisons
from service.jobs.idempotency import Once
from service.jobs.records import ComparisonJob, StoredReport
from service.language import msg
from service.presentation import COMPARISON_VIEWS, JSON, Options, View, tag
from service.splicing import Pieces
from service.web import answers, documents, failures, metrics
from service.web.accepting import accept_comparison, accept_pair, once, run, wait
from service.web.body import announced_length, check_length, pieces
from service.web.guard import caller, holder
from service.web.languages import language
from service.web.services import Services, services
from service.web.uploads import TWO_MODELS, Receiver
from service.web.viewing import chosen_view

blueprint = Blueprint("comparisons", __name__, url_prefix=documents.COMPARISONS)

MAX_BODY = 64 << 10
"""Bytes of a JSON body that names two analyses."""


@blueprint.post("")
def create() -> Response:
    """Compare two analyses by id, or two uploads, which become analyses; finished if `wait` seconds are enough."""
    parts = services()
    query = CompareQuery().load(request.args)
    make = _of_ids if request.mimetype == "application/json" else _of_uploads
    accepted = make(parts, query, once(parts))
    found = run(parts, accepted, query.get("wait", parts.settings.default_wait_seconds))
    if found.error is not None:
        return failures.answer(found.error, about=found)
    if found.state == "cancelled":
        raise Cancelled(msg("The comparison was cancelled before it was finished."))
    response = _accepted(parts, found)
    response.headers["Location"] = documents.comparison_links(found)["self"]
    return response


def _of_ids(parts: Services, query: Mapping[str, Any], key: Once | None) -> ComparisonJob:
    check_length(announced_length(request), MAX_BODY)
    try:
        sent = msgspec.json.decode(b"".join(pieces(request, parts.settings, MAX_BODY)))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RequestError(
            msg("The body is not valid JSON: {reason}", reason=str(error)[:200]), pointer=failures.BODY
        ) from None
    body = CompareBody().load(sent)
    for side in comparisons.SIDES:
        _check_side(parts, side, body[side])
    values = body.get("values", query.get("values", False))
    return accept_comparison(parts, body["left"], body["right"], key, values=values)


def _of_uploads(parts: Services, query: Mapping[str, Any], key: Once | None) -> ComparisonJob:
    """Each side an analysis of its own, which stays."""
    with ExitStack() as stack:
        stack.enter_context(parts.slots.uploading(holder()))
        uploads, texts = Receiver(request, parts.settings, parts.storage, stack).receive_two()
        values = CompareQuery().load(texts).get("values", query.get("values", False))
        accepted = accept_pair(parts, uploads["left"], uploads["right"], key, values=values)
        metrics.uploaded.inc(sum(file.incoming.size for side in TWO_MODELS for file in uploads[side].files))
    return accepted


def _check_side(parts: Services, side: str, identifier: str) -> None:
    """NotFound unless the caller may see this analysis; as if it were not there."""
    found = catalogue.get(parts.database, identifier)
    if found is None or not caller().sees(found.account):
        raise NotFound(msg("There is no analysis {id}.", id=identifier), pointer=side)


def _accepted(parts: Services, found: ComparisonJob) -> Response:
    """The comparison as it is; without the answer where too many large ones are being sent: it is to be asked for."""
    if found.report_id is not None:
        try:
            return _whole(parts, found, found.report_id, 201)
        except Overloaded:
            return answers.not_finished(documents.comparison_body(found, None, language()))
    text = documents.comparison_body(found, None, language())
    return answers.document(text, 201) if found.final else answers.not_finished(text)


def _whole(parts: Services, found: ComparisonJob, report_id: int, status: int = 200) -> Response:
    """The comparison with its answer."""
    kept = catalogue.report(parts.database, report_id)
    options = Options(language=language())

    def made() -> Pieces:
        return documents.comparison_body(
            found, parts.presenter.comparison(kept, JSON, options).pieces(), options.language
        )

    return answers.enclosing(kept, made, status)


@blueprint.get("/<id:identifier>")
def show(identifier: str) -> Response:
    """One comparison after at most `wait` seconds: as JSON whatever its state, else its answer as text or table."""
    parts = services()
    query = ComparisonQuery().load(request.args)
    view = chosen_view(COMPARISON_VIEWS, query.get("format"))
    found = wait(parts, _existing(parts, identifier), query.get("wait", 0.0))
    if view is JSON:
        if found.report_id is None:
            response = answers.document(documents.comparison_body(found, None, language()))
        else:
            response = _whole(parts, found, found.report_id)
        response.vary.add("Accept")
        return response
    return _viewed(parts, _stored(parts, found), view)


def _viewed(parts: Services, kept: StoredReport, view: View) -> Response:
    options = Options(language=language())
    made = tag(kept, view.name, options)
    return answers.resource(made, view, lambda: parts.presenter.comparison(kept, view, options), kept)


def _stored(parts: Services, found: ComparisonJob) -> StoredReport:
    if found.error is not None:
        raise NotFinished(msg("The comparison failed: there is no answer."), reason=found.error.code)
    if found.report_id is None:
        raise NotFinished(msg("The comparison is not finished."), state=found.state)
    return catalogue.report(parts.database, found.report_id)


@blueprint.delete("/<id:identifier>")
def delete(identifier: str) -> Response:
    """Delete a comparison and its answer, not the analyses; one that waits or runs is stopped and stays `cancelled`."""
    parts = services()
    _existing(parts, identifier)
    if not comparisons.remove(parts.database, identifier):
        raise _not_found()
    parts.engine.cancel(identifier)
    return Response(status=204)


def _existing(parts: Services, identifier: str) -> ComparisonJob:
    """The comparison; NotFound if there is none, and just so if it is not the caller's."""
    found = comparisons.get(parts.database, identifier)
    if found is None or not caller().sees(found.account):
        raise _not_found()
    return found


def _not_found() -> NotFound:
    return NotFound(msg("There is no such comparison."), hint=msg("It may have been deleted."))
