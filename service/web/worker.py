"""gunicorn's threaded worker with two of its gaps closed: slow clients, and errors that never reach the application.

Knows gunicorn; must not know Flask. Named in `service.gunicorn_conf` as the worker class.
"""

from __future__ import annotations

import errno
import math
import socket
import time
from functools import partial
from http import HTTPStatus
from itertools import takewhile
from typing import Any

import structlog
from gunicorn import util
from gunicorn.http import errors as refused
from gunicorn.workers.gthread import TConn, ThreadWorker

from service import config
from service.errors import ErrorInfo
from service.jobs.identifiers import new_id
from service.language import verbatim
from service.web.headers import SECURITY
from service.web.outbox import Outbox
from service.web.pace import PacedSocket
from service.web.problems import code_of, encode, problem
from service.web.waiting import END_OF_HEADER, READ, Room, has_come, header_is_here

log = structlog.get_logger("weighbridge.server")

LINGER_SECONDS = 1.0
DRAIN_SECONDS = 0.05
"""For what is left of a body that nobody wants, if it is on its way already."""
_SECURITY = "".join(f"{name}: {value}\r\n" for name, value in SECURITY.items())
BREATHER_SECONDS = 0.05
OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)

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
    """A gthread worker whose clients must keep a pace, and that answers its own errors as problem documents.

    A connection has a thread only from the end of a request's header until its answer is made. Before and after, the
    accepting thread watches it; where there are more than `worker_connections`, whoever has been waiting longest goes.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = config.load()
        self._header_seconds = settings.stall_seconds
        self._least_read = settings.min_download_rate * settings.stall_seconds

    def run(self) -> None:
        """Serve until told to stop."""
        self._arriving = Room(self.poller, self._on_arriving, self._drop)
        self._leaving = Room(self.poller, self._on_leaving, self._drop)
        self._outbox = Outbox(self.poller, self._least_read, self._header_seconds, self._drop)
        super().run()

    def accept(self, listener: socket.socket) -> None:
        """Take one connection, and wait for its request without a thread."""
        try:
            client, address = listener.accept()
        except OSError as error:
            self._accept_failed(error)
            return
        self.nr_conns += 1
        conn = TConn(self.cfg, PacedSocket.adopt(client), address, listener.getsockname())
        conn.data_ready = True  # gunicorn would wait for the first byte itself, in a thread
        self._arriving.enter(conn, time.monotonic() + self._header_seconds)
        if self.nr_conns >= self.worker_connections:
            self._make_room()

    def _accept_failed(self, error: OSError) -> None:
        if error.errno in OUT_OF_DESCRIPTORS:
            log.error("out_of_descriptors", connections=self.nr_conns)
            if not self._make_room():
                time.sleep(BREATHER_SECONDS)  # the listener stays readable: without a pause this would spin
        elif error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED):
            raise error

    def _make_room(self) -> bool:
        """Turn out who has been waiting longest: for its client, its request, its next request; or reads an answer."""
        if self._leaving.turn_out_oldest() or self._arriving.turn_out_oldest():
            return True
        if not self.keepalived_conns:
            return self._outbox.turn_out_oldest()
        self.keepalived_conns[0].timeout = 0.0
        self.murder_keepalived()
        return True

    def murder_keepalived(self, force: bool = False) -> None:
        """Close those that waited too long, but none whose next request came in this very moment."""
        now = -math.inf if force else time.monotonic()
        for conn in [*takewhile(lambda one: one.timeout <= now, self.keepalived_conns)]:
            if has_come(conn.sock):
                self.on_client_socket_readable(conn, conn.sock)
        super().murder_keepalived(force)

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """The next request on a kept connection begins to arrive."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._expect(conn)

    def _expect(self, conn: TConn) -> None:
        self._arriving.enter(conn, time.monotonic() + self._header_seconds)
        self._on_arriving(conn)

    def _on_arriving(self, conn: TConn) -> None:
        try:
            if not header_is_here(conn.sock):
                return
        except OSError:
            self._arriving.turn_out(conn)
            return
        self._arriving.leave(conn)
        self._hand_over(conn)

    def _hand_over(self, conn: TConn) -> None:
        """Have a thread serve the request whose header is here."""
        conn.sock.expect(math.inf, self._header_seconds)
        conn.sock.keeps = True
        self.enqueue_req(conn)

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """Whether another request may follow on the connection.

        Not where the body of a refused one is still to come: gunicorn would wait for it in a thread.
        """
        conn.sock.invites = False
        return keepalive and bool(conn.parser.finish_body(deadline=time.monotonic() + DRAIN_SECONDS))

    def finish_request(self, conn: TConn, future: Any) -> None:
        """The answer is made: send the client what it has not taken yet."""
        if conn.sock.unsent or conn.sock.source is not None:
            self._outbox.enter(conn, partial(self._answered, conn, future))
        else:
            self._answered(conn, future)

    def _answered(self, conn: TConn, future: Any) -> None:
        """After the answer: wait for the next request, or for the client to have read the last one."""
        if future.cancelled() or future.exception() is not None or not future.result():
            self._linger(conn)
            return
        conn.sock.early[:0] = conn.parser.unreader.take_buffered()
        if END_OF_HEADER in conn.sock.early:  # read together with the last body; nobody has looked at it yet
            self._hand_over(conn)
        elif conn.sock.early:
            self._expect(conn)
        else:
            super().finish_request(conn, future)

    def _linger(self, conn: TConn) -> None:
        """Let the client read the answer before the connection is reset, as it is where a body was not wholly read."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
        else:
            self._leaving.enter(conn, time.monotonic() + LINGER_SECONDS)

    def _on_leaving(self, conn: TConn) -> None:
        try:
            if conn.sock.recv(READ):
                return
        except OSError as error:
            if error.errno == errno.EAGAIN:
                return
        self._leaving.turn_out(conn)

    def _drop(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Turn out whose time is up; gunicorn calls it in every round."""
        now = time.monotonic()
        self._arriving.expire(now)
        self._leaving.expire(now)
        self._outbox.expire(now)

    def _cap_keepalive(self, deadline: float) -> None:
        """The worker stops: a request that is about to come may, others are not waited for.

        Its share of the listeners goes at once: whoever comes while it drains would be let in by the kernel and by
        nobody else, and a service started in its place could not have the port.
        """
        for listener in self.sockets:
            listener.close()
        self._arriving.hurry(deadline)
        super()._cap_keepalive(deadline)

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """As gunicorn's; the answer can still say that it is the last on its connection."""
        conn.sock.end_after = req.force_close
        # gunicorn would have the client send its body before anybody has looked at what the header asks for
        conn.sock.invites, req._expected_100_continue = req._expected_100_continue, False  # noqa: SLF001
        return bool(super().handle_request(req, conn))

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
            f"Content-Type: application/problem+json\r\nX-Request-Id: {request_id}\r\n"
            f"Content-Length: {len(body)}\r\n{_SECURITY}\r\n"
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
