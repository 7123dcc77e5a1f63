"""Cross-origin requests of web pages (the Fetch standard's CORS protocol), by an allow-list. Knows Flask, no resource.

No answer ever allows credentials: a key travels in a header that a page sets itself, never in a cookie.
"""

from __future__ import annotations

from flask import Flask, Response, current_app, request

from service.web.services import services

ALLOWED = (
    "Accept, Accept-Language, Authorization, Content-Type, Idempotency-Key, If-None-Match, X-API-Key, X-Request-Id"
)
EXPOSED = (
    "Content-Language, ETag, Location, RateLimit-Limit, RateLimit-Policy, RateLimit-Remaining, RateLimit-Reset, "
    "Retry-After, WWW-Authenticate, X-Request-Id"
)
MAX_AGE = "600"


def register(app: Flask) -> None:
    """Answer preflights, and say in each answer which page may read it."""
    app.before_request(_preflight)
    app.after_request(_declare)


def _permitted() -> str | None:
    """The request's origin, if its pages may read the answer."""
    origin = request.headers.get("Origin")
    return origin if origin is not None and services().gate.origins.permit(origin) else None


def _preflight() -> Response | None:
    if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
        return None
    if _permitted() is None or request.endpoint is None:
        return None
    allowed = current_app.make_default_options_response().headers["Allow"]
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = allowed
    response.headers["Access-Control-Allow-Headers"] = ALLOWED
    response.headers["Access-Control-Max-Age"] = MAX_AGE
    return response


def _declare(response: Response) -> Response:
    origins = services().gate.origins
    if origins.allowed:
        response.vary.add("Origin")
    origin = _permitted()
    if origin is not None:
        response.headers["Access-Control-Allow-Origin"] = "*" if origins.anybody else origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED
    return response
