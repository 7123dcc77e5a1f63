"""Who sweeps, and when."""

from __future__ import annotations

import pytest

from service.config import Settings
from service.engines import sweeping
from service.engines.sweeping import Sweeper
from service.errors import ServiceError
from service.jobs.storage import Swept
from tests.fakes import wait_for


class Counted:
    """A database and a storage that count what is asked of them, and fail as often as the test says."""

    def __init__(self, failing=0):
        self.checks = self.sweeps = 0
        self.failing = failing

    def check(self):
        self.checks += 1

    def sweep(self):
        self.sweeps += 1
        if self.sweeps <= self.failing:
            raise ServiceError("The disk takes nothing.")
        return Swept(uploads=1)


@pytest.fixture
def start(tmp_path, monkeypatch):
    """`start(counted)` is a sweeper that has begun, with hardly a pause between its sweeps."""
    monkeypatch.setattr(sweeping, "SHORTEST", 0.01)
    started = []

    def do(counted):
        made = Sweeper(Settings(data_dir=tmp_path, keep_uploads_seconds=0.01), counted, counted)
        started.append(made)
        made.start()
        return made

    yield do
    for made in started:
        made.stop(5.0)


def test_one_of_all_sweeps_and_another_takes_its_place(start):
    """Each looks at the database once; only the first sweeps, until it ends."""
    first, second = Counted(), Counted()
    sweeper = start(first)
    wait_for(lambda: first.sweeps > 1)
    start(second)
    wait_for(lambda: second.checks)
    before = first.sweeps
    wait_for(lambda: first.sweeps > before + 2)
    assert second.sweeps == 0
    sweeper.stop(5.0)
    wait_for(lambda: second.sweeps)


def test_a_sweep_that_fails_is_tried_again(start):
    """Whatever is in its way."""
    counted = Counted(failing=3)
    start(counted)
    wait_for(lambda: counted.sweeps > 4)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 30.0),
        ({"keep_uploads_seconds": 100.0}, 10.0),
        ({"keep_uploads_seconds": 1.0}, 0.5),
        ({"keep_uploads_seconds": 0.0, "keep_reports_seconds": 0.0, "idempotency_seconds": 0.0}, 30.0),
    ],
)
def test_what_is_kept_for_a_short_time_is_looked_after_more_often(settings, expected):
    """A tenth of the shortest time, within bounds."""
    assert sweeping.pause(Settings(**settings)) == expected
