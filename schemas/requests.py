"""Query parameters, checked; a parameter that is not known is refused rather than ignored."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from schemas.analysis import STATES

MAX_WAIT = 60.0
MAX_PAGE = 200
ID = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
WAIT = "Seconds to wait for the end of the analysis."


class ShowQuery(Schema):
    """GET /v1/analyses/{id}."""

    wait = fields.Float(validate=validate.Range(0, MAX_WAIT), metadata={"description": WAIT})


class CreateQuery(ShowQuery):
    """POST /v1/analyses."""

    filename = fields.String(metadata={"description": "Name of a raw body; data only."})


class ListQuery(Schema):
    """GET /v1/analyses."""

    state = fields.String(validate=validate.OneOf(STATES), metadata={"description": "Only those in this state."})
    format = fields.String(validate=validate.Length(max=100), metadata={"description": "Only those of this format."})
    name = fields.String(validate=validate.Length(max=1024), metadata={"description": "Only those of this name."})
    sha256 = fields.String(
        validate=validate.Regexp(r"^[0-9a-fA-F]{64}\Z"),
        metadata={"description": "Only those of a file with this hash."},
    )
    limit = fields.Integer(
        load_default=50, validate=validate.Range(1, MAX_PAGE), metadata={"description": "Analyses on a page."}
    )
    cursor = fields.String(validate=validate.Regexp(ID), metadata={"description": "As given by links.next."})


class ReportQuery(Schema):
    """GET /v1/analyses/{id}/report."""

    format = fields.String(metadata={"description": "json, text, csv or markdown; wins over Accept."})
