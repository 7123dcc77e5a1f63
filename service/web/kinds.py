"""The resource /v1/kinds: what each kind of layer is and how its weights are counted, readable without a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blake3 import blake3
from flask import Blueprint, Response, request

from schemas.requests import CatalogueQuery
from service.enrich.kinds.catalogue import kind, kinds
from service.errors import NotFound
from service.kept import Body
from service.language import msg
from service.parsers.suggest import closest
from service.presentation import JSON
from service.web import answers

blueprint = Blueprint("kinds", __name__, url_prefix="/v1/kinds")


@blueprint.get("")
def listing() -> Response:
    """All kinds."""
    CatalogueQuery().load(request.args)
    return _answer({"items": kinds()})


@blueprint.get("/<name>")
def show(name: str) -> Response:
    """One kind."""
    CatalogueQuery().load(request.args)
    found = kind(name)
    if found is None:
        raise _no_kind(name)
    return _answer(found)


def _no_kind(name: str) -> NotFound:
    hint = msg("GET /v1/kinds lists them all.")
    near = closest(name, [known.kind for known in kinds()])
    if near is None:
        return NotFound(msg("There is no kind {name}.", name=name[:100]), hint=hint)
    return NotFound(
        msg("There is no kind {name}. Near it: {near}.", name=name[:100], near=near), hint=hint, near=[near]
    )


def _answer(value: Any) -> Response:
    data = answers.encoded(value)
    made: Callable[[], Body] = lambda: Body.of([data])  # noqa: E731 - shorter than a function of its own
    return answers.resource(blake3(data).hexdigest()[:32], JSON, made)
