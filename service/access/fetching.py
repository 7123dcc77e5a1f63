"""Bytes from where the operator says: a file, or an address over https. Bounded in size and time; follows nothing.

Only settings say where: no part of a request ever leads here.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from service.access.addresses import is_local

SECONDS = 5.0
"""Longest silence of the other side, and of the whole transfer once it has begun."""
MAX_BYTES = 1 << 20

Load = Callable[[], bytes]


class Unfetched(Exception):
    """It could not be had; the text says why, to an operator."""


def loader(where: str, setting: str = "WEIGHBRIDGE_TOKEN_JWKS") -> Load:
    """What reads `where` anew each time. ValueError for an address that is neither https nor on this machine.

    `setting`: who says so.
    """
    parts = urlsplit(where)
    if parts.scheme not in ("http", "https"):
        return lambda: _file(Path(where))
    if not parts.hostname or (parts.scheme == "http" and not is_local(parts.hostname)):
        raise ValueError(f"{setting}={where!r}: only https, or a file; http could be changed on its way.")
    return lambda: _fetched(parts)


def is_remote(where: str) -> bool:
    """Whether it is an address rather than a file."""
    return urlsplit(where).scheme in ("http", "https")


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _bounded(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise Unfetched(f"{path} cannot be read: {error.strerror}.") from None


def _fetched(parts: SplitResult) -> bytes:
    address = f"{parts.scheme}://{parts.netloc}{parts.path}"
    connection = _connection(parts)
    try:
        query = f"?{parts.query}" if parts.query else ""
        connection.request("GET", (parts.path or "/") + query, headers={"Accept": "application/json"})
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise Unfetched(f"{address} answered {response.status}.")
        return _bounded(_body(response, address))
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unfetched(f"{address} cannot be had: {type(error).__name__}: {str(error)[:200]}.") from None
    finally:
        connection.close()


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=SECONDS)
    return http.client.HTTPSConnection(host, parts.port, timeout=SECONDS, context=ssl.create_default_context())


def _body(response: http.client.HTTPResponse, address: str) -> bytes:
    deadline = time.monotonic() + SECONDS
    body = bytearray()
    while len(body) <= MAX_BYTES and (piece := response.read1(1 << 16)):
        body += piece
        if time.monotonic() > deadline:
            raise Unfetched(f"{address} took longer than {SECONDS:.0f} seconds.")
    return bytes(body)


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise Unfetched(f"It is larger than {MAX_BYTES} bytes.")
    return data
