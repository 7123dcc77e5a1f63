"""What one web process works with, put together once, and found again by its requests.

The only place that knows all the parts; knows no resource.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from flask import current_app

from service.config import Settings
from service.engines.local import LocalEngine
from service.errors import Overloaded
from service.jobs.blobs import Blobs
from service.jobs.database import Database, open_database
from service.language import msg
from service.presentation import Presenter
from service.sandbox.client import Sandbox
from service.web import metrics

SLOT_PATIENCE_SECONDS = 5.0
"""How long an upload waits for a slot, in a thread that is there for waiting: bursts pass, a flood is told at once."""


class Slots:
    """How many requests may hold a thread for long at the same time."""

    def __init__(self, uploads: int, waiting: int) -> None:
        self._uploads = threading.BoundedSemaphore(uploads)
        self._waiting = threading.BoundedSemaphore(waiting)

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """Overloaded unless there is room for one more upload, at once or soon."""
        if not (self._uploads.acquire(blocking=False) or self._acquired_soon()):
            raise Overloaded(msg("Too many uploads at once."), limit="max_concurrent_uploads")
        try:
            yield
        finally:
            self._uploads.release()

    def _acquired_soon(self) -> bool:
        with self.waiting() as granted:
            return granted and self._uploads.acquire(timeout=SLOT_PATIENCE_SECONDS)

    @contextmanager
    def waiting(self) -> Iterator[bool]:
        """Whether this request may wait; if not, it is answered with what is known."""
        granted = self._waiting.acquire(blocking=False)
        try:
            yield granted
        finally:
            if granted:
                self._waiting.release()


class Services(msgspec.Struct, frozen=True):
    """The parts of one web process."""

    settings: Settings
    database: Database
    blobs: Blobs
    sandbox: Sandbox
    engine: LocalEngine
    slots: Slots
    presenter: Presenter

    def close(self, patience: float) -> None:
        """Stop taking jobs, give those running `patience` seconds, close the database."""
        self.engine.stop(patience)
        self.database.close()


def services() -> Services:
    """The parts of the process that serves this request."""
    found: Services = current_app.extensions["services"]
    return found


def assemble(settings: Settings, sandbox: Sandbox) -> Services:
    """The parts, with the engine not yet started. Call in the process that will use them, after any fork."""
    blobs = Blobs(settings.data_dir)
    blobs.prepare()
    database = open_database(settings)
    engine = LocalEngine(settings, database, blobs, sandbox, metrics.observe_job)
    slots = Slots(settings.max_concurrent_uploads, settings.max_waiting)
    return Services(
        settings=settings,
        database=database,
        blobs=blobs,
        sandbox=sandbox,
        engine=engine,
        slots=slots,
        presenter=Presenter(),
    )
