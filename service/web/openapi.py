"""The OpenAPI 3.1 description, made from the marshmallow schemas.

Bodies are streamed and reports are spliced as stored bytes, so nothing here parses or dumps; a test holds the
description to the routes there are.
"""

from __future__ import annotations

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from schemas.analysis import AnalysisSchema, FormatsSchema, PageSchema, ProblemSchema
from schemas.health import HealthSchema, ReadySchema
from schemas.report import ReportSchema
from schemas.requests import ID, CreateQuery, ListQuery, ReportQuery, ShowQuery
from service.jobs.analysis import VERSION
from service.web.problems import CONTENT_TYPE, STATUSES

DESCRIPTION = (
    "Send a Keras or PyTorch model file, or an architecture spec; get every layer's weights, shapes, roles and "
    "trainability, and why. Nothing in a file is ever executed."
)
IDENTIFIER = {"in": "path", "name": "id", "required": True, "schema": {"type": "string", "pattern": ID}}
REQUEST_ID = {
    "in": "header",
    "name": "X-Request-Id",
    "required": False,
    "schema": {"type": "string", "maxLength": 128},
    "description": "Comes back in the answer and stands in the log; one is made if there is none.",
}
BINARY: dict[str, Any] = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}

Operation = dict[str, Any]


def build() -> dict[str, Any]:
    """The whole document."""
    spec = APISpec(
        title="Weighbridge",
        version=VERSION,
        openapi_version="3.1.0",
        plugins=[MarshmallowPlugin()],
        info={"description": DESCRIPTION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        tags=[{"name": "analyses"}, {"name": "service"}],
    )
    spec.components.schema("Problem", schema=ProblemSchema)
    for path, operations in _paths().items():
        spec.path(path=path, operations=operations)
    return spec.to_dict()


def _paths() -> dict[str, dict[str, Operation]]:
    return {
        "/v1/analyses": {"post": _create(), "get": _list()},
        "/v1/analyses/{id}": {"get": _show(), "delete": _delete()},
        "/v1/analyses/{id}/report": {"get": _report()},
        "/v1/formats": {"get": _simple("listFormats", "What is read.", FormatsSchema)},
        "/healthz": {"get": _simple("health", "Whether this process answers.", HealthSchema)},
        "/readyz": {"get": _simple("ready", "Whether the workers are warm and confined.", ReadySchema)},
        "/metrics": {"get": _text("metrics", "Numbers for Prometheus.", "text/plain")},
        "/openapi.json": {"get": _text("openapi", "This document.", "application/json", {"type": "object"})},
        "/docs": {"get": _text("docs", "This document as a page.", "text/html")},
    }


def _operation(name: str, summary: str, tag: str, **rest: Any) -> Operation:
    parameters = [*rest.pop("parameters", ()), REQUEST_ID]
    rest["responses"]["default"] = _problem("Any other failure; " + ", ".join(sorted(STATUSES)) + " are the codes.")
    return {"operationId": name, "summary": summary, "tags": [tag], "parameters": parameters, **rest}


def _json(description: str, schema: Any, **headers: str) -> Operation:
    described: Operation = {"description": description, "content": {"application/json": {"schema": schema}}}
    if headers:
        described["headers"] = {
            name.replace("_", "-"): {"description": text, "schema": {"type": "string"}}
            for name, text in headers.items()
        }
    return described


def _problem(description: str) -> Operation:
    return {"description": description, "content": {CONTENT_TYPE: {"schema": ProblemSchema}}}


def _create() -> Operation:
    return _operation(
        "createAnalysis",
        "Analyse a model file, several files of one model, or an architecture spec.",
        "analyses",
        parameters=[{"in": "query", "schema": CreateQuery}],
        requestBody={
            "required": True,
            "description": "The upload; streamed, never held in memory.",
            "content": _uploads(),
        },
        responses={
            "201": _json("Finished: the analysis with its report.", AnalysisSchema, Location="The analysis."),
            "202": _json(
                "Accepted, not finished in time: ask Location again.", AnalysisSchema, Location="The analysis."
            ),
            "400": _problem("How it was sent: nothing in it, cut short, fields or parameters that are not known."),
            "408": _problem("It came too slowly."),
            "413": _problem("Larger than is taken."),
            "415": _problem("No known format (looks_like says what it resembles), or an encoded body."),
            "422": _problem("The content cannot be analysed: where it broke, and what to do."),
            "501": _problem("The framework that would have to build it is not installed."),
            "503": _problem("Too much at once, or workers not warm: try again after Retry-After."),
            "507": _problem("No room on the disk."),
        },
    )


def _uploads() -> dict[str, Any]:
    files = {
        "type": "array",
        "minItems": 1,
        "items": {"type": "string", "contentMediaType": "application/octet-stream"},
    }
    form = {"type": "object", "properties": {"file": files}, "required": ["file"], "additionalProperties": False}
    return {
        "multipart/form-data": {"schema": form},
        "application/octet-stream": BINARY,
        "application/json": {"schema": {"type": "object", "description": "A Keras architecture or a layer-list spec."}},
    }


def _list() -> Operation:
    return _operation(
        "listAnalyses",
        "Analyses, newest first.",
        "analyses",
        parameters=[{"in": "query", "schema": ListQuery}],
        responses={"200": _json("A page.", PageSchema), "400": _problem("A parameter is not valid.")},
    )


def _show() -> Operation:
    return _operation(
        "showAnalysis",
        "One analysis.",
        "analyses",
        parameters=[IDENTIFIER, {"in": "query", "schema": ShowQuery}],
        responses={"200": _json("The analysis.", AnalysisSchema), "404": _problem("There is none.")},
    )


def _delete() -> Operation:
    return _operation(
        "deleteAnalysis",
        "Delete an analysis, its upload and its report; stop it if it runs.",
        "analyses",
        parameters=[IDENTIFIER],
        responses={"204": {"description": "Gone."}, "404": _problem("There is none.")},
    )


def _report() -> Operation:
    text = {"schema": {"type": "string"}}
    answer = _json("The report, as Accept or ?format= asks.", ReportSchema, ETag="Changes with the content.")
    answer["content"] |= {"text/plain": text, "text/csv": text, "text/markdown": text}
    return _operation(
        "showReport",
        "The report of a finished analysis.",
        "analyses",
        parameters=[IDENTIFIER, {"in": "query", "schema": ReportQuery}],
        responses={
            "200": answer,
            "304": {"description": "As the client's ETag has it."},
            "404": _problem("There is none."),
            "406": _problem("No such representation."),
            "409": _problem("Not finished, or failed."),
        },
    )


def _simple(name: str, summary: str, schema: Any) -> Operation:
    return _operation(name, summary, "service", responses={"200": _json(summary, schema)})


def _text(name: str, summary: str, media_type: str, schema: dict[str, Any] | None = None) -> Operation:
    content = {media_type: {"schema": schema or {"type": "string"}}}
    return _operation(name, summary, "service", responses={"200": {"description": summary, "content": content}})
