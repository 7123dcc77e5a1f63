"""A database of its own for keys, and an issuer of tokens with its public keys."""

from __future__ import annotations

import pytest

from service.config import Access, Settings
from service.jobs.blobs import Blobs
from service.jobs.database import open_database
from tests.issuer import AUDIENCE, ISSUER, Issuer


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
