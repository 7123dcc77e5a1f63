"""What gunicorn's master does around the web workers: folders, the sandbox's supervisor, leftovers, the ready line.

Knows gunicorn's hooks by their moments only; `service.gunicorn_conf` binds them. No Flask here.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import structlog
from sqlalchemy.exc import ArgumentError

from service.config import Settings
from service.errors import ServiceError
from service.jobs.blobs import Blobs
from service.jobs.database import open_database
from service.jobs.storage import Storage
from service.jobs.tables import TooNewError
from service.sandbox import launch, state
from service.sandbox.client import Sandbox
from service.web.folders import run_dir
from service.web.readiness import readiness

RESTART_SECONDS = (0.1, 0.5, 2.0)
"""Pauses before the supervisor is started again; the last one repeats."""
STEADY_SECONDS = 60.0
"""A supervisor that lived this long starts the pauses anew."""
LOOK_SECONDS = 0.1
OTHER_DESCRIPTORS = 600
"""Of a web worker: uploads of many parts, the database's files, pipes to children."""
LEAST_CONNECTIONS = 64
LOOPBACK = ("127.0.0.1", "::1", "localhost")

log = structlog.get_logger("weighbridge.server")


def prepare(settings: Settings) -> None:
    """Before anything is served: private folders, the newest database schema, no leftovers of interrupted uploads."""
    _allow_descriptors()
    blobs = Blobs(settings.data_dir)
    try:
        blobs.prepare()
        database = open_database(settings)
    except OSError as error:
        raise SystemExit(_unusable(settings, error)) from None
    except (TooNewError, ValueError, ArgumentError) as error:
        raise SystemExit(f"weighbridge: {error}") from None
    try:
        swept, orphans = blobs.sweep(), Storage(settings, database, blobs).remove_orphans()
        log.info("prepared", swept=swept, orphans=orphans)
    except (OSError, ServiceError) as error:  # /readyz says what the database or the disk needs
        log.error("not_prepared", reason=str(error))  # noqa: TRY400 - expected
    finally:
        blobs.mark.release()
        database.close()


def _unusable(settings: Settings, error: OSError) -> str:
    return (
        f"weighbridge: the data folder {settings.data_dir.absolute()} cannot be used ({error.strerror}). Make it "
        "writable for this user, or set WEIGHBRIDGE_DATA_DIR to a folder that is."
    )


def check_faults(settings: Settings, address: str) -> None:
    """Refuse faults that a test asks for unless nobody else can reach the service."""
    host = address.rpartition(":")[0].strip("[]")
    if settings.faults and host not in LOOPBACK:
        raise SystemExit("weighbridge: WEIGHBRIDGE_FAULTS is for tests, and only taken on 127.0.0.1 or ::1.")


def _allow_descriptors() -> None:
    """As many open files as the system lets us: an upload may have 200 parts, each handed over as a descriptor."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connections(settings: Settings) -> int:
    """How many a web worker may hold: as many as is set, or as its descriptors allow beside the rest of its work."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(LEAST_CONNECTIONS, min(settings.max_connections, hard - OTHER_DESCRIPTORS))


def threads(settings: Settings) -> int:
    """Of a web worker: one for each request that may hold it for long, and some that are always free."""
    return (
        settings.max_concurrent_uploads
        + settings.max_waiting
        + settings.max_concurrent_answers
        + settings.spare_threads
    )


class Supervised:
    """The sandbox's supervisor, started again if it ends; watched by descriptor, for gunicorn's master reaps it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._process = launch.start(settings, run_dir(settings))

    def await_static(self) -> None:
        """Until uploads can be read behind the wall; SystemExit if the supervisor refuses to go on."""
        sandbox = Sandbox(run_dir(self._settings))
        while not (static := sandbox.states()["static"]).warm:
            status = self._process.poll()
            if status:
                raise SystemExit("weighbridge: not started, for the reason above.")
            if status == 0:  # that of a service just killed still lived; it ends with its parent
                self._process = launch.start(self._settings, run_dir(self._settings))
            if static.problem is not None:
                self.stop()
                raise SystemExit(f"weighbridge: {static.problem}")
            time.sleep(LOOK_SECONDS / 10)

    def watch(self) -> None:
        """From now on, start it again whenever it ends."""
        threading.Thread(target=self._watch, name="supervisor-watch", daemon=True).start()

    def _watch(self) -> None:
        short_lives = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            _wait_for_end(self._process)
            if self._stopping.is_set():
                return
            if state.read(run_dir(self._settings)):  # that of an older service lives on: ours comes after it
                self._stopping.wait(LOOK_SECONDS)
                continue
            short_lives = 0 if time.monotonic() - began > STEADY_SECONDS else short_lives + 1
            log.error("supervisor_ended", pid=self._process.pid)
            if not self._stopping.wait(RESTART_SECONDS[min(max(short_lives, 1), len(RESTART_SECONDS)) - 1]):
                self._process = launch.start(self._settings, run_dir(self._settings))

    def stop(self) -> None:
        """End it, its warm processes and their children."""
        self._stopping.set()
        launch.stop(self._process)


def _wait_for_end(process: subprocess.Popen[bytes]) -> None:
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        select.select([handle], [], [])
    finally:
        os.close(handle)


def drain_first(drain: Callable[[], None]) -> None:
    """In a web worker that is told to end, `drain` comes before what gunicorn does: it waits for running requests."""
    gunicorns = signal.getsignal(signal.SIGTERM)

    def end(number: int, frame: FrameType | None) -> None:
        drain()
        if callable(gunicorns):
            gunicorns(number, frame)

    signal.signal(signal.SIGTERM, end)


def announce(settings: Settings, address: str) -> None:
    """Print where the service is, once its workers are warm; from a thread of a web worker."""
    threading.Thread(target=_announce, args=(settings, address), name="announce", daemon=True).start()


def _announce(settings: Settings, address: str) -> None:
    sandbox = Sandbox(run_dir(settings))
    while not readiness(settings, sandbox)[0]:
        time.sleep(LOOK_SECONDS)
    sys.stdout.write(f"Weighbridge is ready on http://{address}\n")
    sys.stdout.flush()
