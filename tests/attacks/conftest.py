"""The wall and the whole service for attacks, and a trap for each of them."""

from __future__ import annotations

import msgspec
import pytest

from service import config
from service.sandbox.launch import running
from tests.attacks.frame import Trap
from tests.http.conftest import running as serving

KINDS = ("static", "values", "keras", "torch", "transformers")


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory):
    """The kinds that attacks meet, every layer on; frameworks only once a specification needs them."""
    settings = msgspec.structs.replace(config.load(), warm_frameworks=False, spare_children=1)
    with running(settings, tmp_path_factory.mktemp("wall") / "run", KINDS) as it:
        yield it


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """The whole service over HTTP."""
    yield from serving(tmp_path_factory.mktemp("attacked") / "data")


@pytest.fixture
def trap(tmp_path):
    """Set, and taken away with the test."""
    made = Trap(tmp_path / "trap")
    yield made
    made.close()
