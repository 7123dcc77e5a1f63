"""Ages: seconds that nobody can set back or forward, across restarts and reboots."""

from __future__ import annotations

import time

import pytest

from service.jobs import ages
from service.jobs.database import open_database

HOUR = 3600.0


@pytest.fixture
def machine(monkeypatch):
    """A machine whose clocks and boots the test decides."""

    class Machine:
        boot, up, wall = "first", 1000.0, 1.8e9

        def passes(self, seconds):
            self.up += seconds
            self.wall += seconds

    made = Machine()
    monkeypatch.setattr(ages, "boot_id", lambda: made.boot)
    monkeypatch.setattr(ages, "since_boot", lambda: made.up)
    monkeypatch.setattr(time, "time", lambda: made.wall)
    return made


def now(settings):
    """What a process that is started now takes it to be."""
    database = open_database(settings)
    with database.reading() as connection:
        found = ages.now(connection)
    database.close()
    return found


def note(settings):
    database = open_database(settings)
    with database.writing() as connection:
        ages.note(connection)
        assert ages.noted_ago(connection) == pytest.approx(0.0)
    database.close()


def test_it_begins_at_nothing_and_goes_on_while_the_service_is_down(settings, machine):
    """Within one boot, to the second, whatever becomes of the wall clock."""
    assert now(settings) == pytest.approx(0.0)
    machine.passes(HOUR)
    machine.wall -= 24 * HOUR
    assert now(settings) == pytest.approx(HOUR)
    machine.wall += 1e6 * HOUR
    assert now(settings) == pytest.approx(HOUR)


def test_after_a_reboot_the_wall_clock_tells_how_long_it_took(settings, machine):
    """From when the age was last written down; the new boot's own time is part of that."""
    now(settings)
    machine.passes(HOUR)
    note(settings)
    machine.boot, machine.up, machine.wall = "second", 60.0, machine.wall + 2 * HOUR
    assert now(settings) == pytest.approx(3 * HOUR)
    machine.passes(HOUR)
    assert now(settings) == pytest.approx(4 * HOUR)


@pytest.mark.parametrize(("off", "expected"), [(-1e9, 0.0), (1e9, ages.LONGEST_AWAY)])
def test_a_wall_clock_that_is_wrong_after_a_reboot_costs_a_day_at_most(settings, machine, off, expected):
    """A clock without a battery must not make everything old."""
    now(settings)
    note(settings)
    machine.boot, machine.up, machine.wall = "second", 1.0, machine.wall + off
    assert now(settings) == pytest.approx(expected)


def test_this_machine_has_the_clocks_that_are_asked():
    """They count in seconds, and a boot has a name."""
    first = ages.since_boot()
    assert 0.0 <= ages.since_boot() - first < 60.0
    assert len(ages.boot_id()) == 36
