"""`python -m tests.torture.load`: crowds, slow readers, a full queue, hostile neighbours, a soak; prints their table.

Each check starts services of its own on loopback and floods them; SIGSTOP goes only to their own warm processes.
`--seconds` is how long the last two last; the rest takes about two minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.http.conftest import Service, answer
from tests.http.test_load_answers import get, wide
from tests.torture.figures import Figure, until
from tests.torture.storm import Steady, children, model

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
POST = b"POST /v1/analyses HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"
QUIET = {"WEIGHBRIDGE_LOG_LEVEL": "ERROR", "WEIGHBRIDGE_STALL_SECONDS": "60"}
ROUNDS = 50
HUNDREDTH = 99
MIB = 1 << 20


class Check(NamedTuple):
    """One row: what is done, and the figure that must be met."""

    title: str
    bar: str
    run: Callable[[Path, float], Figure]


class Steadily(NamedTuple):
    """How long answers took, in seconds, and how many were not as they should be."""

    seconds: list[float]
    wrong: int

    def words(self) -> str:
        """The median, the 99th in a hundred, the wrong ones."""
        return f"p50 {1000 * self.at(50):.0f} ms, p99 {1000 * self.at(HUNDREDTH):.0f} ms, {self.wrong} wrong"

    def at(self, percent: int) -> float:
        """The time within which `percent` of 100 were answered."""
        return statistics.quantiles(self.seconds, n=100, method="inclusive")[percent - 1]


def asked(ask: Callable[[], bool], rounds: int = ROUNDS) -> Steadily:
    """`ask` again and again; it says whether the answer was right."""
    seconds, wrong = [], 0
    for _ in range(rounds):
        began = time.monotonic()
        wrong += not ask()
        seconds.append(time.monotonic() - began)
    return Steadily(seconds, wrong)


def health(service: Service) -> Callable[[], bool]:
    """Asks for it on a connection of its own."""
    return lambda: answer(service.raw(GET))[0] == 200


def processes(service: Service) -> list[int]:
    """The web workers, the supervisor and all below it."""
    found = [service.process.pid]
    for pid in found:
        found += children(pid)
    return found


def memory(pids: list[int]) -> int:
    """Bytes in memory."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    return total


def descriptors(pids: list[int]) -> int:
    """Open files."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    return total


@contextlib.contextmanager
def serving(folder: Path, **settings: str):
    """A service of its own."""
    service = Service(folder, **{**QUIET, **settings})
    try:
        service.wait_until_ready()
        yield service
    finally:
        service.stop()


def crowd(folder: Path, pieces: tuple[bytes, ...], size: int) -> Figure:
    """So many connections that have sent this and no more."""
    with serving(folder) as service, contextlib.ExitStack() as stack:
        before = memory(service.workers())
        for _ in range(size):
            stack.enter_context(service.raw(*pieces))
        found = asked(health(service))
        grown = (memory(service.workers()) - before) / MIB
    return Figure(f"/healthz {found.words()}; {grown:.0f} MiB for {size}", found.wrong == 0 and found.at(99) < 1.0)


def slow(folder: Path, _seconds: float) -> Figure:
    """Half of the clients hang in their header, half in their body."""
    with serving(folder) as service, contextlib.ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(service.raw(GET[:-2]))
            stack.enter_context(service.raw(POST, b"x" * 100))
        found = asked(health(service))
    return Figure(f"/healthz {found.words()}", found.wrong == 0 and found.at(HUNDREDTH) < 1.0)


def readers(folder: Path, _seconds: float) -> Figure:
    """A report of 60 MB asked for by many that never read it."""
    with serving(folder) as service, contextlib.ExitStack() as stack:
        made = service.ask("POST", "/v1/analyses?wait=60&filename=a.safetensors", body=wide(50_000)).json()
        small = service.ask("POST", "/v1/analyses?wait=60&filename=b.safetensors", body=model(7)).json()
        service.ask("GET", made["links"]["report"])
        before = memory(service.workers())
        open_still = [stack.enter_context(service.raw(get(made["links"]["report"]))) for _ in range(200)]
        found = asked(lambda: service.ask("GET", small["links"]["report"]).status == 200)
        statuses = Counter(connection.recv(12)[9:].decode() for connection in open_still)
        grown = (memory(service.workers()) - before) / MIB
    told = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    return Figure(f"small reports {found.words()}; {told}; {grown:.0f} MiB", found.wrong == 0 and grown < 200)


def queue(folder: Path, _seconds: float) -> Figure:
    """Two thousand uploads while the warm process is stopped, then all that were accepted are awaited."""
    steady = Steady(folder, **QUIET, WEIGHBRIDGE_MAX_QUEUED_JOBS="1000", WEIGHBRIDGE_LIMIT_SECONDS="300")
    try:
        steady.current.wait_until_ready()
        service = steady.current
        before = memory(service.workers())
        stopped = [pid for kind in ("zygote", "child") for pid in steady.victims(kind)]
        for pid in stopped:
            _tell(pid, signal.SIGSTOP)
        statuses: Counter[int] = Counter()
        accepted = []
        for number in range(2000):
            made = service.ask("POST", "/v1/analyses?wait=0&filename=a.safetensors", body=model(number + 1))
            statuses[made.status] += 1
            if made.status in (201, 202):
                accepted.append(made.json()["id"])
        grown, found = (memory(service.workers()) - before) / MIB, asked(health(service))
        for pid in stopped:
            _tell(pid, signal.SIGCONT)
        unfinished = set(accepted)
        until(lambda: not _drop_finished(service, unfinished), 300)
    finally:
        steady.stop()
    told = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    text = f"{told}; {grown:.0f} MiB; /healthz {found.words()}; {len(unfinished)} of {len(accepted)} lost"
    return Figure(text, not unfinished and found.wrong == 0 and grown < 100 and statuses[503] > 0)


def _tell(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)


def _drop_finished(service: Service, unfinished: set[str]) -> set[str]:
    for identifier in list(unfinished):
        if service.ask("GET", f"/v1/analyses/{identifier}").json()["state"] == "succeeded":
            unfinished.discard(identifier)
    return unfinished


def neighbours(folder: Path, seconds: float) -> Figure:
    """Ten clients that send models; then the same with one more that sends bombs."""
    with serving(folder, WEIGHBRIDGE_LIMIT_SECONDS="2") as service:
        numbers = iter(range(1, 1 << 30))
        alone = _normal(service, numbers, seconds / 2, hostile=False)
        beside = _normal(service, numbers, seconds / 2, hostile=True)
    slower = beside.at(95) / alone.at(95)
    text = f"p95 {1000 * alone.at(95):.0f} -> {1000 * beside.at(95):.0f} ms, x {slower:.2f}; {beside.wrong} wrong"
    return Figure(text, slower < 1.5 and alone.wrong == beside.wrong == 0)


def _normal(service: Service, numbers, seconds: float, *, hostile: bool) -> Steadily:
    stopping, lock, found = threading.Event(), threading.Lock(), Steadily([], 0)
    wrong: list[int] = []

    def one() -> None:
        while not stopping.is_set():
            with lock:
                number = next(numbers)
            began = time.monotonic()
            made = service.ask("POST", "/v1/analyses?wait=30&filename=a.safetensors", body=model(number))
            found.seconds.append(time.monotonic() - began)
            if made.status != 201:
                wrong.append(made.status)

    def bomb() -> None:
        while not stopping.is_set():
            with lock:
                number = next(numbers)
            service.ask("POST", "/v1/analyses?wait=30&filename=a.safetensors", body=wide(20_000 + number))

    threads = [threading.Thread(target=one) for _ in range(10)] + [threading.Thread(target=bomb)] * hostile
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stopping.set()
    for thread in threads:
        thread.join(60)
    return Steadily(found.seconds, len(wrong))


def soak(folder: Path, seconds: float) -> Figure:
    """All kinds of requests, right and wrong, again and again: what the service holds after a tenth and at the end."""
    with serving(folder, WEIGHBRIDGE_KEEP_UPLOADS_SECONDS="5") as service:
        numbers = iter(range(1, 1 << 30))
        _mixed(service, numbers, seconds / 4)
        first = _holdings(service)
        count = _mixed(service, numbers, seconds)
        last = _holdings(service)
    told = ", ".join(f"{name} {before} -> {after}" for name, (before, after) in _both(first, last).items())
    flat = last["MiB"] <= 1.05 * first["MiB"] + 16 and last["descriptors"] <= first["descriptors"] + 16
    return Figure(f"{count} requests; {told}", flat and last["zombies"] == last["unfinished"] == 0)


def _both(first: dict[str, int], last: dict[str, int]) -> dict[str, tuple[int, int]]:
    return {name: (first[name], last[name]) for name in first}


def _holdings(service: Service) -> dict[str, int]:
    pids = processes(service)
    states = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in pids]
    return {
        "MiB": memory(service.workers()) // MIB,
        "descriptors": descriptors(service.workers()),
        "processes": len(pids),
        "zombies": states.count("Z"),
        "unfinished": len(service.left_behind()),
    }


def _mixed(service: Service, numbers, seconds: float) -> int:
    until_then, count = time.monotonic() + seconds, 0
    while time.monotonic() < until_then:
        number = next(numbers)
        made = service.ask("POST", "/v1/analyses?wait=30&filename=a.safetensors", body=model(number % 1000 + 1))
        service.ask("GET", made.json()["links"]["report"], headers={"Accept-Encoding": "gzip"})
        service.ask("POST", "/v1/analyses?wait=30", body=b"\x89HDF\r\n\x1a\n" + bytes(number % 5000))
        service.ask("GET", f"/v1/analyses/{made.json()['id']}/report?format=html")
        service.raw(POST, b"x" * 1000).close()
        if number % 3:
            service.ask("DELETE", f"/v1/analyses/{made.json()['id']}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", service.port)) as broken:
            broken.sendall(b"\x16\x03\x01 no request\r\n\r\n")
        count += 7
    return count


CHECKS: dict[str, Check] = {
    "13": Check("1,000 headers and 1,000 bodies that never end", "100 %, p99 < 1 s", slow),
    "14": Check("10,000 idle connections", "100 %, p99 < 1 s", lambda folder, _: crowd(folder, (), 10_000)),
    "answers": Check("200 clients ask for 60 MB and never read", "small reports 100 %; < 200 MiB", readers),
    "queue": Check("2,000 uploads while nothing is read", "503 beyond 1,000; 0 lost; < 100 MiB", queue),
    "16": Check("1 client with large files beside 10", "p95 x < 1.5", neighbours),
    "19": Check("soak: right, wrong and broken requests", "flat; 0 zombies, 0 files", soak),
}


def main() -> int:
    """Run the checks that are asked for; status 1 if one does not meet its bar."""
    parser = argparse.ArgumentParser(prog="tests.torture.load", description=__doc__)
    parser.add_argument("checks", nargs="*", help=f"of {', '.join(CHECKS)}; all by default")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the last two last")
    given = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print("| check | figure | bar | met |\n| --- | --- | --- | --- |", flush=True)
    met = [_row(name, given.seconds) for name in given.checks or CHECKS]
    return int(not all(met))


def _row(name: str, seconds: float) -> bool:
    check = CHECKS[name]
    with tempfile.TemporaryDirectory() as folder:
        found = check.run(Path(folder, "data"), seconds)
    print(f"| {name}: {check.title} | {found.text} | {check.bar} | {'yes' if found.met else 'NO'} |", flush=True)
    return bool(found.met)


if __name__ == "__main__":
    sys.exit(main())
