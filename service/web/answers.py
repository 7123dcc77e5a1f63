"""How an answer is sent: JSON in the reader's language, kept bodies with their tags, compressed for who takes that.

What is large is never whole in memory: it is sent in pieces from its pressed form, by whoever has the client's socket.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from flask import Response, request
from werkzeug.exceptions import PreconditionFailed

from service.jobs.records import StoredReport
from service.kept import PIECE, Body
from service.presentation import LARGE, View
from service.splicing import Pieces
from service.web.flow import Flow
from service.web.guard import holder
from service.web.languages import language
from service.web.pace import PacedSocket
from service.web.problems import encode
from service.web.services import services

PACK_FROM = 1024
"""Bytes from which an answer is compressed."""
EFFORT = 1
GZIP = 31
"""zlib's word for a gzip header and trailer around the deflated data."""
POLICIES = {
    "text/html": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'; sandbox",
    "image/svg+xml": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
}
"""What a browser may do with an answer that it shows: style it, run nothing, whatever a name in it says."""


def document(text: bytes | Pieces, status: int = 200) -> Response:
    """JSON that may differ the next time."""
    response = _passing(status)
    _fill(response, Pieces((text,), len(text)) if isinstance(text, bytes) else text)
    return response


def enclosing(of: StoredReport, make: Callable[[], Pieces], status: int = 200) -> Response:
    """JSON that may differ the next time, made of a report and what stands around it. Raises as `held`."""
    response = _passing(status)
    _make(response, of, make)
    return response


def _passing(status: int) -> Response:
    """An answer of JSON, still empty, that nobody may keep."""
    response = Response(status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def not_finished(text: bytes | Pieces) -> Response:
    """JSON of something that is accepted and still runs: ask again."""
    response = document(text, 202)
    response.headers["Retry-After"] = "1"
    return response


def resource(tag: str, view: View, make: Callable[[], Body], of: StoredReport | None = None) -> Response:
    """An answer that stays the same under its tag: not made and not sent to a client that has it.

    Raises as `held` where it is made of a report.
    """
    response = Response(content_type=view.media_type if view.render is None else f"{view.media_type}; charset=utf-8")
    response.set_etag(f"{tag}{'-gzip' if _takes_gzip() else ''}")
    response.vary.update(("Accept", "Accept-Encoding"))
    response.headers["Cache-Control"] = "private, no-cache"
    if view.media_type in POLICIES:
        response.headers["Content-Security-Policy"] = POLICIES[view.media_type]
    response.make_conditional(_conditions())
    if response.status_code == HTTPStatus.PRECONDITION_FAILED:
        raise PreconditionFailed
    if response.status_code != HTTPStatus.NOT_MODIFIED:
        _make(response, of, lambda: make().pieces())
    return response


def _conditions() -> dict[str, Any]:
    """What the request asks of the answer's tag; `If-Match: *` asks no more than that there is one."""
    asked: dict[str, Any] = dict(request.environ)
    if request.if_match.star_tag:
        del asked["HTTP_IF_MATCH"]
    return asked


def encoded(value: Any) -> bytes:
    """JSON in the reader's language."""
    return encode(value, language())


def _takes_gzip() -> bool:
    return request.accept_encodings["gzip"] > 0


def held(of: StoredReport | None) -> Callable[[], None]:
    """A place to make and send an answer of this report, where it is large; to be given back by the function.

    Raises:
        Overloaded: There is none.
    """
    return services().slots.answering(holder()) if of is not None and of.size > LARGE else _nothing


def _nothing() -> None:
    """There is no place to be given back."""


def _make(response: Response, of: StoredReport | None, make: Callable[[], Pieces]) -> None:
    done = held(of)
    try:
        _fill(response, make(), done)
    except BaseException:
        done()
        raise


def _fill(response: Response, text: Pieces, done: Callable[[], None] = _nothing) -> None:
    """Give the response its body, and how many bytes it is. `done` is called once it is sent, unless this raises."""
    response.vary.add("Accept-Encoding")
    if _takes_gzip() and text.size >= PACK_FROM:
        response.headers["Content-Encoding"] = "gzip"
        parts = gzipped(text.parts)
        text = Pieces(parts, sum(map(len, parts)))
    if text.size <= PIECE or request.method == "HEAD":
        response.set_data(b"".join(text.parts) if text.size <= PIECE else b"")
        done()
    else:
        connection = request.environ.get("gunicorn.socket")
        sock = connection if isinstance(connection, PacedSocket) else None
        response.response = Flow(iter(text.parts), done, sock)
        response.direct_passthrough = True
    response.content_length = text.size


def gzipped(parts: Iterable[bytes]) -> list[bytes]:
    """As gzip, without a time, so that equal texts stay equal."""
    compressor = zlib.compressobj(EFFORT, wbits=GZIP)
    return [*map(compressor.compress, parts), compressor.flush()]
