"""/openapi.json and /docs: the description, and a page over it whose assets come from a package, not from the net."""

from __future__ import annotations

import functools
from pathlib import Path

import flask_swagger_ui
from flask import Blueprint, Response, send_from_directory

from service.web.guard import gate
from service.web.openapi import build
from service.web.problems import encode

blueprint = Blueprint("docs", __name__)

ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
SERVED = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Weighbridge</title>
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/start.js"></script>
</body>
</html>
"""
START = """window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""


@functools.cache
def _description(*, required: bool) -> bytes:
    return encode(build(required=required))


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI document."""
    return Response(_description(required=gate().required), content_type="application/json")


@blueprint.get("/docs")
def page() -> Response:
    """The page."""
    response = Response(PAGE, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = POLICY
    return response


@blueprint.get("/docs/assets/start.js")
def start() -> Response:
    """What starts the page: a file of its own, so that no inline script need be allowed."""
    return Response(START, content_type="text/javascript; charset=utf-8")


@blueprint.get(f"/docs/assets/<any({', '.join(repr(name) for name in SERVED)}):name>")
def asset(name: str) -> Response:
    """One of the package's files, by its fixed name."""
    return send_from_directory(ASSETS, name, max_age=86400)
