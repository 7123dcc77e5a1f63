"""One lane of an engine: its threads, what waits for them, and what runs; knows no database.

There is a lane for short jobs and one for those that read values, so that neither waits for the other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from service.engines.fair import FairQueue
from service.jobs.records import Job, Lane


class Running:
    """A job that runs here. It is called off by setting `cancelled`, and says how far it has come."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self._share = 0.0
        self._told = 0.0

    def progress(self, share: float) -> None:
        """Hear how far it has come, 0 to 1; it cannot go back."""
        self._share = max(self._share, share)

    @property
    def is_news(self) -> bool:
        """Whether it has come further since that was told."""
        return self._share > self._told

    def tell(self) -> float:
        """How far it has come, 0 to 1."""
        self._told = self._share
        return self._told


class Threads:
    """The threads of a lane. `serve(job)` is called in one of them for each job handed over, with None to look for one.

    What waits is taken in turn: of each account, and a look into the table, which is never queued twice.
    """

    def __init__(self, lane: Lane, count: int, serve: Callable[[Job | None, Lane], None]) -> None:
        self.lane = lane
        self._serve = serve
        self._handed: FairQueue[Job | None] = FairQueue()
        self._woken = threading.Event()
        self._stopped = False
        self._busy = 0
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, name=f"{lane}-{number}", daemon=True) for number in range(count)
        ]

    def start(self) -> None:
        """Begin to take jobs."""
        for thread in self._threads:
            thread.start()

    def hand(self, job: Job) -> None:
        """Have this job run."""
        self._handed.put(job.account, job)

    def wake(self) -> None:
        """Have a thread look for a job, in turn with those handed over."""
        with self._lock:
            if self._woken.is_set():
                return
            self._woken.set()
        self._handed.put(None, None)

    def idle(self) -> int:
        """How many threads have nothing to do."""
        return len(self._threads) - self._busy - len(self._handed)

    def stop(self) -> None:
        """Take no more jobs."""
        self._stopped = True
        for _ in self._threads:
            self._handed.put(None, None)

    def join(self, deadline: float) -> None:
        """Wait for the threads to end, until `deadline` on the monotonic clock."""
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        while True:
            job = self._handed.get()
            if self._stopped:
                return
            with self._lock:
                self._busy += 1
                if job is None:
                    self._woken.clear()
            try:
                self._serve(job, self.lane)
            finally:
                with self._lock:
                    self._busy -= 1
