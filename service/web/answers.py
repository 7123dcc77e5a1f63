"""How an answer is sent: JSON in the reader's language, kept bodies with their tags, compressed for who takes that."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import Any

from flask import Response, request

from service.kept import Body
from service.presentation import View
from service.splicing import Pieces
from service.web.languages import language
from service.web.problems import encode

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
    response = Response(status=status, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    _fill(response, Pieces((text,), len(text)) if isinstance(text, bytes) else text)
    return response


def not_finished(text: bytes | Pieces) -> Response:
    """JSON of something that is accepted and still runs: ask again."""
    response = document(text, 202)
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
        _fill(response, make().pieces())
    return response


def encoded(value: Any) -> bytes:
    """JSON in the reader's language."""
    return encode(value, language())


def _takes_gzip() -> bool:
    return request.accept_encodings["gzip"] > 0


def _fill(response: Response, text: Pieces) -> None:
    """Send the pieces one after the other; how many bytes they are together is said before."""
    response.vary.add("Accept-Encoding")
    if _takes_gzip() and text.size >= PACK_FROM:
        response.headers["Content-Encoding"] = "gzip"
        parts = gzipped(text.parts)
        text = Pieces(parts, sum(map(len, parts)))
    response.response = text.parts
    response.content_length = text.size


def gzipped(parts: Iterable[bytes]) -> list[bytes]:
    """As gzip, without a time, so that equal texts stay equal."""
    compressor = zlib.compressobj(EFFORT, wbits=GZIP)
    return [*map(compressor.compress, parts), compressor.flush()]
