"""How old things are, on a clock that nobody can set: what is kept for a time must not go because a clock jumped.

An age is in seconds since the database was made, as far as the service knows: this machine's time since boot is added
up, also while the service is down. Across a reboot only the wall clock can tell how long that was, and it may be wrong;
it is believed for no more than a day. Knows one row, and nothing of what is kept.
"""

from __future__ import annotations

import time
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from service.jobs.tables import ages

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
LONGEST_AWAY = 86400.0
"""Seconds for which the wall clock is believed about the time between two boots."""

_FROM_BOOT = "SELECT from_boot FROM ages"
"""As text: it is asked several times for each job."""


def boot_id() -> str:
    """Which boot of this machine we are in."""
    return BOOT_ID.read_text().strip()


def since_boot() -> float:
    """Seconds since then, those asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def is_settled(connection: Connection) -> bool:
    """Whether the clock goes already, in this boot."""
    return connection.execute(select(ages.c.boot)).scalar() == boot_id()


def settle(connection: Connection) -> None:
    """Begin the clock, or go on with it in this boot; once for each process that opens the database."""
    found = connection.execute(select(ages)).mappings().first()
    now, wall = since_boot(), time.time()
    if found is None:
        connection.execute(insert(ages).values(boot=boot_id(), from_boot=-now, age=0.0, wall=wall))
    elif found["boot"] != boot_id():
        away = min(max(0.0, wall - found["wall"]), LONGEST_AWAY)
        age = found["age"] + away
        connection.execute(update(ages).values(boot=boot_id(), from_boot=age - now, age=age, wall=wall))


def now(connection: Connection) -> float:
    """The age that something has which is made now."""
    from_boot: float = connection.exec_driver_sql(_FROM_BOOT).scalar_one()
    return since_boot() + from_boot


def note(connection: Connection) -> None:
    """Write down how late it is: from there the next boot goes on."""
    connection.execute(update(ages).values(age=now(connection), wall=time.time()))


def noted_ago(connection: Connection) -> float:
    """Seconds since that was last done."""
    return now(connection) - float(connection.execute(select(ages.c.age)).scalar_one())
