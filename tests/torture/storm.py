"""A service under load whose processes are killed at random, and the account of every job that it accepted.

Each client sends models whose number of parameters only it knows, each with an Idempotency-Key, and sends again what
was not answered. What was answered 201 or 202 is followed to its end: it must succeed with that number.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import struct
import threading
import time
from collections import Counter
from pathlib import Path

import urllib3
from urllib3.exceptions import HTTPError

from tests.http.conftest import Service, free_port

POST = {"Content-Type": "application/octet-stream"}
AGAIN_SECONDS = 0.05
FOLLOW_SECONDS = 120.0
READY_SECONDS = 240.0


def model(parameters: int) -> bytes:
    """A safetensors file of that many float32 zeros."""
    fact = {"dtype": "F32", "shape": [parameters], "data_offsets": [0, 4 * parameters]}
    header = json.dumps({"w": fact}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4 * parameters)


def children(pid: int) -> list[int]:
    """Process ids of the children of a process; none if it is gone."""
    try:
        threads = [thread.read_text() for thread in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(found) for thread in threads for found in thread.split()]


def command(pid: int) -> str:
    """What a process was started as; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


class Steady:
    """A service that is started again, on the same port and folder, whenever its master ends."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._settings = {"PORT": str(free_port()), "WEIGHBRIDGE_LOG_LEVEL": "ERROR", **settings}
        self._before: list[str] = []
        self.current = Service(self._folder, **self._settings)

    def restart(self, how: signal.Signals) -> None:
        """End the master, and start another at once."""
        self.current.process.send_signal(how)
        self.current.process.wait(60)
        self._before += self.current.output
        self.current = Service(self._folder, **self._settings)
        self.current.wait_until_ready(READY_SECONDS)

    def output(self) -> str:
        """All that its processes have said so far."""
        return "".join([*self._before, *self.current.output])

    def victims(self, kind: str) -> list[int]:
        """Processes of a kind: worker, supervisor, zygote, child."""
        master = self.current.process.pid
        if kind == "worker":
            return [pid for pid in children(master) if "gunicorn" in command(pid)]
        supervisors = [pid for pid in children(master) if "service.sandbox.supervisor" in command(pid)]
        zygotes = [pid for supervisor in supervisors for pid in children(supervisor)]
        below = [pid for zygote in zygotes for pid in children(zygote)]
        return {"supervisor": supervisors, "zygote": zygotes, "child": below}[kind]

    def stop(self) -> int:
        """End it in good order."""
        return self.current.stop()


class Client(threading.Thread):
    """Sends one model after the other until told to stop; `accepted` is id -> parameters."""

    def __init__(self, port: int, numbers: itertools.count[int], seed: int) -> None:
        super().__init__(daemon=True)
        self._pool = urllib3.HTTPConnectionPool("127.0.0.1", port, retries=False, timeout=30)
        self._numbers = numbers
        self._random = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self.stopping = threading.Event()
        self.accepted: dict[str, int] = {}
        self.statuses: Counter[int | str] = Counter()
        self.doubled: list[str] = []
        self.wrong: list[str] = []

    def run(self) -> None:
        """One model after the other."""
        while not self.stopping.is_set():
            self._send(next(self._numbers))

    def _send(self, parameters: int) -> None:
        headers = {**POST, "Idempotency-Key": f'"storm-{parameters}"'}
        path = f"/v1/analyses?wait={self._random.choice((0, 0, 5))}"
        content = model(parameters)
        until = time.monotonic() + FOLLOW_SECONDS
        answered: set[str] = set()
        while time.monotonic() < until:
            found = self._ask("POST", path, body=content, headers=headers)
            if found is not None and found.status in (201, 202):
                answered.add(found.json()["id"])
                self.accepted[found.json()["id"]] = parameters
                if self._random.random() < 0.2 and len(answered) == 1:
                    continue  # as if the answer had been lost
                break
            time.sleep(AGAIN_SECONDS)
        else:
            self.wrong.append(f"{parameters}: never accepted")
        if len(answered) > 1:
            self.doubled.append(f"{parameters}: {answered}")

    def _ask(self, method: str, path: str, **more: object) -> urllib3.BaseHTTPResponse | None:
        try:
            found = self._pool.request(method, path, **more)  # type: ignore[arg-type]
        except HTTPError as error:
            self.statuses[type(error).__name__] += 1
            return None
        self.statuses[found.status] += 1
        return found

    def follow(self) -> tuple[list[str], float]:
        """Accepted jobs that did not come to their right end, each with what became of it; and the longest wait."""
        lost, longest = [], 0.0
        for identifier, parameters in self.accepted.items():
            began = time.monotonic()
            said = self._end_of(identifier)
            longest = max(longest, time.monotonic() - began)
            if said != parameters:
                lost.append(f"{identifier} ({parameters}): {said}")
        return lost, longest

    def _end_of(self, identifier: str) -> object:
        until = time.monotonic() + FOLLOW_SECONDS
        said: object = "nothing"
        while time.monotonic() < until:
            found = self._ask("GET", f"/v1/analyses/{identifier}?wait=20")
            document = {} if found is None else found.json()
            if document.get("state") == "succeeded":
                return document["report"]["totals"]["parameters"]
            said = (found and found.status, document.get("state"), document.get("error"), document.get("code"))
            if document.get("state") in ("failed", "cancelled") or (found is not None and found.status == 404):
                break
            time.sleep(AGAIN_SECONDS)
        return said


class Account:
    """What became of a storm."""

    def __init__(self) -> None:
        self.kills: Counter[str] = Counter()
        self.statuses: Counter[int | str] = Counter()
        self.accepted = 0
        self.lost: list[str] = []
        self.wrong: list[str] = []
        self.longest = 0.0
        self.left_behind: list[str] = []

    def lines(self) -> list[str]:
        """The figures, for people."""
        kills = ", ".join(f"{number} {kind}" for kind, number in sorted(self.kills.items()))
        answers = ", ".join(f"{number} x {status}" for status, number in sorted(self.statuses.items(), key=str))
        return [
            f"faults injected: {sum(self.kills.values())} ({kills})",
            f"jobs accepted: {self.accepted}; lost: {len(self.lost)}; answered wrongly or doubled: {len(self.wrong)}",
            f"answers: {answers}",
            f"longest wait for an accepted job after the last fault: {self.longest:.1f} s",
            f"left behind: {self.left_behind or 'nothing'}",
            *self.lost[:20],
            *self.wrong[:20],
        ]


Weights = dict[str, int]
ALL: Weights = {"child": 10, "worker": 4, "zygote": 4, "supervisor": 2, "master": 1, "stop": 1, "reload": 1}
"""How often each is chosen: a process, or an orderly stop (SIGTERM) or reload (SIGHUP) of the whole."""


def storm(
    service: Steady, *, seconds: float, kinds: Weights, seed: int = 1, clients: int = 4, pause: float = 0.2
) -> Account:
    """Kill for `seconds`, about every `pause` on average, under the load of `clients`; then let all come to its end."""
    numbers = itertools.count(1)
    senders = [Client(service.current.port, numbers, seed + number) for number in range(clients)]
    for sender in senders:
        sender.start()
    account = Account()
    chance = random.Random(seed)  # noqa: S311
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(chance.expovariate(1 / pause))
        kind = chance.choices([*kinds], [*kinds.values()])[0]
        account.kills[kind] += _strike(service, kind, chance)
    for sender in senders:
        sender.stopping.set()
    for sender in senders:
        sender.join(FOLLOW_SECONDS)
    for sender in senders:
        lost, longest = sender.follow()
        account.lost += lost
        account.longest = max(account.longest, longest)
        account.accepted += len(sender.accepted)
        account.statuses += sender.statuses
        account.wrong += sender.wrong + sender.doubled
    return account


def _strike(service: Steady, kind: str, chance: random.Random) -> int:
    """How many were hit: a process may have ended by itself in the meantime."""
    if kind in ("master", "stop"):
        service.restart(signal.SIGKILL if kind == "master" else signal.SIGTERM)
        return 1
    if kind == "reload":
        service.current.process.send_signal(signal.SIGHUP)
        return 1
    victims = service.victims(kind)
    if not victims:
        return 0
    try:
        os.kill(chance.choice(victims), signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1
