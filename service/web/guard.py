"""Before each request: who asks, and whether they may. After it: a line in the audit log. Knows Flask; decides nothing.

What is decided is in `service.access`; which route needs what, in `service.web.permissions`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import NotFound

from service.access import origins
from service.access.addresses import client
from service.access.callers import Caller
from service.access.gate import Gate
from service.access.quotas import Standing
from service.errors import Forbidden, Misdirected, QuotaExceeded
from service.language import msg
from service.web.permissions import MONITORING, OPEN, TABLE, WITHHELD, Permission
from service.web.services import services

SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
COUNT_EVERY = 4 << 20
"""Bytes of an upload that are counted at once."""
REFUSALS = frozenset((401, 403, 421, 429))
"""Statuses that are written down whatever was asked for."""


def register(app: Flask) -> None:
    """Ask before each request of `app`, and write down after it."""
    app.before_request(_admit)
    app.after_request(_note)


def caller() -> Caller:
    """Who sent this request. Only where the route needs to know: else nobody was asked."""
    found: Caller = g.caller
    return found


def holder() -> str:
    """Whose shares of the places count: the account, or the address where no key is needed."""
    account = caller().account
    return f"account:{account}" if account else caller().name


def gate() -> Gate:
    """What decides."""
    return services().gate


def _admit() -> None:
    g.caller, g.subjects, g.standing = None, {}, None
    _admit_to_port()
    permission = TABLE.get(request.endpoint or "", Permission(role="reader"))
    if request.method == "OPTIONS" or permission is OPEN or g.on_admin_port:
        return
    _check_host()
    g.caller = _asking()
    _check_role(permission)
    _check_origin()
    g.standing = gate().meter.charge(caller(), "requests")
    if permission.submits:
        g.standing = gate().meter.charge(caller(), "submissions")


def _admit_to_port() -> None:
    """The port for monitoring serves that and nothing else; where there is one, the public port does not."""
    admin = gate().admin
    connection: Any = request.environ.get("gunicorn.socket")
    g.on_admin_port = admin is not None and connection is not None and admin.received(connection.getsockname())
    if admin is not None and (request.endpoint not in MONITORING if g.on_admin_port else request.endpoint in WITHHELD):
        raise NotFound


def _asking() -> Caller:
    return gate().caller(request.headers.get("Authorization"), request.headers.get("X-API-Key"), _address())


def _address() -> str:
    return client(request.remote_addr or "", request.headers.get("X-Forwarded-For", ""), gate().proxies)


def _check_role(permission: Permission) -> None:
    if request.endpoint is not None and request.endpoint not in TABLE:
        raise Forbidden(msg("Nobody may do this: no role is set for it."))
    if caller().role is None:
        raise Forbidden(msg("The token names no role of this service: reader, submitter or admin."))
    if permission.role is not None and not caller().may(permission.role):
        raise Forbidden(
            msg("This needs the role {needed}; this key or token has {role}.", needed=permission.role, role=_role()),
            hint=msg("Ask the operator for a key with that role."),
        )


def _role() -> str:
    return caller().role or ""


def _check_host() -> None:
    """Where no key is needed because only this machine can ask: that it is asked under a name of this machine."""
    if gate().open_by_default and not origins.is_known(request.headers.get("Host", ""), gate().hosts):
        raise Misdirected(
            msg("The host that this request names is none that the service is known by, and no key is needed here."),
            hint=msg("Set WEIGHBRIDGE_HOSTS to its name; if others can reach it, WEIGHBRIDGE_AUTH=required."),
        )


def _check_origin() -> None:
    """Where no key is needed: that no page of another site makes its reader's browser change something."""
    origin = request.headers.get("Origin")
    if gate().required or request.method in SAFE or origin is None:
        return
    if not (origins.is_own(origin, request.headers.get("Host", "")) or gate().origins.permit(origin)):
        raise Forbidden(
            msg("A web page of another site may not do this."),
            hint=msg("The operator can allow its origin with WEIGHBRIDGE_CORS_ORIGINS."),
        )


def sees_inside() -> bool:
    """Whether who asks may know how the service is built and fares. Raises Unauthenticated for a key that is none."""
    if not gate().required or g.on_admin_port:
        return True
    if not ("Authorization" in request.headers or "X-API-Key" in request.headers):
        return False
    g.caller = _asking()
    return caller().may("admin")


def concerns(**subjects: str) -> None:
    """What this request is about, for the audit log: `analysis`, `comparison`, `left`, `right`."""
    g.subjects |= subjects


def metered(pieces: Iterator[bytes], announced: int | None) -> Iterator[bytes]:
    """The pieces of a body as they are, counted against the caller's quota of bytes.

    Raises:
        QuotaExceeded: Before the first piece if what is announced is too much, else at the piece that is.
    """
    meter = gate().meter
    meter.check(caller(), "bytes", announced or 1)
    uncounted = 0
    try:
        for data in pieces:
            uncounted += len(data)
            if uncounted >= COUNT_EVERY:
                meter.charge(caller(), "bytes", uncounted)
                uncounted = 0
            yield data
    except BaseException:
        with contextlib.suppress(QuotaExceeded):
            meter.charge(caller(), "bytes", uncounted)
        raise
    if uncounted:
        meter.charge(caller(), "bytes", uncounted)


def _note(response: Response) -> Response:
    _tell_standing(response, g.get("standing"))
    permission = TABLE.get(request.endpoint or "")
    action = permission.action if permission else None
    if request.method != "OPTIONS" and (action or response.status_code in REFUSALS):
        named = {"analysis" if request.blueprint != "comparisons" else "comparison": _named()}
        gate().audit.note(
            g.get("caller"),
            action or request.endpoint or "unknown",
            **{**named, **g.get("subjects", {})},
            status=response.status_code,
            code=g.get("failure"),
            request_id=g.request_id,
            client=_address(),
        )
    return response


def _named() -> str | None:
    """The id in the address, if it has one."""
    return (request.view_args or {}).get("identifier")


def _tell_standing(response: Response, standing: Standing | None) -> None:
    """How the caller stands with the tightest quota (draft-ietf-httpapi-ratelimit-headers, in its widespread form)."""
    if standing is not None:
        response.headers["RateLimit-Limit"] = str(standing.limit)
        response.headers["RateLimit-Remaining"] = str(standing.remaining)
        response.headers["RateLimit-Reset"] = str(standing.reset)
        response.headers["RateLimit-Policy"] = f"{standing.limit};w={standing.window}"
