"""What one web process works with, put together once, and found again by its requests.

The only place that knows all the parts; knows no resource.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import msgspec
import structlog
from flask import current_app

from service.access.gate import Gate
from service.config import Settings
from service.engines.local import LocalEngine
from service.engines.sweeping import Sweeper
from service.errors import Overloaded
from service.jobs.blobs import Blobs
from service.jobs.database import Database, open_database
from service.jobs.storage import Storage
from service.language import msg
from service.presentation import Presenter
from service.sandbox.client import Sandbox
from service.web import metrics
from service.web.shares import Places

SLOT_PATIENCE_SECONDS = 5.0
"""How long an upload or a large answer waits for a place, in a thread made for waiting; bursts pass, floods do not."""

log = structlog.get_logger("weighbridge.web")


class Slots:
    """How many requests may hold a thread, or much memory, for long at the same time; of one holder, only a share."""

    def __init__(self, settings: Settings) -> None:
        self._uploads = _places(settings.max_concurrent_uploads, settings)
        self._waiting = _places(settings.max_waiting, settings)
        self._answers = _places(settings.max_concurrent_answers, settings)

    @contextmanager
    def uploading(self, holder: str) -> Iterator[None]:
        """Overloaded unless there is room for one more upload, at once or soon."""
        if not self._taken_soon(self._uploads, holder):
            raise Overloaded(msg("Too many uploads at once."), limit="max_concurrent_uploads")
        try:
            yield
        finally:
            self._uploads.give_back(holder)

    def answering(self, holder: str) -> Callable[[], None]:
        """A place for a large answer, at once or soon, to be given back by the function; else Overloaded."""
        if not self._taken_soon(self._answers, holder):
            raise Overloaded(msg("Too many large answers at once."), limit="max_concurrent_answers")
        return partial(self._answers.give_back, holder)

    def _taken_soon(self, places: Places, holder: str) -> bool:
        if places.take(holder):
            return True
        with self.waiting(holder) as granted:
            return granted and places.take(holder, SLOT_PATIENCE_SECONDS)

    @contextmanager
    def waiting(self, holder: str) -> Iterator[bool]:
        """Whether this request may wait; if not, it is answered with what is known."""
        granted = self._waiting.take(holder)
        try:
            yield granted
        finally:
            if granted:
                self._waiting.give_back(holder)


def _places(total: int, settings: Settings) -> Places:
    return Places(total, max(1, math.ceil(total * settings.share_per_caller)))


class Services(msgspec.Struct, frozen=True):
    """The parts of one web process."""

    settings: Settings
    database: Database
    blobs: Blobs
    sandbox: Sandbox
    engine: LocalEngine
    slots: Slots
    presenter: Presenter
    gate: Gate
    storage: Storage
    sweeper: Sweeper

    def start(self) -> None:
        """Begin to take jobs, and to sweep. Before, the parts only answer."""
        self.engine.start()
        self.sweeper.start()

    def close(self, patience: float) -> None:
        """Stop taking jobs, give those running `patience` seconds, close the database."""
        self.engine.stop(patience)
        self.sweeper.stop(patience)
        self.gate.close()
        self.database.close()


def services() -> Services:
    """The parts of the process that serves this request."""
    found: Services = current_app.extensions["services"]
    return found


def assemble(settings: Settings, sandbox: Sandbox) -> Services:
    """The parts, with the engine not yet started. Call in the process that will use them, after any fork."""
    blobs = Blobs(settings.data_dir)
    try:
        blobs.prepare()
    except OSError:  # a worker that did not start would end the service; readiness says what is wrong
        log.exception("spool_not_ready")
    database = open_database(settings)
    storage = Storage(settings, database, blobs)
    engine = LocalEngine(settings, database, blobs, sandbox, metrics.observe_job)
    return Services(
        settings=settings,
        database=database,
        blobs=blobs,
        sandbox=sandbox,
        engine=engine,
        slots=Slots(settings),
        presenter=Presenter(),
        gate=Gate(settings, database),
        storage=storage,
        sweeper=Sweeper(settings, database, storage),
    )
