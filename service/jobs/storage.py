"""What the service keeps, for how long, and that there is room for more: retention, quota, leftovers.

Knows settings, tables and the blob folder. `Storage.sweep` is for one process at a time, beside everybody's work.
"""

from __future__ import annotations

import time

import msgspec
from sqlalchemy import ColumnElement, and_, select, update

from service.config import Settings
from service.errors import StorageFull
from service.jobs import ages, catalogue, idempotency, marks, queue, rows, uploads
from service.jobs.blobs import Blobs, deleting
from service.jobs.database import Database
from service.jobs.records import FINAL, Analysis
from service.jobs.tables import analyses
from service.language import msg

LEFTOVERS_SECONDS = 600.0
"""Between two looks for files that no row knows: they come from crashes only."""
MEASURED_SECONDS = 1.0
"""For which the sum of all uploads is believed while other processes take some in, unless it is near the limit."""
NEARLY = 0.9
SLACK = 32
"""A part of what may be stored is freed beyond what is asked for: else each upload would have to look for some."""


class Swept(msgspec.Struct):
    """How many a sweep has deleted."""

    uploads: int = 0
    jobs: int = 0
    keys: int = 0
    orphans: int = 0
    temporary: int = 0


class Storage:
    """The keeping of one installation, as one process sees it."""

    def __init__(self, settings: Settings, database: Database, blobs: Blobs) -> None:
        self.blobs = blobs
        self._settings = settings
        self._database = database
        self._leftovers_due = 0.0
        self._stored = 0
        self._measured_at = -MEASURED_SECONDS

    def require_room(self, wanted: int) -> None:
        """Room for `wanted` more bytes, made by deleting uploads that nobody needs; StorageFull if there is none."""
        for limit, maximum, lacking in self._lacking(wanted):
            if lacking > 0 and not self._evict(lacking, least=lacking):
                raise StorageFull(
                    msg("There is not enough room on the service's disk for this upload."), limit=limit, maximum=maximum
                )

    def _lacking(self, wanted: int) -> list[tuple[str, int, int]]:
        """The limits by name, with how many bytes too many each would be met by; below 0 there is room."""
        settings = self._settings
        on_disk = wanted + settings.min_free_disk_bytes - self.blobs.free_bytes()
        found = [("min_free_disk_bytes", settings.min_free_disk_bytes, on_disk)]
        if settings.max_stored_bytes:
            stored = self._stored_bytes() + self.blobs.arriving_bytes()
            found.append(("max_stored_bytes", settings.max_stored_bytes, wanted + stored - settings.max_stored_bytes))
        return found

    def note_stored(self, size: int) -> None:
        """So many bytes were accepted just now, by this process."""
        self._stored += size

    def _stored_bytes(self) -> int:
        nearly_full = self._stored > self._settings.max_stored_bytes * NEARLY
        if nearly_full or time.monotonic() - self._measured_at >= MEASURED_SECONDS:
            with self._database.reading() as connection:
                self._stored = uploads.stored_bytes(connection) + self._database.used_bytes(connection)
            self._measured_at = time.monotonic()
        return self._stored

    def _evict(self, lacking: int, *, least: int) -> bool:
        with deleting() as gone, self._database.writing() as connection:
            wanted = lacking + self._settings.max_stored_bytes // SLACK
            evicted = uploads.evict(connection, self.blobs, wanted, least=least)
            gone.extend(evicted or ())
        self._measured_at = -MEASURED_SECONDS
        return evicted is not None

    def sweep(self) -> Swept:
        """Delete what has been kept for long enough, and what nobody knows. A sign of life for `swept_ago`."""
        swept = Swept()
        self.blobs.prepare()
        with self._database.writing() as connection:
            ages.note(connection)
            swept.keys = idempotency.expire(connection, self._settings.idempotency_seconds)
        swept.jobs = self._expire_jobs()
        swept.uploads = self._expire_uploads()
        swept.temporary = self.blobs.sweep()
        for _, _, lacking in self._lacking(0):
            if lacking > 0:
                self._evict(lacking, least=0)
        if time.monotonic() >= self._leftovers_due:
            swept.orphans = self.remove_orphans()
            marks.bury(self.blobs.root.parent, self._left_nothing)
            self._leftovers_due = time.monotonic() + LEFTOVERS_SECONDS
        return swept

    def swept_ago(self) -> float:
        """Seconds since the last sweep by any process."""
        with self._database.reading() as connection:
            return ages.noted_ago(connection)

    def _expire_uploads(self) -> int:
        total = 0
        while self._settings.keep_uploads_seconds:
            with deleting() as gone, self._database.writing() as connection:
                before = ages.now(connection) - self._settings.keep_uploads_seconds
                expired, unheld = uploads.expire(connection, self.blobs, used_before=before)
                gone.extend(unheld)
            total += len(gone)
            if expired < uploads.AT_ONCE:
                break
        return total

    def _expire_jobs(self) -> int:
        total = 0
        while self._settings.keep_reports_seconds:
            found, digests = self._expire_some()
            catalogue.remove_files(self._database, self.blobs, digests)
            total += found
            if found < uploads.AT_ONCE:
                break
        return total

    def _expire_some(self) -> tuple[int, set[str]]:
        digests: set[str] = set()
        with self._database.writing() as connection:
            now = ages.now(connection)
            unknown = analyses.c.kept_from.is_(None)  # written by an older service
            connection.execute(update(analyses).where(unknown).values(kept_from=now))
            query = select(analyses.c.id).where(_expired(now - self._settings.keep_reports_seconds))
            identifiers = connection.execute(query.limit(uploads.AT_ONCE)).scalars().all()
            for identifier in identifiers:
                found = rows.find(connection, identifier)
                if isinstance(found, Analysis):
                    digests |= catalogue.forget(connection, found)
                elif found is not None:
                    catalogue.withdraw(connection, found)
        return len(identifiers), digests

    def remove_orphans(self) -> int:
        """Delete stored files that no analysis names, which a crash leaves; note the use of those that one does."""
        with self._database.reading() as connection:
            known = uploads.known(connection)
        removed = 0
        for digest in self.blobs.stored():
            if digest not in known:
                removed += self._settle_orphan(digest)
        return removed

    def _settle_orphan(self, digest: str) -> bool:
        """Whether the file went; one that an older service placed is from now on kept as others are."""
        with deleting() as gone, self._database.writing() as connection:
            if uploads.adopt(connection, digest):
                return False
            gone.extend(uploads.discard(connection, self.blobs, [digest]))
        return bool(gone)

    def _left_nothing(self, owner: str) -> bool:
        return not (self.blobs.has_temporary(owner) or queue.has_running(self._database, owner))


def _expired(before: float) -> ColumnElement[bool]:
    return and_(analyses.c.state.in_(FINAL), analyses.c.kept_from < before)
