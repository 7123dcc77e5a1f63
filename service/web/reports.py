"""The resource /v1/analyses/{id}/report: one report in the representation that the client asks for."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from flask import Blueprint, Response, request

from schemas.requests import ReportQuery
from service.errors import NotAcceptable, NotFinished
from service.jobs import catalogue
from service.jobs.records import StoredReport
from service.jobs.reports import decode, text
from service.tree import Report
from service.views import csv_rows, markdown
from service.views import text as text_view
from service.web import documents, failures
from service.web.analyses import services

blueprint = Blueprint("reports", __name__, url_prefix=documents.PREFIX)


class View(msgspec.Struct, frozen=True):
    """One representation: its media type, and how it is made; `render` None is the stored JSON itself."""

    name: str
    media_type: str
    render: Callable[[Report], str] | None = None


VIEWS = (
    View("json", "application/json"),
    View("text", "text/plain", text_view.render),
    View("csv", "text/csv", csv_rows.render),
    View("markdown", "text/markdown", markdown.render),
)


@blueprint.get("/<id:identifier>/report")
def report(identifier: str) -> Response:
    """The report as JSON, text, CSV or Markdown."""
    view = _chosen(ReportQuery().load(request.args).get("format"))
    database = services().database
    found = catalogue.get(database, identifier)
    if found is None:
        raise failures.not_found()
    if found.error is not None:
        raise NotFinished("The analysis failed: there is no report.", reason=found.error.code)
    if found.state == "cancelled":
        raise NotFinished("The analysis was cancelled: there is no report.", state=found.state)
    if found.report_id is None:
        raise NotFinished("The analysis is not finished.", state=found.state)
    return _answer(view, catalogue.report(database, found.report_id))


def _chosen(named: str | None) -> View:
    if named is not None:
        view = next((view for view in VIEWS if view.name == named), None)
    else:
        wanted = (
            request.accept_mimetypes.best_match([view.media_type for view in VIEWS])
            if request.accept_mimetypes
            else None
        )
        offered = VIEWS[0].media_type if not request.accept_mimetypes else wanted
        view = next((view for view in VIEWS if view.media_type == offered), None)
    if view is None:
        raise NotAcceptable(
            "A report is made as json, text, csv or markdown.", available=[view.media_type for view in VIEWS]
        )
    return view


def _answer(view: View, stored: StoredReport) -> Response:
    packed = view.render is None and request.accept_encodings["gzip"] > 0
    response = Response(content_type=view.media_type if view.render is None else f"{view.media_type}; charset=utf-8")
    response.set_etag(f"{stored.etag}-{view.name}{'-gzip' if packed else ''}")
    response.vary.update(("Accept", "Accept-Encoding"))
    response.headers["Cache-Control"] = "private, no-cache"
    response.make_conditional(request)
    if response.status_code == 304:
        return response
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.set_data(_content(view, stored, packed=packed))
    return response


def _content(view: View, stored: StoredReport, *, packed: bool) -> bytes:
    if view.render is not None:
        return view.render(decode(stored)).encode("utf-8", "replace")
    return stored.body if packed else text(stored)
