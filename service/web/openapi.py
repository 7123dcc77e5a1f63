"""The OpenAPI 3.1 description, made from the marshmallow schemas.

Bodies are streamed and answers are encoded from the frozen types, so nothing here parses or dumps; a test holds the
description to the routes there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin

from schemas.analysis import (
    AnalysisSchema,
    FormatsSchema,
    KindsSchema,
    LayerAnswerSchema,
    PageSchema,
    ProblemSchema,
)
from schemas.comparison import ComparisonJobSchema
from schemas.health import HealthSchema, ReadySchema
from schemas.kinds import KindInfoSchema
from schemas.report import ReportSchema
from schemas.requests import (
    ID,
    CatalogueQuery,
    CompareBody,
    CompareQuery,
    ComparisonQuery,
    CreateQuery,
    LayerQuery,
    ListQuery,
    ReportQuery,
    ShowQuery,
)
from service.jobs.analysis import VERSION
from service.jobs.idempotency import HEADER
from service.presentation import COMPARISON_VIEWS, REPORT_VIEWS, View
from service.translation import LANGUAGES
from service.web import examples, securing
from service.web.accepting import KEY
from service.web.following import linked
from service.web.problems import CONTENT_TYPE, STATUSES

DESCRIPTION = (
    "Send a model file of nearly any format, or an architecture spec; get every layer's weights, shapes, roles and "
    "trainability, and why. Nothing in a file is ever executed."
)
IDENTIFIER = {"in": "path", "name": "id", "required": True, "schema": {"type": "string", "pattern": ID}}
LANGUAGE = {
    "in": "header",
    "name": "Accept-Language",
    "required": False,
    "schema": {"type": "string"},
    "description": f"Language of all sentences: {', '.join(LANGUAGES)}; English if none of them is accepted.",
}
REQUEST_ID = {
    "in": "header",
    "name": "X-Request-Id",
    "required": False,
    "schema": {"type": "string", "maxLength": 128},
    "description": "Comes back in the answer and stands in the log; one is made if there is none.",
}
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "pattern": rf"^({KEY.pattern.replace('?P<quoted>', '').replace('?P<bare>', '')})$"},
    "description": "A name for this request, made by the client: sent again with the same body and parameters, it is "
    "answered with what was made the first time, for WEIGHBRIDGE_IDEMPOTENCY_SECONDS (a day).",
}
BINARY: dict[str, Any] = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}

Operation = dict[str, Any]


def build(*, required: bool = True) -> dict[str, Any]:
    """The whole document; `required`: a key or token is needed."""
    spec = APISpec(
        title="Weighbridge",
        version=VERSION,
        openapi_version="3.1.0",
        plugins=[MarshmallowPlugin()],
        info={"description": DESCRIPTION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        tags=[{"name": "analyses"}, {"name": "comparisons"}, {"name": "kinds"}, {"name": "service"}],
    )
    spec.components.schema("Problem", schema=ProblemSchema)
    for name, scheme in securing.SCHEMES.items():
        spec.components.security_scheme(name, scheme)
    for path, operations in _paths().items():
        told = {
            method: securing.secured(linked(each), _problem, required=required) for method, each in operations.items()
        }
        spec.path(path=path, operations=told)
    return spec.to_dict()


def _paths() -> dict[str, dict[str, Operation]]:
    return {
        "/v1/analyses": {"post": _create(), "get": _list()},
        "/v1/analyses/{id}": {"get": _show(), "delete": _delete()},
        "/v1/analyses/{id}/report": {"get": _report()},
        "/v1/analyses/{id}/layers/{path}": {"get": _layer("showLayer", _PATH)},
        "/v1/analyses/{id}/layers/": {"get": _layer("showOwnWeights")},
        "/v1/comparisons": {"post": _compare()},
        "/v1/comparisons/{id}": {"get": _comparison(), "delete": _forget()},
        "/v1/kinds": {"get": _kind("listKinds", "What each kind of layer is and how it is counted.", KindsSchema)},
        "/v1/kinds/{kind}": {"get": _kind("showKind", "One kind of layer.", KindInfoSchema, _KIND)},
        "/v1/formats": {"get": _formats()},
        "/healthz": {"get": _simple("health", "Whether this process answers.", HealthSchema)},
        "/readyz": {"get": _simple("ready", "Whether the workers are warm and confined.", ReadySchema)},
        "/metrics": {"get": _text("metrics", "Numbers for Prometheus.", "text/plain")},
        "/openapi.json": {"get": _text("openapi", "This document.", "application/json", {"type": "object"})},
        "/docs": {"get": _text("docs", "This document as a page.", "text/html")},
    }


def _operation(name: str, summary: str, tag: str, **rest: Any) -> Operation:
    parameters = [*rest.pop("parameters", ()), LANGUAGE, REQUEST_ID]
    failure = _problem("Any other failure; " + ", ".join(sorted(STATUSES)) + " are the codes.")
    failure["content"][CONTENT_TYPE]["example"] = examples.PROBLEM
    rest["responses"]["default"] = failure
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
        parameters=[{"in": "query", "schema": CreateQuery}, IDEMPOTENCY_KEY],
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
            "409": _problem("The analysis was deleted before it was finished."),
            "413": _problem("Larger than is taken."),
            "415": _problem("No known format (looks_like says what it resembles), or an encoded body."),
            "422": _problem("The content cannot be analysed: where, and why; or the Idempotency-Key was for another."),
            "501": _problem("The framework that would have to build it is not installed."),
            "503": _problem("Too much at once, or workers not warm: try again after Retry-After."),
            "507": _problem("No room on the disk."),
        },
    )


FILES = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "contentMediaType": "application/octet-stream"},
}
"""The files of one model, as fields of a form."""


def _form(*models: str, **more: Any) -> dict[str, Any]:
    properties = {**dict.fromkeys(models, FILES), **more}
    return {"type": "object", "properties": properties, "required": [*models], "additionalProperties": False}


def _uploads() -> dict[str, Any]:
    return {
        "multipart/form-data": {"schema": _form("file"), "example": {"file": [examples.SAFETENSORS]}},
        "application/octet-stream": {**BINARY, "example": examples.SAFETENSORS},
        "application/json": {
            "schema": {"type": "object", "description": "A Keras architecture or a layer-list spec."},
            "examples": examples.SPECS,
        },
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
        responses={
            "200": _json("The analysis.", AnalysisSchema),
            "202": _json("Its statistics are still being made: ask again.", AnalysisSchema),
            "404": _problem("There is none."),
            "409": _problem("Statistics are asked for, and the upload is no longer there."),
        },
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
    answer = _json("The report, as Accept or ?format= asks.", ReportSchema, ETag="Changes with the content.")
    answer["content"] |= _texts(REPORT_VIEWS)
    return _operation(
        "showReport",
        "The report of a finished analysis.",
        "analyses",
        parameters=[IDENTIFIER, {"in": "query", "schema": ReportQuery}],
        responses={
            "200": answer,
            "202": _json("Its statistics are still being made: ask again.", AnalysisSchema),
            "304": _SAME,
            "404": _problem("There is none."),
            "406": _problem("No such representation."),
            "409": _problem("Not finished, or failed; or statistics are asked for, and the upload is no longer there."),
        },
    )


_SAME = {"description": "As the client's ETag has it."}
_PATH = {
    "in": "path",
    "name": "path",
    "required": True,
    "schema": {"type": "string"},
    "description": "The layer's path as in the report; slashes may stand as they are.",
}
_KIND = {
    "in": "path",
    "name": "kind",
    "required": True,
    "schema": {"type": "string"},
    "description": "As in layer.kind.",
}


def _texts(views: Iterable[View]) -> dict[str, Any]:
    return {view.media_type: {"schema": {"type": "string"}} for view in views if view.render is not None}


def _layer(name: str, *path: dict[str, Any]) -> Operation:
    return _operation(
        name,
        "One layer with everything that is known of it; without a path, the model's own weights (the layer `.`).",
        "analyses",
        parameters=[IDENTIFIER, *path, {"in": "query", "schema": LayerQuery}],
        responses={
            "200": _json("The layer.", LayerAnswerSchema, ETag="Changes with the content."),
            "202": _json("Its statistics are still being made: ask again.", AnalysisSchema),
            "304": _SAME,
            "404": _problem("There is no such analysis or layer; `near` names layers that may be meant."),
            "409": _problem("Not finished, or failed; or statistics are asked for, and the upload is no longer there."),
        },
    )


def _kind(name: str, summary: str, schema: Any, *path: dict[str, Any]) -> Operation:
    missing = {"404": _problem("There is no such kind.")} if path else {}
    return _operation(
        name,
        summary,
        "kinds",
        parameters=[*path, {"in": "query", "schema": CatalogueQuery}],
        responses={"200": _json(summary, schema, ETag="Changes with the content."), "304": _SAME, **missing},
    )


def _formats() -> Operation:
    return _operation(
        "listFormats",
        "What is read.",
        "service",
        parameters=[{"in": "query", "schema": CatalogueQuery}],
        responses={"200": _json("The formats.", FormatsSchema)},
    )


def _compare() -> Operation:
    values = {"type": "string", "enum": ["true", "false"]}
    return _operation(
        "createComparison",
        "Compare two analyses, or two models that are sent along and become analyses.",
        "comparisons",
        parameters=[{"in": "query", "schema": CompareQuery}, IDEMPOTENCY_KEY],
        requestBody={
            "required": True,
            "description": "Two ids; or a form with the files of each side in fields `left` and `right`.",
            "content": {
                "application/json": {"schema": CompareBody, "examples": examples.COMPARISON},
                "multipart/form-data": {"schema": _form("left", "right", values=values)},
            },
        },
        responses={
            "201": _json("Finished: the comparison.", ComparisonJobSchema, Location="The comparison."),
            "202": _json("Accepted, not finished in time.", ComparisonJobSchema, Location="The comparison."),
            "400": _problem("How it was sent: fields or parameters that are missing or not known."),
            "404": _problem("There is no such analysis; `pointer` is the side."),
            "413": _problem("Larger than is taken."),
            "415": _problem("No known format, or a body that is neither JSON nor a form."),
            "409": _problem("Values are to be compared, and a side's upload is gone; or it was deleted meanwhile."),
            "422": _problem("A side cannot be analysed (`side`), or the Idempotency-Key was for another request."),
            "503": _problem("Too much at once, or workers not warm: try again after Retry-After."),
            "507": _problem("No room on the disk."),
        },
    )


def _comparison() -> Operation:
    answer = _json("The comparison; other representations than JSON hold the answer alone.", ComparisonJobSchema)
    answer["content"] |= _texts(COMPARISON_VIEWS)
    return _operation(
        "showComparison",
        "One comparison.",
        "comparisons",
        parameters=[IDENTIFIER, {"in": "query", "schema": ComparisonQuery}],
        responses={
            "200": answer,
            "304": _SAME,
            "404": _problem("There is none."),
            "406": _problem("No such representation."),
            "409": _problem("Not finished, or failed: there is nothing to show but JSON."),
        },
    )


def _forget() -> Operation:
    return _operation(
        "deleteComparison",
        "Delete a comparison, not its analyses; stop it if it runs.",
        "comparisons",
        parameters=[IDENTIFIER],
        responses={"204": {"description": "Gone."}, "404": _problem("There is none.")},
    )


def _simple(name: str, summary: str, schema: Any) -> Operation:
    return _operation(name, summary, "service", responses={"200": _json(summary, schema)})


def _text(name: str, summary: str, media_type: str, schema: dict[str, Any] | None = None) -> Operation:
    content = {media_type: {"schema": schema or {"type": "string"}}}
    return _operation(name, summary, "service", responses={"200": {"description": summary, "content": content}})
