"""Whether the service lives, is ready and how it fares: /healthz, /readyz, /metrics, /v1/formats."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from schemas.requests import CatalogueQuery
from service.errors import ServiceError, WorkerUnavailable
from service.jobs import catalogue
from service.jobs.analysis import VERSION
from service.language import Message, msg
from service.registry import formats
from service.web import answers, metrics
from service.web.guard import gate, sees_inside
from service.web.problems import encode
from service.web.readiness import keeping, readiness
from service.web.services import services

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """This process answers. Who may be anybody is not told of which version it is."""
    return _json({"status": "ok"} | ({} if gate().required else {"version": VERSION}))


@blueprint.get("/readyz")
def readyz() -> Response:
    """Ready once the workers are warm and confined as the installation demands, and what is sent can be kept."""
    parts = services()
    ready, workers = readiness(parts.settings, parts.sandbox)
    kept = keeping(parts.settings, parts.database, parts.storage)
    broken = next((check.problem for check in kept.values() if check.problem), None)
    inside = {"version": VERSION, "workers": workers, "access": parts.gate.state(), "keeping": kept}
    told: dict[str, Any] = inside if _is_told(broken) else {}
    if not ready:
        raise WorkerUnavailable(msg("The workers are not all warm and confined."), **told)
    if broken is not None:
        raise ServiceError(broken, **told)
    return _json({"status": "ready"} | told)


def _is_told(broken: Message | None) -> bool:
    """Whether who asks may know all; nobody may while a broken database cannot tell who it is."""
    try:
        return sees_inside()
    except ServiceError:
        if broken is None:
            raise
        return False


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
