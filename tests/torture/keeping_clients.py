"""Clients that repeat themselves, leave in the middle, come in crowds, or find a service short of descriptors."""

from __future__ import annotations

import collections
import itertools
import random
import statistics
import sys
import threading
import time
from pathlib import Path

from tests.http.conftest import Service
from tests.torture.figures import Figure, left_behind, until
from tests.torture.storm import POST, READY_SECONDS, Client, Steady, model

SMALL = "/v1/analyses?wait=0"
PAGE = 4096
DESCRIPTORS = 400
"""Fewer than connections are held: what the wall itself needs is not much less."""


def fifty(folder: Path, seconds: float) -> Figure:
    """All at once, each round with a key of its own."""
    service = Steady(folder / "data")
    try:
        service.current.wait_until_ready(READY_SECONDS)
        service.current.pool = service.current.pool.__class__(
            "127.0.0.1", service.current.port, maxsize=60, retries=False, timeout=90
        )
        made = [len(_round(service, number)) for number in range(20)]
        return Figure(f"{sum(made)} jobs for {20 * 50} requests with 20 keys", made == [1] * 20)
    finally:
        service.stop()


def _round(service: Steady, number: int) -> set[str]:
    got: list[str] = []
    headers = {**POST, "Idempotency-Key": f'"round {number}"'}

    def ask() -> None:
        path, content = "/v1/analyses?wait=30", model(100 + number)
        while (found := service.current.ask("POST", path, body=content, headers=headers)).status == 503:
            time.sleep(0.1)
        got.append(found.json().get("id", str(found.status)))

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return set(got)


def disconnects(folder: Path, seconds: float) -> Figure:
    """Uploads of 300 KB, cut after one, fifty and ninety-nine percent of their bytes."""
    service = Steady(folder / "data")
    try:
        service.current.wait_until_ready(READY_SECONDS)
        for number in range(200):
            content = model(75_000 + number)
            head = f"POST {SMALL} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(content)}\r\n\r\n"
            share = (0.01, 0.5, 0.99)[number % 3]
            service.current.raw(head.encode(), content[: int(len(content) * share)]).close()
        left = left_behind(service)
        stored = list((folder / "data" / "blobs").glob("??/*"))
        stored = [file for file in stored if file.parent.name != "tmp"]
        well = service.current.ask("POST", "/v1/analyses?wait=20", body=model(5), headers=POST).status == 201
        said = f"200 cut; {len(left)} unfinished and {len(stored)} stored files left"
        return Figure(said, not (left or stored) and well)
    finally:
        service.stop()


def overload(folder: Path, seconds: float) -> Figure:
    """Twice as many uploads a second as it was measured to take, sent whether or not they are answered."""
    service = Steady(folder / "data", WEIGHBRIDGE_MAX_QUEUED_JOBS="200")
    try:
        service.current.wait_until_ready(READY_SECONDS)
        numbers = itertools.count(1)
        capacity = _capacity(service, numbers)
        sizes: list[int] = []
        answers: list[tuple[int, float]] = []
        stopping = threading.Event()
        watch = threading.Thread(target=_watch, args=(service, sizes, stopping))
        watch.start()
        _send_at(service, numbers, 2 * capacity, seconds, answers)
        stopping.set()
        watch.join()
        drained = until(lambda: not _waiting(service), 120.0)
        return _overloaded(answers, sizes, capacity, drained)
    finally:
        service.stop()


def _overloaded(answers: list[tuple[int, float]], sizes: list[int], capacity: float, drained: float | None) -> Figure:
    statuses = collections.Counter(status for status, _ in answers)
    taken = [took for status, took in answers if status in (201, 202)]
    refused = sum(count for status, count in statuses.items() if status in (429, 503))
    early, late = (statistics.median(half) for half in (sizes[2 : len(sizes) // 2], sizes[len(sizes) // 2 :]))
    growth = 100 * (late - early) / early
    said = (
        f"capacity {capacity:.0f}/s, {len(answers)} sent, {100 * refused / len(answers):.0f} % answered 429 or 503; "
        f"p99 of accepted {statistics.quantiles(taken, n=100)[98]:.2f} s; memory {growth:+.1f} %; queue empty after "
        f"{-1 if drained is None else drained:.0f} s"
    )
    return Figure(said, set(statuses) <= {201, 202, 429, 503} and growth < 5 and drained is not None, (str(statuses),))


def _capacity(service: Steady, numbers: itertools.count[int]) -> float:
    clients = [Client(service.current.port, numbers, seed) for seed in range(8)]
    for client in clients:
        client.start()
    time.sleep(8.0)
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join(60)
    return sum(len(client.accepted) for client in clients) / 8.0


def _send_at(
    service: Steady, numbers: itertools.count[int], rate: float, seconds: float, answers: list[tuple[int, float]]
) -> None:
    chance = random.Random(1)  # noqa: S311
    end, open_now = time.monotonic() + seconds, threading.Semaphore(400)

    def send(number: int) -> None:
        began = time.monotonic()
        try:
            status = service.current.ask("POST", SMALL, body=model(number), headers=POST).status
        except Exception:  # noqa: BLE001 - counted as no answer
            status = 0
        answers.append((status, time.monotonic() - began))
        open_now.release()

    while time.monotonic() < end:
        time.sleep(chance.expovariate(rate))
        open_now.acquire()
        threading.Thread(target=send, args=(next(numbers),), daemon=True).start()
    until(lambda: open_now._value == 400, 60.0)


def _watch(service: Steady, sizes: list[int], stopping: threading.Event) -> None:
    """The resident memory of the web workers, each second."""
    while not stopping.wait(1.0):
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in service.victims("worker")]
        sizes.append(PAGE * sum(pages))


def _waiting(service: Steady) -> bool:
    states = ("queued", "running")
    return any(service.current.ask("GET", f"/v1/analyses?state={state}").json()["items"] for state in states)


def descriptors(folder: Path, seconds: float) -> Figure:
    """Twice as many connections are held open as a web worker has descriptors; jobs go on beside them."""
    service = _limited(folder / "data", DESCRIPTORS)
    try:
        service.wait_until_ready(READY_SECONDS)
        numbers = itertools.count(1)
        senders = [Client(service.port, numbers, seed) for seed in range(4)]
        for sender in senders:
            sender.start()
        held, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                held.append(service.raw())
            except OSError:
                time.sleep(0.1)
            if len(held) > 2 * DESCRIPTORS:
                held.pop(0).close()
            time.sleep(0.002)
        for connection in held:
            connection.close()
        for sender in senders:
            sender.stopping.set()
        lost, wrong, accepted = [], [], 0
        for sender in senders:
            sender.join(120)
            lost += sender.follow()[0]
            wrong += sender.wrong + sender.doubled
            accepted += len(sender.accepted)
        statuses = sum((sender.statuses for sender in senders), collections.Counter())
        said = f"{accepted} jobs accepted, {len(lost)} lost, {len(wrong)} wrong; answers {dict(statuses)}"
        return Figure(said, accepted > 0 and not lost and not wrong and 500 not in statuses, (*lost[:9], *wrong[:9]))
    finally:
        service.stop()


def _limited(folder: Path, number: int) -> Service:
    """A service whose processes may open so many files."""
    python = folder.parent / "python"
    python.write_text(f'#!/bin/sh\nulimit -n {number}\nexec {sys.executable} "$@"\n')
    python.chmod(0o700)
    return Service(folder, PYTHON=str(python), WEIGHBRIDGE_LOG_LEVEL="CRITICAL")
