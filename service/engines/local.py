"""The default engine: a few threads of this process take jobs from the table and run them over the sandbox.

Every web worker has one. The threads only wait on children, so a few are enough; a keeper thread renews leases, notices
deletions, takes up what a dead process left, wakes the others for jobs that another process accepted, and notes how far
the long ones have come. A job whose end cannot be written down is put back as soon as the database takes it.
"""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable
from typing import TypeVar, cast

import structlog

from service import faults
from service.config import Settings
from service.engines.bell import Bell
from service.engines.lane import Running, Threads
from service.engines.retrying import Again, Patience
from service.errors import InputError, RequestError, ServiceError, WeighbridgeError, WorkerError
from service.jobs import catalogue, marks, queue, reports
from service.jobs.analysis import Sandbox, Watch, analyse_stored
from service.jobs.blobs import Blobs
from service.jobs.comparing import compare_stored
from service.jobs.database import Database
from service.jobs.hashing import sha256_of
from service.jobs.records import Analysis, ComparisonJob, Job, Lane, Work
from service.language import msg

KEEPER_SECONDS = 0.5
RENEW_SECONDS = 2.0
LOOK_AGAIN_SECONDS = 0.1
"""How often a waiting request asks the table: only a job that another process runs needs it."""
PROGRESS_SECONDS = 1.0
"""Between two notes of how far jobs have come."""
STOP_SECONDS = 2.0
"""How long a job that was called off may take to end."""
REHASH_SECONDS = 60.0
REHASH_AFTER_SECONDS = 600.0
"""Age from which a missing SHA-256 counts as forgotten by a process that died; hashing takes seconds."""

Observer = Callable[[Work, str, str, float], None]
J = TypeVar("J", Analysis, ComparisonJob)

log = structlog.get_logger("weighbridge.engine")


class LocalEngine:
    """Runs jobs in this process. `observe(work, state, code, seconds)` is told of each attempt that ends."""

    def __init__(
        self, settings: Settings, database: Database, blobs: Blobs, sandbox: Sandbox, observe: Observer
    ) -> None:
        self._settings = settings
        self._database = database
        self._blobs = blobs
        self._sandbox = sandbox
        self._observe = observe
        self._owner = blobs.mark.name
        self._bell = Bell()
        self._running: dict[str, Running] = {}
        self._handed: set[str] = set()  # leased to us, and not yet begun
        self._unsettled: dict[str, Job] = {}  # not run any more, and the table does not know
        self._patience = Patience(settings.job_attempts)
        self._draining = threading.Event()
        self._stopping = threading.Event()
        self._renewed = 0.0
        self._told = 0.0
        self._lanes: dict[Lane, Threads] = {
            "quick": Threads("quick", settings.job_threads, self._serve),
            "values": Threads("values", settings.values_threads, self._serve),
        }
        self._keepers = [
            threading.Thread(
                target=self._every, args=(KEEPER_SECONDS, self._look_after), name="job-keeper", daemon=True
            ),
            threading.Thread(target=self._every, args=(REHASH_SECONDS, self._rehash), name="job-hasher", daemon=True),
        ]

    def start(self) -> None:
        """Begin taking jobs, also those accepted before."""
        try:
            self._blobs.mark.hold()
        except OSError:  # the disk takes nothing: should we die, our leases end by their time
            log.exception("no_mark")
        for lane in self._lanes.values():
            lane.start()
        for keeper in self._keepers:
            keeper.start()

    def drain(self) -> None:
        """The process is about to end: take no new jobs, let nobody wait for those that run. For a signal handler."""
        self._draining.set()

    def stop(self, patience: float) -> None:
        """Take no more jobs; those not done after `patience` seconds are put back for the next process."""
        self._draining.set()
        self._stopping.set()
        lanes = self._lanes.values()
        for lane in lanes:
            lane.stop()
        deadline = time.monotonic() + patience
        for lane in lanes:
            lane.join(deadline)
        for running in list(self._running.values()):
            running.cancelled.set()
        deadline = time.monotonic() + STOP_SECONDS
        for lane in lanes:
            lane.join(deadline)
        try:
            queue.give_back(self._database, self._owner)
        except ServiceError:  # our mark goes with us: others see that we are dead
            log.exception("not_given_back")
        else:
            self._blobs.mark.release()

    def ready_owner(self, lane: Lane = "quick") -> str | None:
        """The name under which a job added now would be run at once; None while all threads of its lane are busy."""
        return self._owner if self._lanes[lane].idle() > 0 and not self._draining.is_set() else None

    def run(self, job: J, seconds: float) -> J | None:
        """Take a job that was added to the table, perhaps already `running` for us, and wait as `wait` does."""
        if job.final:
            return job
        with self._bell.listening(job.id) as finished:
            if job.state == "running":
                self._handed.add(job.id)
            self._lanes[job.lane].hand(job)
            return cast("J | None", self._await(job, finished, seconds))

    def wait(self, identifier: str, seconds: float) -> Job | None:
        """The analysis or comparison once it is finished, or as it is after `seconds`; None once it is deleted."""
        with self._bell.listening(identifier) as finished:
            return self._await(queue.get(self._database, identifier), finished, seconds)

    def _await(self, found: Job | None, finished: threading.Event, seconds: float) -> Job | None:
        deadline = time.monotonic() + seconds
        while found is not None and not found.final and not self._draining.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            finished.wait(min(left, LOOK_AGAIN_SECONDS))
            try:
                found = queue.get(self._database, found.id)
            except ServiceError:  # it is accepted all the same: who waits is told what was known last
                break
        return found

    def cancel(self, identifier: str) -> None:
        """The job was deleted: kill its child if it runs here (elsewhere, that process's keeper notices)."""
        running = self._running.get(identifier)
        if running is not None:
            running.cancelled.set()
        self._bell.ring([identifier])
        self._wake()  # a comparison may have waited for it

    def _wake(self) -> None:
        for lane in self._lanes.values():
            lane.wake()

    def _serve(self, handed: Job | None, lane: Lane) -> None:
        try:
            self._take(handed, lane)
        except Exception:  # the database does not answer, say: the job is found again later
            log.exception("job_thread_failed")

    def _take(self, handed: Job | None, lane: Lane) -> None:
        if handed is None and not queue.has_queued(self._database, lane):
            return
        job = handed
        if handed is None or handed.state == "queued":
            job = queue.claim(self._database, self._owner, None if handed is None else handed.id, lane)
        if job is not None:
            self._begin(job)

    def _begin(self, job: Job) -> None:
        """Run a job that is leased to us; one that cannot even be begun is put back, and not kept for ever."""
        self._handed.add(job.id)
        try:
            faults.point("job.claimed")
            self._run(job)
        finally:
            if job.id in self._handed:
                self._handed.discard(job.id)
                self._unsettled[job.id] = job

    def _run(self, job: Job) -> None:
        running = self._running[job.id] = Running()
        self._handed.discard(job.id)
        began = time.monotonic()
        try:
            state, code, finished = self._attempt(job, running)
        except ServiceError as error:  # its end could not be written down
            self._unsettled[job.id] = job
            state, code, finished = "queued", error.code, []
        finally:
            if self._running.get(job.id) is running:  # else we lost it meanwhile, and a later attempt runs here, too
                del self._running[job.id]
        if finished:
            self._patience.forget(job.id)
        self._bell.ring(finished)
        self._wake()  # there may be older ones: retries, those of a process that died, comparisons that waited for this
        seconds = time.monotonic() - began
        self._observe(job.work, state, code, seconds)
        what = "comparison" if isinstance(job, ComparisonJob) else "analysis"
        facts = {what: job.id, "request_id": job.request_id, "state": state, "code": code}
        log.info(what, work=job.work, seconds=round(seconds, 4), **facts)

    def _attempt(self, job: Job, running: Running) -> tuple[str, str, list[str]]:
        """Run the job once: its state, a code and the ids of what is finished with it."""
        watch = Watch(cancelled=running.cancelled.is_set, progress=running.progress)
        try:
            finished, code = self._succeed(job, watch), ""
        except WeighbridgeError as error:
            return self._failed(job, running, error)
        except OSError as error:  # descriptors or memory are used up, say: no fault of the job
            log.exception("job_disturbed", job=job.id)
            reason = error.strerror or type(error).__name__
            detail = msg("The service lacks what it needs to run this: {reason}.", reason=reason)
            return self._failed(job, running, ServiceError(detail))
        except Exception:
            log.exception("job_broke", job=job.id)
            return self._failed(job, running, WeighbridgeError(msg("The service failed while it made the report.")))
        return ("succeeded" if finished else "cancelled"), code, finished

    def _succeed(self, job: Job, watch: Watch) -> list[str]:
        limits = self._settings.limits
        if isinstance(job, ComparisonJob):
            compared = compare_stored(self._sandbox, self._database, self._blobs, job, limits, watch)
            return queue.succeed(self._database, self._owner, job, reports.encode(compared), {})
        report = analyse_stored(self._sandbox, self._blobs, job, limits, watch)
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

    def _failed(self, job: Job, running: Running, error: WeighbridgeError) -> tuple[str, str, list[str]]:
        if running.cancelled.is_set():
            if self._stopping.is_set():
                return self._put_back(job, Again(0.0, counted=False), "stopping")
            return "cancelled", "cancelled", []
        again = self._patience.judge(job, error)
        if again is not None:
            return self._put_back(job, again, error.code)
        of_side = isinstance(error, RequestError)  # of a comparison: a twin may have sides that are well
        if not (of_side or isinstance(error, (InputError, WorkerError, ServiceError))):
            log.error("job_failed", job=job.id, code=error.code, detail=str(error.info.detail))
        return "failed", error.info.code, queue.fail(self._database, self._owner, job, error.info, alone=of_side)

    def _put_back(self, job: Job, again: Again, code: str) -> tuple[str, str, list[str]]:
        queue.put_back(self._database, self._owner, job, pause=again.pause, counted=again.counted)
        return "queued", code, []

    def _every(self, seconds: float, action: Callable[[], None]) -> None:
        while not self._stopping.wait(seconds):
            try:
                action()
            except Exception:
                log.exception("keeper_failed")

    def _look_after(self) -> None:
        for identifier, job in list(self._unsettled.items()):
            queue.put_back(self._database, self._owner, job, pause=0.0, counted=False)
            del self._unsettled[identifier]
        if self._running:
            self._drop_deleted()
        if time.monotonic() - self._renewed > RENEW_SECONDS:
            self._renewed = time.monotonic()
            if held := [*self._running, *self._handed]:
                queue.renew(self._database, self._owner, held)
        is_dead = functools.partial(marks.is_dead, self._blobs.root.parent)
        self._bell.ring(queue.recover(self._database, self._settings.job_attempts, is_dead))
        for lane in self._lanes.values():
            if not self._draining.is_set() and lane.idle() > 0 and queue.has_queued(self._database, lane.lane):
                lane.wake()
        self._tell_progress()

    def _tell_progress(self) -> None:
        """Let other processes see how far jobs have come, at most once in `PROGRESS_SECONDS`."""
        news = {identifier: running for identifier, running in dict(self._running).items() if running.is_news}
        if not news or time.monotonic() - self._told < PROGRESS_SECONDS:
            return
        self._told = time.monotonic()
        queue.tell_progress(self._database, self._owner, {name: running.tell() for name, running in news.items()})

    def _drop_deleted(self) -> None:
        here = dict(self._running)
        mine = queue.still_mine(self._database, self._owner)
        for identifier, running in here.items():
            if identifier not in mine:
                running.cancelled.set()

    def _rehash(self) -> None:
        part = catalogue.without_sha256(self._database, older_than=REHASH_AFTER_SECONDS)
        if part is None:
            return
        descriptor = self._blobs.open(part.blake3, part.bytes)
        try:
            reports.learn_sha256(self._database, part.blake3, sha256_of(descriptor))
        finally:
            os.close(descriptor)
