"""The resource /v1/analyses/{id}/layers/{path}: one layer of a report with all that is known of it."""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, request

from schemas.requests import LayerQuery
from service.errors import NotFound
from service.jobs.records import Analysis, StoredReport
from service.language import msg
from service.parsers.suggest import MAX_NAME
from service.presentation import JSON, Shown, paths, tag
from service.web import answers, documents
from service.web.reports import of_report
from service.web.services import services
from service.web.viewing import options_of

blueprint = Blueprint("layers", __name__, url_prefix=documents.PREFIX)

ITSELF = "."
"""The path of the model's own weights. Clients drop such a step from an address: an empty path means it, too."""
AROUND = 1000
"""How many neighbours in alphabetical order, on either side, are compared."""
MAX_NEAR = 5


@blueprint.get("/<id:identifier>/layers/")
@blueprint.get("/<id:identifier>/layers/<anything:path>", merge_slashes=False)
def layer(identifier: str, path: str = ITSELF) -> Response:
    """The layer at `path`, as the report spells it; slashes around it do not matter."""
    parts = services()
    query = LayerQuery().load(request.args)
    options = options_of(query)

    def answer(found: Analysis, kept: StoredReport) -> Response:
        asked = (path, options, found.id)
        done = answers.held(kept)
        try:
            body = parts.presenter.layer(kept, asked, lambda shown: _document(found, shown))
        except LookupError:
            raise _no_layer(kept, path) from None
        finally:
            done()
        return answers.resource(tag(kept, "layer", *asked), JSON, lambda: body)

    return of_report(parts, identifier, query, answer)


def _document(found: Analysis, shown: Shown) -> dict[str, Any]:
    analysis = documents.links(found)
    here = f"{analysis['self']}/layers/{quote(shown.layer.path, safe='/')}"
    return {
        "analysis": documents.public_id(found),
        "layer": shown.layer,
        "findings": shown.findings,
        "kind": shown.kind,
        "block": shown.block,
        "blocks": shown.blocks,
        "links": {"self": here, "analysis": analysis["self"], "report": analysis["report"]},
    }


def _no_layer(kept: StoredReport, path: str) -> NotFound:
    hint = msg("The report lists all layers with their paths.")
    if path == ITSELF:
        return NotFound(msg("The model holds no weights outside its layers."), hint=hint)
    close = near(path, paths(kept))
    if not close:
        return NotFound(msg("The model has no layer {path}.", path=path[:MAX_NAME]), hint=hint)
    return NotFound(
        msg("The model has no layer {path}. Near it: {near}.", path=path[:MAX_NAME], near=tuple(close)),
        hint=hint,
        near=close,
    )


def near(path: str, known: Sequence[str]) -> list[str]:
    """Paths that `path` may have meant, the nearest first: those that end alike, then those that look alike.

    Only those that begin most alike are compared as wholes: a model may have 200,000 layers.
    """
    last = path.rpartition("/")[2].rpartition(".")[2]
    ends = [found for found in known if last and found.endswith(last)][:MAX_NEAR]
    ordered = sorted(known)
    middle = bisect.bisect(ordered, path)
    short = [found for found in ordered[max(0, middle - AROUND) : middle + AROUND] if len(found) <= MAX_NAME]
    alike = difflib.get_close_matches(path[:MAX_NAME], short, n=MAX_NEAR, cutoff=0.5)
    return list(dict.fromkeys([*alike, *ends]))[:MAX_NEAR]
