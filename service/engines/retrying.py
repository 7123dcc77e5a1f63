"""Whether a job that did not come to its end is tried again, when, and whether that counts. Knows errors, no thread.

What is wrong with the content is final. What is wrong with the service is no fault of the job: it waits. In between are
jobs during which a process died: it may have been they, so they get a number of attempts.
"""

from __future__ import annotations

import time

import msgspec

from service.errors import DatabaseDamaged, Overloaded, ServiceError, StorageFull, WeighbridgeError, WorkerUnavailable
from service.jobs.queue import RETRY_SECONDS
from service.jobs.records import Job

WORKER_PATIENCE = 300.0
"""Seconds for which a job waits for a worker that is not there, or is killed by others: who kills may go on a while."""
STORAGE_PATIENCE = 3600.0
"""Seconds for which it waits for a disk or a database that takes nothing: somebody has to make room."""
FIRST_PAUSE = 0.5
WORKER_PAUSE, STORAGE_PAUSE = 5.0, 30.0
"""Longest pause between two tries: each reads the upload anew."""
FORGOTTEN_SECONDS = 86400.0


class Again(msgspec.Struct, frozen=True):
    """Put it back: others may take it after `pause` seconds. `counted`: as one of its attempts."""

    pause: float
    counted: bool


class Patience:
    """How long each job has been waiting for the service, as this process knows. For use by several threads."""

    def __init__(self, attempts: int) -> None:
        self._attempts = attempts
        self._since: dict[str, float] = {}

    def judge(self, job: Job, error: WeighbridgeError) -> Again | None:
        """How the job is tried again after `error`; None if that is its end."""
        if not _is_the_service_s(error):
            return None
        if error.info.extra.get("deaths"):
            pause = RETRY_SECONDS[min(job.attempts, len(RETRY_SECONDS)) - 1]
            return Again(pause, counted=True) if job.attempts < self._attempts else None
        waited = time.monotonic() - self._since.setdefault(job.id, time.monotonic())
        of_worker = isinstance(error, (WorkerUnavailable, Overloaded))
        if waited >= (WORKER_PATIENCE if of_worker else STORAGE_PATIENCE):
            return None
        return Again(min(WORKER_PAUSE if of_worker else STORAGE_PAUSE, FIRST_PAUSE + waited), counted=False)

    def forget(self, identifier: str) -> None:
        """The job is finished, here or elsewhere."""
        self._since.pop(identifier, None)
        long_ago = time.monotonic() - FORGOTTEN_SECONDS
        for other, since in list(self._since.items()):
            if since < long_ago:
                self._since.pop(other, None)


def _is_the_service_s(error: WeighbridgeError) -> bool:
    """Whether it may pass: what a missing framework or a lost upload is to a job does not."""
    passing = (StorageFull, DatabaseDamaged, WorkerUnavailable, Overloaded)
    return type(error) is ServiceError or isinstance(error, passing)
