"""The resource /v1/comparisons: two analyses, or two uploads, held against each other. Knows nothing of how."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import msgspec
from flask import Blueprint, Response, g, request

from schemas.requests import CompareBody, CompareQuery, ComparisonQuery
from service.errors import Cancelled, NotFinished, NotFound, RequestError
from service.jobs import catalogue, comparisons
from service.jobs.identifiers import new_id
from service.jobs.records import Analysis, ComparisonJob, StoredReport
from service.jobs.records import Options as Asked
from service.language import msg
from service.presentation import COMPARISON_VIEWS, JSON, Options, View, tag
from service.web import answers, documents, failures, metrics
from service.web.accepting import accept, run, wait
from service.web.body import announced_length, check_length, pieces
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
    named = request.mimetype == "application/json"
    accepted = _of_ids(parts, query) if named else _of_uploads(parts, query)
    found = run(parts, accepted, query.get("wait", parts.settings.default_wait_seconds))
    if found.error is not None:
        return failures.answer(found.error, about=found)
    if found.state == "cancelled":
        raise Cancelled(msg("The comparison was cancelled before it was finished."))
    data = _body(parts, found)
    response = answers.document(data, 201) if found.final else answers.not_finished(data)
    response.headers["Location"] = documents.comparison_links(found)["self"]
    return response


def _of_ids(parts: Services, query: Mapping[str, Any]) -> ComparisonJob:
    check_length(announced_length(request), MAX_BODY)
    try:
        sent = msgspec.json.decode(b"".join(pieces(request, parts.settings, MAX_BODY)))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RequestError(
            msg("The body is not valid JSON: {reason}", reason=str(error)[:200]), pointer=failures.BODY
        ) from None
    body = CompareBody().load(sent)
    return _add(parts, body["left"], body["right"], values=body.get("values", query.get("values", False)))


def _of_uploads(parts: Services, query: Mapping[str, Any]) -> ComparisonJob:
    """Each side an analysis of its own, which stays; unless the comparison cannot be accepted after all."""
    with ExitStack() as stack:
        stack.enter_context(parts.slots.uploading())
        uploads, texts = Receiver(request, parts.settings, parts.blobs, stack).receive_two()
        values = CompareQuery().load(texts).get("values", query.get("values", False))
        sides: list[Analysis] = []
        try:
            for side in TWO_MODELS:
                sides.append(accept(parts, uploads[side], Asked()))
                run(parts, sides[-1], 0.0)
            accepted = _add(parts, sides[0].id, sides[1].id, values=values)
        except Exception:
            for side_made in sides:
                catalogue.remove(parts.database, parts.blobs, side_made.id)
                parts.engine.cancel(side_made.id)
            raise
    metrics.uploaded.inc(sum(side_made.bytes for side_made in sides))
    return accepted


def _add(parts: Services, left: str, right: str, *, values: bool) -> ComparisonJob:
    new = ComparisonJob(
        id=new_id(),
        state="queued",
        created_at=time.time(),
        left_id=left,
        right_id=right,
        values=values,
        request_id=g.request_id,
    )
    owner = parts.engine.ready_owner(new.lane)
    return comparisons.add(parts.database, new, max_queued=parts.settings.max_queued_jobs, owner=owner)


def _body(parts: Services, found: ComparisonJob) -> bytes:
    if found.report_id is None:
        return answers.encoded(documents.comparison(found))
    kept = catalogue.report(parts.database, found.report_id)
    answer = parts.presenter.comparison(kept, JSON, Options(language=language()))
    return answers.encoded(documents.comparison(found, answer.plain()))


@blueprint.get("/<id:identifier>")
def show(identifier: str) -> Response:
    """One comparison after at most `wait` seconds: as JSON whatever its state, else its answer as text or table."""
    parts = services()
    query = ComparisonQuery().load(request.args)
    view = chosen_view(COMPARISON_VIEWS, query.get("format"))
    found = comparisons.get(parts.database, identifier)
    if found is None:
        raise _not_found()
    found = wait(parts, found, query.get("wait", 0.0))
    if view is JSON:
        response = answers.document(_body(parts, found))
        response.vary.add("Accept")
        return response
    return _viewed(parts, _stored(parts, found), view)


def _viewed(parts: Services, kept: StoredReport, view: View) -> Response:
    options = Options(language=language())
    made = tag(kept, view.name, options)
    return answers.resource(made, view, lambda: parts.presenter.comparison(kept, view, options))


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
    if not comparisons.remove(parts.database, identifier):
        raise _not_found()
    parts.engine.cancel(identifier)
    return Response(status=204)


def _not_found() -> NotFound:
    return NotFound(msg("There is no such comparison."), hint=msg("It may have been deleted."))
