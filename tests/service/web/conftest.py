"""The application over a fake sandbox, asked through Flask's test client."""

from __future__ import annotations

import pytest

from service.web.app import create_app
from tests.fakes import services


@pytest.fixture
def settings():
    """Settings of one test: override in a module or by parametrizing."""
    return {}


@pytest.fixture
def parts(tmp_path, sandbox, settings):
    made = services(tmp_path, sandbox, **settings)
    made.engine.start()
    yield made
    sandbox.release.set()
    made.close(5.0)


@pytest.fixture
def client(parts):
    app = create_app(parts)
    app.testing = False
    return app.test_client()


@pytest.fixture
def send(client):
    """`send(b"model")` posts a raw body and gives the response."""

    def do(body, path="/v1/analyses?wait=10", **more):
        return client.post(path, data=body, content_type=more.pop("content_type", "application/octet-stream"), **more)

    return do


@pytest.fixture
def nothing_left(parts):
    """Asserts that no upload is on disk."""

    def check():
        assert not list(parts.blobs.temporary.iterdir())
        assert not list(parts.blobs.stored())

    return check
