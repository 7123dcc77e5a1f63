"""What tests of the engine and of the web room share."""

from __future__ import annotations

import pytest

from tests.fakes import FakeSandbox


@pytest.fixture
def sandbox():
    """A sandbox that answers as it is told; whatever waits in it is let go with the test."""
    made = FakeSandbox()
    yield made
    made.release.set()
