"""Whether the service lives, is ready and how it fares: /healthz, /readyz, /metrics, /v1/formats."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from schemas.requests import CatalogueQuery
from service.errors import WorkerUnavailable
from service.jobs import catalogue
from service.jobs.analysis import VERSION
from service.language import msg
from service.registry import formats
from service.web import answers, metrics
from service.web.problems import encode
from service.web.readiness import readiness
from service.web.services import services

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """This process answers."""
    return _json({"status": "ok", "version": VERSION})


@blueprint.get("/readyz")
def readyz() -> Response:
    """Ready once the workers are warm, and confined as the installation demands."""
    parts = services()
    catalogue.count_by_state(parts.database)
    ready, workers = readiness(parts.settings, parts.sandbox)
    if not ready:
        raise WorkerUnavailable(msg("The workers are not all warm and confined."), workers=workers)
    return _json({"status": "ready", "version": VERSION, "workers": workers})


@blueprint.get("/metrics")
def prometheus() -> Response:
    """Numbers of all processes, for Prometheus."""
    parts = services()
    warm = {kind: state.warm for kind, state in parts.sandbox.states().items()}
    body = metrics.exposition(catalogue.count_by_state(parts.database), warm)
    return Response(body, content_type=metrics.CONTENT_TYPE)


@blueprint.get("/v1/formats")
def list_formats() -> Response:
    """What is read, in the order in which readers are asked."""
    CatalogueQuery().load(request.args)
    return Response(answers.encoded({"items": formats()}), content_type="application/json")


def _json(document: Any) -> Response:
    return Response(encode(document), content_type="application/json")
