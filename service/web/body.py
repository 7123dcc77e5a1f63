"""The request body as a stream that is held to what was announced: length, speed and size. Knows no files.

An upload that is cut midway is not an error to a WSGI server: the read just ends. Here it is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from flask import Request

from service.config import Settings
from service.errors import RequestError, UploadCut, UploadStalled, UploadTooLarge
from service.language import msg
from service.web.pace import PacedSocket, Stalled

READ = 1 << 20
"""Bytes asked for at once: 64 KiB at a time is three times slower."""
TOGETHER = 16 << 10
"""Bytes of a body that come with its header, or right behind it."""
_WHOLE = "weighbridge.body_is_read"
"""Key of the WSGI environment: False while the body is being read, True when all of it is."""


def announced_length(request: Request) -> int | None:
    """The body's length, None if it comes in chunks."""
    if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
        return None
    return request.content_length or 0


def end_connection_if_left(request: Request) -> None:
    """Have the answer say that no other request may follow, where some of the body may still be on its way.

    RFC 9112, 9.3: a client that has sent it all by then would lose the next on the same connection.
    """
    connection = request.environ.get("gunicorn.socket")
    if _is_left(request) and isinstance(connection, PacedSocket):
        connection.end_after()


def _is_left(request: Request) -> bool:
    if _WHOLE in request.environ:
        return not request.environ[_WHOLE]
    announced = announced_length(request)
    return announced is None or announced > TOGETHER


def check_length(announced: int | None, maximum: int) -> None:
    """UploadTooLarge before the first byte is read, where the header already says so."""
    if announced is not None and announced > maximum:
        raise _too_large(maximum, announced)


def _too_large(maximum: int, value: int) -> UploadTooLarge:
    return UploadTooLarge(
        msg("The body is larger than the {maximum} bytes that are taken.", maximum=maximum),
        limit="max_upload_bytes",
        maximum=maximum,
        value=value,
    )


def pieces(request: Request, settings: Settings, maximum: int) -> Iterator[bytes]:
    """The body, piece by piece.

    Raises:
        UploadTooLarge: At the first byte beyond `maximum`.
        UploadCut: It ended before its announced length, or the connection broke.
        UploadStalled: It came slower than the minimum rate.
    """
    announced = announced_length(request)
    request.environ[_WHOLE] = False
    read = _reader(request, settings)
    received = 0
    while data := _read(read):
        received += len(data)
        if received > maximum:
            raise _too_large(maximum, received)
        yield data
    if announced is not None and received != announced:
        raise UploadCut(
            msg("The upload ended after {received} of {announced} bytes.", received=received, announced=announced),
            received=received,
            announced=announced,
        )
    request.environ[_WHOLE] = True


def _reader(request: Request, settings: Settings) -> BinaryIO:
    """The body's stream, with its socket told what to expect."""
    connection: Any = request.environ.get("gunicorn.socket")
    if isinstance(connection, PacedSocket):
        connection.expect(settings.min_upload_rate * settings.stall_seconds, settings.stall_seconds)
    elif connection is not None:
        connection.settimeout(settings.stall_seconds)
    return cast("BinaryIO", request.stream)


def _read(stream: BinaryIO) -> bytes:
    try:
        return stream.read(READ)
    except (Stalled, TimeoutError):
        raise UploadStalled(msg("The upload came too slowly, or stopped.")) from None
    except OSError:
        raise UploadCut(msg("The connection ended before the upload did.")) from None
    except Exception as error:  # noqa: BLE001 - every server has its own classes for a body whose chunks are broken
        raise RequestError(msg("The body's chunked encoding is broken."), reason=type(error).__name__) from None
