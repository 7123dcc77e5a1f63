"""The resource /v1/analyses/{id}/report: one report in the representation that the client asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, request

from schemas.requests import ReportQuery
from service.jobs.records import Analysis, StoredReport
from service.presentation import REPORT_VIEWS, tag
from service.web import answers, documents, failures
from service.web.accepting import existing_analysis, settled, stored
from service.web.languages import language
from service.web.services import Services, services
from service.web.viewing import chosen_view, options_of

blueprint = Blueprint("reports", __name__, url_prefix=documents.PREFIX)


@blueprint.get("/<id:identifier>/report")
def report(identifier: str) -> Response:
    """The report as data, text or picture."""
    parts = services()
    query = ReportQuery().load(request.args)
    view = chosen_view(REPORT_VIEWS, query.get("format"))
    options = options_of(query)

    def answer(_found: Analysis, kept: StoredReport) -> Response:
        made = tag(kept, view.name, options)
        return answers.resource(made, view, lambda: parts.presenter.report(kept, view, options), kept)

    return of_report(parts, identifier, query, answer)


def of_report(
    parts: Services, identifier: str, query: Mapping[str, Any], answer: Callable[[Analysis, StoredReport], Response]
) -> Response:
    """`answer(analysis, report)` once there is one; 202 while statistics that were asked for are still being made."""
    found = settled(parts, existing_analysis(parts, identifier), query)
    if found.parent_id is not None:
        if found.error is not None:
            return failures.answer(found.error, about=found)
        if not found.final:
            return answers.not_finished(documents.body(found, None, language()))
    return answer(found, stored(parts, found))
