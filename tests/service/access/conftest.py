"""A database of its own for keys, and an issuer of tokens with its public keys."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from service.config import Access, Settings
from service.jobs.blobs import Blobs
from service.jobs.database import open_database
from tests.issuer import AUDIENCE, ISSUER, Issuer


@contextmanager
def serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server on loopback that answers as `handler` does."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def issuer():
    """Who signs tokens."""
    return Issuer()


@pytest.fixture
def access(tmp_path, issuer):
    """Settings under which the issuer's tokens are taken."""
    (tmp_path / "jwks.json").write_bytes(issuer.jwks())
    return Access(
        auth="required", token_issuer=ISSUER, token_audience=AUDIENCE, token_jwks=str(tmp_path / "jwks.json")
    )  # fmt: skip


@pytest.fixture
def settings(tmp_path, access):
    return Settings(data_dir=tmp_path, access=access)


@pytest.fixture
def database(settings):
    Blobs(settings.data_dir).prepare()
    made = open_database(settings)
    yield made
    made.close()
