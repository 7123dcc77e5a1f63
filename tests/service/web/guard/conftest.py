"""A service that wants keys, and two accounts that have some."""

from __future__ import annotations

import pytest

from service.access import keys
from service.config import Access


@pytest.fixture
def access():
    """Of one test: override by parametrizing."""
    return {"auth": "required"}


@pytest.fixture
def settings(access, tmp_path):
    return {"access": Access(bound="127.0.0.1", **{"audit_log": str(tmp_path / "audit.log"), **access})}


@pytest.fixture
def key(parts):
    """`key("ann", "reader")` is a header with a new key."""

    def make(account="ann", role="submitter", **more):
        return {"X-API-Key": keys.add(parts.database, account, role, **more)[1]}

    return make


@pytest.fixture
def ann(key):
    return key("ann")


@pytest.fixture
def bob(key):
    return key("bob")
