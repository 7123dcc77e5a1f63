"""How an answer is sent: JSON in the reader's language, kept bodies with their tags, compressed for who takes that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, request

from service.kept import Body
from service.presentation import View
from service.web.languages import language
from service.web.problems import encode

PACK_FROM = 1024
"""Bytes from which an answer is compressed."""
POLICIES = {
    "text/html": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'; sandbox",
    "image/svg+xml": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
}
"""What a browser may do with an answer that it shows: style it, run nothing, whatever a name in it says."""


def document(data: bytes, status: int = 200) -> Response:
    """JSON that may differ the next time."""
    response = Response(status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    _fill(response, Body(data, packed=False))
    return response


def not_finished(data: bytes) -> Response:
    """JSON of something that is accepted and still runs: ask again."""
    response = document(data, 202)
    response.headers["Retry-After"] = "1"
    return response


def resource(tag: str, view: View, make: Callable[[], Body]) -> Response:
    """An answer that stays the same under its tag: not made and not sent to a client that has it."""
    response = Response(content_type=view.media_type if view.render is None else f"{view.media_type}; charset=utf-8")
    response.set_etag(f"{tag}{'-gzip' if _takes_gzip() else ''}")
    response.vary.update(("Accept", "Accept-Encoding"))
    response.headers["Cache-Control"] = "private, no-cache"
    if view.media_type in POLICIES:
        response.headers["Content-Security-Policy"] = POLICIES[view.media_type]
    response.make_conditional(request)
    if response.status_code != 304:
        _fill(response, make())
    return response


def encoded(value: Any) -> bytes:
    """JSON in the reader's language."""
    return encode(value, language())


def _takes_gzip() -> bool:
    return request.accept_encodings["gzip"] > 0


def _fill(response: Response, body: Body) -> None:
    response.vary.add("Accept-Encoding")
    if _takes_gzip() and len(body.data) >= PACK_FROM:
        response.headers["Content-Encoding"] = "gzip"
        response.set_data(body.gzipped())
    else:
        response.set_data(body.plain())
