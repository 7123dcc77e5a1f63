"""gunicorn's threaded worker with two of its gaps closed: slow clients, and errors that never reach the application.

Knows gunicorn; must not know Flask. Named in `service.gunicorn_conf` as the worker class.
"""

from __future__ import annotations

import math
import socket
import time
from http import HTTPStatus
from typing import Any

import structlog
from gunicorn import util
from gunicorn.http import errors as refused
from gunicorn.workers.gthread import TConn, ThreadWorker

from service import config
from service.errors import ErrorInfo
from service.jobs.identifiers import new_id
from service.language import verbatim
from service.web.pace import PacedSocket
from service.web.problems import code_of, encode, problem

log = structlog.get_logger("weighbridge.server")

LINGER_SECONDS = 1.0
LINGER_STEP = 1 << 16

REFUSALS: tuple[tuple[type[Exception], HTTPStatus, str], ...] = (
    (refused.LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG, "The request line is too long."),
    (
        refused.LimitRequestHeaders,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The header fields are too large or too many.",
    ),
    (refused.ExpectationFailed, HTTPStatus.EXPECTATION_FAILED, "Only 100-continue can be expected."),
    (refused.UnsupportedTransferCoding, HTTPStatus.NOT_IMPLEMENTED, "This transfer coding is not supported."),
    (refused.ForbiddenProxyRequest, HTTPStatus.FORBIDDEN, "This proxy is not allowed."),
)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A gthread worker whose clients must keep a pace, and that answers its own errors as problem documents."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_seconds = config.load().stall_seconds

    def enqueue_req(self, conn: TConn) -> None:
        """Hand a readable connection to a thread: once it reads, the header must be complete within the stall time."""
        conn.sock = PacedSocket.adopt(conn.sock)
        conn.sock.expect(math.inf, self._header_seconds)
        super().enqueue_req(conn)

    def handle(self, conn: TConn) -> Any:
        """Serve one request. A connection to be closed lingers here: gunicorn would hold up its accepting thread."""
        kept = super().handle(conn)
        if kept is False:
            _linger(conn.sock)
        return kept

    def handle_error(self, _request: Any, client: socket.socket, _address: Any, exc: Exception) -> None:
        """Answer what gunicorn itself could not parse."""
        request_id = new_id()
        status, detail = _refusal(exc)
        code = code_of(status)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.NOT_IMPLEMENTED:
            log.error("request_broke", request_id=request_id, exc_info=exc)
        else:
            log.warning("request_refused", request_id=request_id, status=int(status), reason=type(exc).__name__)
        body = encode(problem(ErrorInfo(code=code, detail=verbatim(detail)), request_id=request_id, status=status))
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nConnection: close\r\n"
            "Content-Type: application/problem+json\r\nX-Content-Type-Options: nosniff\r\n"
            f"X-Request-Id: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            util.write_nonblock(client, head.encode("ascii") + body)
        except OSError:
            log.debug("refusal_not_sent", request_id=request_id)


def _refusal(error: Exception) -> tuple[HTTPStatus, str]:
    for kind, status, detail in REFUSALS:
        if isinstance(error, kind):
            return status, detail
    if isinstance(error, refused.ParseException):
        return HTTPStatus.BAD_REQUEST, "This is not a well-formed HTTP request."
    return HTTPStatus.INTERNAL_SERVER_ERROR, "The service failed to read the request."


def _linger(sock: socket.socket) -> None:
    """Let the client read the answer to a request whose body was not wholly read, before the connection is reset."""
    try:
        sock.shutdown(socket.SHUT_WR)
        deadline = time.monotonic() + LINGER_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            sock.settimeout(left)
            if not sock.recv(LINGER_STEP):
                break
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client has gone
