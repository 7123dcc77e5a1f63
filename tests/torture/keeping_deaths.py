"""Processes killed, stopped, frozen and reloaded; clocks that jump; two versions at once."""

from __future__ import annotations

import itertools
import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.torture.figures import Figure, left_behind, of_storm, until
from tests.torture.storm import ALL, POST, READY_SECONDS, Account, Client, Steady, model, storm

OLD = ""
"""An interpreter for which an older version is installed."""
SMALL = "/v1/analyses?wait=0"


def _with_service(folder: Path, action: Callable[[Steady], Figure], **settings: str) -> Figure:
    service = Steady(folder / "data", **settings)
    try:
        service.current.wait_until_ready(READY_SECONDS)
        return action(service)
    finally:
        service.stop()


def children(folder: Path, seconds: float) -> Figure:
    """Whatever child there is."""
    return _with_service(folder, lambda service: _storm(service, seconds, {"child": 1}, pause=0.05))


def anything(folder: Path, seconds: float) -> Figure:
    """The storm of `tests.http.test_faults`, longer."""
    return _with_service(folder, lambda service: _storm(service, 2 * seconds, ALL, pause=0.1))


def _storm(service: Steady, seconds: float, kinds: dict[str, int], pause: float) -> Figure:
    account = storm(service, seconds=seconds, kinds=kinds, pause=pause, seed=int(time.time()))
    account.left_behind = left_behind(service)
    return of_storm(account, more=f"longest wait after the last {account.longest:.1f} s")


def zygotes(folder: Path, seconds: float) -> Figure:
    """One after the other, and how long until the next is there: in processor time, for others work here, too."""

    def run(service: Steady) -> Figure:
        gaps: list[float] = []
        worked: list[float] = []

        def kill(_: random.Random) -> int:
            before = service.victims("zygote")
            os.kill(before[0], signal.SIGKILL)
            gap = until(lambda: _warm(service) and service.victims("zygote") not in ([], before), 20.0)
            gaps.append(20.0 if gap is None else gap)
            worked.extend(_processor_seconds(pid) for pid in service.victims("zygote"))
            time.sleep(max(0.0, 2.0 - gaps[-1]))
            return 1

        account = _under_load(service, seconds, kill, "zygote")
        took, work = statistics.median(gaps), statistics.median(worked)
        said = f"a new one after {work:.2f} s of processor time, {took:.1f} s of the clock (medians)"
        return of_storm(account, more=said, met=work < 1.0)

    return _with_service(folder, run)


def _processor_seconds(pid: int) -> float:
    """What a process and its children that have ended have worked so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def _warm(service: Steady) -> bool:
    return service.current.ask("GET", "/readyz").status == 200


def _under_load(
    service: Steady, seconds: float, strike: Callable[[random.Random], int], kind: str, clients: int = 4
) -> Account:
    """What became of jobs that were sent while `strike` was done again and again."""
    numbers, account, chance = itertools.count(1), Account(), random.Random(1)  # noqa: S311
    senders = [Client(service.current.port, numbers, seed) for seed in range(clients)]
    for sender in senders:
        sender.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        account.kills[kind] += strike(chance)
    for sender in senders:
        sender.stopping.set()
    for sender in senders:
        sender.join(120)
        lost, longest = sender.follow()
        account.lost += lost
        account.wrong += sender.wrong + sender.doubled
        account.longest = max(account.longest, longest)
        account.accepted += len(sender.accepted)
        account.statuses += sender.statuses
    return account


def workers(folder: Path, seconds: float) -> Figure:
    """Eight connections in the middle of their uploads lose their process; the same keys are sent again."""

    def run(service: Steady) -> Figure:
        rounds, well, respawned = max(1, int(seconds / 10)), 0, []
        for number in range(rounds):
            keys = [1000 * (number + 1) + index for index in range(8)]
            open_ends = [_half(service, key) for key in keys]
            for pid in service.victims("worker"):
                os.kill(pid, signal.SIGKILL)
            respawned.append(until(lambda: _answers(service), 20.0) or 20.0)
            for connection in open_ends:
                connection.close()
            well += sum(_again(service, key) == key for key in keys)
        left = left_behind(service)
        said = f"{well} of {8 * rounds} succeeded when sent again; answering after {statistics.median(respawned):.2f} s"
        return Figure(said, well == 8 * rounds and not left, tuple(left))

    return _with_service(folder, run)


def _headers(key: int) -> dict[str, str]:
    return {**POST, "Idempotency-Key": f'"{key}"'}


def _half(service: Steady, key: int):
    content = model(key)
    lines = "".join(f"{name}: {value}\r\n" for name, value in _headers(key).items())
    head = f"POST {SMALL} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}Content-Length: {len(content)}\r\n\r\n"
    return service.current.raw(head.encode(), content[: len(content) // 2])


def _answers(service: Steady) -> bool:
    try:
        return service.current.ask("GET", "/healthz").status == 200
    except Exception:  # noqa: BLE001 - whatever a connection to nobody ends with
        return False


def _again(service: Steady, key: int) -> int | None:
    found = service.current.ask("POST", "/v1/analyses?wait=30", body=model(key), headers=_headers(key)).json()
    return found["report"]["totals"]["parameters"] if found.get("state") == "succeeded" else None


def whole(folder: Path, seconds: float) -> Figure:
    """Master and all, in the middle of many jobs."""
    return _with_service(folder, lambda service: _storm(service, seconds, {"master": 1}, pause=1.0))


def stopped(folder: Path, seconds: float) -> Figure:
    """Uploads that take two seconds more, and jobs that wait: each is answered, or run by the next."""

    def run(service: Steady) -> Figure:
        answers, drains, lost = [], [], 0
        for number in range(max(1, int(seconds / 15))):
            keys = [1000 * (number + 1) + index for index in range(26)]
            slow = [(_half(service, key), key) for key in keys[:6]]
            jobs = [service.current.ask("POST", SMALL, body=model(key), headers=_headers(key)) for key in keys[6:]]
            finish = threading.Timer(2.0, lambda slow=slow: [_rest(connection, key) for connection, key in slow])
            finish.start()
            began = time.monotonic()
            before = service.current
            before.process.send_signal(signal.SIGTERM)
            status = before.process.wait(60)
            drains.append(time.monotonic() - began)
            answers += [_status(connection) for connection, _ in slow] + [job.status for job in jobs]
            service.restart(signal.SIGTERM) if before.process.poll() is None else service.restart(signal.SIGKILL)
            lost += (status != 0) + sum(_again(service, key) != key for key in keys)
        bad = [status for status in answers if status not in (201, 202)]
        said = f"{len(answers)} requests, {len(bad)} not answered 201 or 202, {lost} lost; {max(drains):.1f} s at most"
        return Figure(said, not bad and not lost and max(drains) < 30)

    return _with_service(folder, run)


def _rest(connection, key: int) -> None:
    content = model(key)
    connection.sendall(content[len(content) // 2 :])


def _status(connection) -> int:
    said = connection.recv(65536)
    connection.close()
    return int(said.split()[1]) if said else 0


def frozen(folder: Path, seconds: float) -> Figure:
    """SIGSTOP for longer than a lease: another takes the jobs, and then the first comes back with its own answers."""

    def run(service: Steady) -> Figure:
        def freeze(chance: random.Random) -> int:
            time.sleep(1.0)
            pid = chance.choice(service.victims("worker"))
            os.kill(pid, signal.SIGSTOP)
            time.sleep(15.0)
            os.kill(pid, signal.SIGCONT)
            return 1

        account = _under_load(service, seconds, freeze, "frozen")
        with_report, distinct = _results(folder / "data" / "weighbridge.db")
        said = f"{with_report} jobs with a result, {distinct} results"
        return of_storm(account, more=said, met=with_report == distinct)

    return _with_service(folder, run)


def _results(file: Path) -> tuple[int, int]:
    import sqlite3

    with sqlite3.connect(file) as raw:
        jobs = raw.execute("SELECT count(DISTINCT key) FROM analyses WHERE report_id IS NOT NULL").fetchone()[0]
        return jobs, raw.execute("SELECT count(*) FROM reports").fetchone()[0]


def clocks(folder: Path, seconds: float) -> Figure:
    """Forward and back, together with deaths: leases, pauses and what is left waiting must not mind."""
    faults = folder / "faults"
    faults.mkdir()

    def run(service: Steady) -> Figure:
        def jump(chance: random.Random) -> int:
            time.sleep(0.3)
            part = faults / "part"
            part.write_text(str(chance.choice((-3600, 0, 3600))))
            part.replace(faults / "clock")
            if chance.random() < 0.1:
                os.kill(chance.choice(service.victims("worker")), signal.SIGKILL)
            return 1

        account = _under_load(service, seconds, jump, "jumps")
        late = account.longest > 15.0
        return of_storm(account, more=f"longest wait after the last {account.longest:.1f} s", met=not late)

    return _with_service(folder, run, WEIGHBRIDGE_FAULTS=str(faults))


def versions(folder: Path, seconds: float) -> Figure:
    """The older one runs, the newer comes beside it on the same folder, both take jobs, the older goes."""
    if not OLD:
        return Figure("no older version was named (--old)", None)
    older = Steady(folder / "data", PYTHON=OLD)
    older.current.wait_until_ready(READY_SECONDS)
    newer: Steady | None = None
    try:
        numbers = itertools.count(1)
        senders = [Client(older.current.port, numbers, 1), Client(older.current.port, numbers, 2)]
        _start(senders)
        time.sleep(seconds / 4)
        newer = Steady(folder / "data")
        newer.current.wait_until_ready(READY_SECONDS)
        beside = [Client(newer.current.port, numbers, 3), Client(newer.current.port, numbers, 4)]
        _start(beside)
        time.sleep(seconds / 2)
        _stop(senders)
        older.stop()
        time.sleep(seconds / 4)
        _stop(beside)
        lost = [said for sender in (*senders, *beside) for said in _follow(sender, newer.current.port)]
        wrong = [said for sender in (*senders, *beside) for said in sender.wrong]
        accepted = [len(sender.accepted) for sender in (*senders, *beside)]
        said = f"{sum(accepted[:2])} jobs by the older, {sum(accepted[2:])} by the newer, {len(lost)} lost"
        return Figure(said, not lost and not wrong and all(accepted), (*lost[:10], *wrong[:10]))
    finally:
        older.stop()
        if newer is not None:
            newer.stop()


def _start(senders: list[Client]) -> None:
    for sender in senders:
        sender.start()


def _stop(senders: list[Client]) -> None:
    for sender in senders:
        sender.stopping.set()
    for sender in senders:
        sender.join(120)


def _follow(sender: Client, port: int) -> list[str]:
    """What became of it at the newer version: the older one has gone."""
    asking = Client(port, itertools.count(1), 0)
    asking.accepted = sender.accepted
    return asking.follow()[0]
