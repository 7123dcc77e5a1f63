"""The Flask application: resources, failures, and what is true of every answer. Knows no analysis."""

from __future__ import annotations

import time

import structlog
from flask import Flask, Response, g, request
from werkzeug.routing import BaseConverter

from service.jobs.identifiers import PATTERN
from service.web import (
    analyses,
    comparisons,
    cors,
    docs,
    failures,
    guard,
    headers,
    health,
    kinds,
    languages,
    layers,
    logs,
    metrics,
    reports,
)
from service.web.services import Services

log = structlog.get_logger("weighbridge.web")


class _Identifier(BaseConverter):
    """An id made by this service; anything else is no route at all."""

    regex = PATTERN.pattern


class _Anything(BaseConverter):
    """The rest of the address, whatever it is made of: slashes, line breaks."""

    regex = r"[\s\S]+"
    part_isolating = False


BLUEPRINTS = (
    analyses.blueprint,
    reports.blueprint,
    layers.blueprint,
    kinds.blueprint,
    comparisons.blueprint,
    health.blueprint,
    docs.blueprint,
)


def create_app(services: Services) -> Flask:
    """The application over its parts. The caller starts and stops the engine."""
    app = Flask("service.web", static_folder=None, template_folder=None)
    app.extensions["services"] = services
    app.url_map.converters["id"] = _Identifier
    app.url_map.converters["anything"] = _Anything
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # it would redirect to whatever host the request names
    app.before_request(_begin)
    app.after_request(_end)
    cors.register(app)
    guard.register(app)
    failures.register(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    return app


def _begin() -> None:
    g.began = time.monotonic()
    g.request_id = logs.request_id(request.headers.get("X-Request-Id"))
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    languages.declare(response)
    for name, value in (headers.SECURITY | (headers.TRANSPORT if request.is_secure else {})).items():
        response.headers.setdefault(name, value)
    seconds = time.monotonic() - g.began
    route = request.url_rule.rule if request.url_rule else "(none)"
    metrics.observe_request(request.method, route, response.status_code, seconds)
    log.info("request", method=request.method, route=route, status=response.status_code, seconds=round(seconds, 4))
    return response
