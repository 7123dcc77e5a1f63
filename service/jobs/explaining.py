"""What SQLite's failures mean for who asks: full, locked, read-only, damaged. Knows its result codes, no table."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service.errors import DatabaseDamaged, ServiceError, StorageFull
from service.language import msg

PRIMARY = 0xFF
"""SQLite's extended result codes have the general one in their low byte."""
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG)
"""The last of a length that nothing of ours has: what was read for it is damaged."""
SAID = ("Could not decode to UTF-8", "no such table", "no such column")
"""What is said without a code of its own: a text is none, or the damage lies in the schema."""
LATE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
FULL = (sqlite3.SQLITE_FULL,)
DISK = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def explained(error: DBAPIError | PoolTimeout) -> ServiceError | None:
    """The failure as one of ours; None if it is a mistake in our own statements."""
    if isinstance(error, PoolTimeout):
        return late()
    code = getattr(error.orig, "sqlite_errorcode", 0) & PRIMARY
    if code in FULL:
        return StorageFull(msg("There is no room left to store this."))
    if code in DAMAGED or str(error.orig).startswith(SAID):
        return DatabaseDamaged(msg("The service's database is damaged."))
    if code in LATE:
        return late()
    if code in DISK:
        return ServiceError(msg("The service's database cannot be read or written: {reason}.", reason=str(error.orig)))
    return None


def late() -> ServiceError:
    """It was waited for long enough."""
    return ServiceError(msg("The service's database did not answer in time."))
