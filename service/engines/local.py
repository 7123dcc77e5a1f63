"""The default engine: a few threads of this process take jobs from the table and run them over the sandbox.

Every web worker has one. The threads only wait on children, so a few are enough; a keeper thread renews leases, notices
deletions, takes up what a dead process left, and wakes the others for jobs that another process accepted.
"""

from __future__ import annotations

import os
import queue as queues
import secrets
import threading
import time
from collections.abc import Callable

import structlog

from service.config import Settings
from service.engines.bell import Bell
from service.errors import InputError, Overloaded, ServiceError, WeighbridgeError, WorkerError, WorkerUnavailable
from service.jobs import catalogue, queue, reports
from service.jobs.analysis import Sandbox, analyse_stored
from service.jobs.blobs import Blobs
from service.jobs.database import Database
from service.jobs.hashing import sha256_of
from service.jobs.records import Analysis

KEEPER_SECONDS = 0.5
RENEW_SECONDS = 2.0
LOOK_AGAIN_SECONDS = 0.1
"""How often a waiting request asks the table: only a job that another process runs needs it."""
REHASH_SECONDS = 60.0
REHASH_AFTER_SECONDS = 600.0
"""Age from which a missing SHA-256 counts as forgotten by a process that died; hashing takes seconds."""

Observer = Callable[[str, str, float], None]

log = structlog.get_logger("weighbridge.engine")


class LocalEngine:
    """Runs jobs in this process. `observe(state, code, seconds)` is told of each attempt that ends."""

    def __init__(
        self, settings: Settings, database: Database, blobs: Blobs, sandbox: Sandbox, observe: Observer
    ) -> None:
        self._settings = settings
        self._database = database
        self._blobs = blobs
        self._sandbox = sandbox
        self._observe = observe
        self._owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._bell = Bell()
        self._running: dict[str, threading.Event] = {}
        self._handed: queues.SimpleQueue[Analysis | None] = queues.SimpleQueue()  # None: look in the table
        self._stopping = threading.Event()
        self._renewed = 0.0
        self._threads = [
            threading.Thread(target=self._serve, name=f"job-{number}", daemon=True)
            for number in range(settings.job_threads)
        ]
        self._keepers = [
            threading.Thread(
                target=self._every, args=(KEEPER_SECONDS, self._look_after), name="job-keeper", daemon=True
            ),
            threading.Thread(target=self._every, args=(REHASH_SECONDS, self._rehash), name="job-hasher", daemon=True),
        ]

    def start(self) -> None:
        """Begin taking jobs, also those accepted before."""
        for thread in (*self._threads, *self._keepers):
            thread.start()

    def stop(self, patience: float) -> None:
        """Take no more jobs; those not done after `patience` seconds are put back for the next process."""
        self._stopping.set()
        for _ in self._threads:
            self._handed.put(None)
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for token in list(self._running.values()):
            token.set()
        for thread in self._threads:
            thread.join(2.0)

    def ready_owner(self) -> str | None:
        """The name under which a job added now would be run at once; None while all threads are busy."""
        idle = len(self._threads) - len(self._running) - self._handed.qsize()
        return self._owner if idle > 0 and not self._stopping.is_set() else None

    def run(self, job: Analysis, seconds: float) -> Analysis | None:
        """Take a job that was added to the table, perhaps already `running` for us, and wait as `wait` does."""
        with self._bell.listening(job.id) as finished:
            self._handed.put(job)
            return self._await(job, finished, seconds)

    def wait(self, identifier: str, seconds: float) -> Analysis | None:
        """The analysis once it is finished, or as it is after `seconds`; None once it is deleted."""
        with self._bell.listening(identifier) as finished:
            return self._await(catalogue.get(self._database, identifier), finished, seconds)

    def _await(self, found: Analysis | None, finished: threading.Event, seconds: float) -> Analysis | None:
        deadline = time.monotonic() + seconds
        while found is not None and not found.final and not self._stopping.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            finished.wait(min(left, LOOK_AGAIN_SECONDS))
            found = catalogue.get(self._database, found.id)
        return found

    def cancel(self, identifier: str) -> None:
        """The analysis was deleted: kill its child if it runs here (elsewhere, that process's keeper notices)."""
        token = self._running.get(identifier)
        if token is not None:
            token.set()
        self._bell.ring([identifier])

    def _serve(self) -> None:
        while True:
            job = self._handed.get()
            if self._stopping.is_set():
                return
            try:
                self._take(job)
            except Exception:  # the database does not answer, say: the job is found again later
                log.exception("job_thread_failed")

    def _take(self, handed: Analysis | None) -> None:
        if handed is None and not queue.has_queued(self._database):
            return
        job = handed
        if handed is None or handed.state == "queued":
            job = queue.claim(self._database, self._owner, None if handed is None else handed.id)
        if job is not None:
            self._run(job)

    def _run(self, job: Analysis) -> None:
        token = threading.Event()
        self._running[job.id] = token
        began = time.monotonic()
        try:
            state, code, finished = self._attempt(job, token)
        finally:
            del self._running[job.id]
        self._bell.ring(finished)
        if not self._handed.qsize():
            self._handed.put(None)  # there may be older ones: retries, or those of a process that died
        seconds = time.monotonic() - began
        self._observe(state, code, seconds)
        log.info(
            "analysis", analysis=job.id, request_id=job.request_id, state=state, code=code, seconds=round(seconds, 4)
        )

    def _attempt(self, job: Analysis, token: threading.Event) -> tuple[str, str, list[str]]:
        """Run the job once: its state, a code and the ids of what is finished with it."""
        try:
            finished, code = self._succeed(job, token), ""
        except WeighbridgeError as error:
            return self._failed(job, token, error)
        except Exception:
            log.exception("analysis_broke", analysis=job.id)
            return self._failed(job, token, WeighbridgeError("The service failed while it made the report."))
        return ("succeeded" if finished else "cancelled"), code, finished

    def _succeed(self, job: Analysis, token: threading.Event) -> list[str]:
        report = analyse_stored(self._sandbox, self._blobs, job.parts, self._settings.limits, token.is_set)
        facts = {"format": report.model.format, "framework": report.model.framework}
        finished = queue.succeed(self._database, self._owner, job, reports.encode(report), facts)
        if finished and report.model.sha256 is None and len(job.parts) == 1:
            self._amend(job.id)
        return finished

    def _amend(self, identifier: str) -> None:
        """The upload's SHA-256 may have become known between the claim and the report."""
        found = catalogue.get(self._database, identifier)
        for part in found.parts if found is not None else ():
            if part.sha256 is not None:
                reports.learn_sha256(self._database, part.blake3, part.sha256)

    def _failed(self, job: Analysis, token: threading.Event, error: WeighbridgeError) -> tuple[str, str, list[str]]:
        if token.is_set():
            if self._stopping.is_set():
                queue.put_back(self._database, self._owner, job, pause=0.0, counted=False)
                return "queued", "stopping", []
            return "cancelled", "cancelled", []
        if isinstance(error, (WorkerUnavailable, Overloaded)) and job.attempts < self._settings.job_attempts:
            queue.put_back(self._database, self._owner, job, pause=_pause(job.attempts))
            return "queued", error.code, []
        if not isinstance(error, (InputError, WorkerError, ServiceError)):
            log.error("analysis_failed", analysis=job.id, code=error.code, detail=error.info.detail)
        return "failed", error.info.code, queue.fail(self._database, self._owner, job, error.info)

    def _every(self, seconds: float, action: Callable[[], None]) -> None:
        while not self._stopping.wait(seconds):
            try:
                action()
            except Exception:
                log.exception("keeper_failed")

    def _look_after(self) -> None:
        if self._running:
            self._drop_deleted()
        if time.monotonic() - self._renewed > RENEW_SECONDS:
            self._renewed = time.monotonic()
            if self._running:
                queue.renew(self._database, self._owner)
            self._bell.ring(queue.recover(self._database, self._settings.job_attempts))
        if self._handed.empty() and len(self._running) < len(self._threads) and queue.has_queued(self._database):
            self._handed.put(None)

    def _drop_deleted(self) -> None:
        here = dict(self._running)
        mine = queue.still_mine(self._database, self._owner)
        for identifier, token in here.items():
            if identifier not in mine:
                token.set()

    def _rehash(self) -> None:
        part = catalogue.without_sha256(self._database, older_than=REHASH_AFTER_SECONDS)
        if part is None:
            return
        descriptor = self._blobs.open(part.blake3, part.bytes)
        try:
            reports.learn_sha256(self._database, part.blake3, sha256_of(descriptor))
        finally:
            os.close(descriptor)


def _pause(attempts: int) -> float:
    return queue.RETRY_SECONDS[min(attempts, len(queue.RETRY_SECONDS)) - 1]
