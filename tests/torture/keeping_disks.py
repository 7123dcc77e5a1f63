"""Disks that are full, databases that are locked or slow, and death at each system call."""

from __future__ import annotations

import collections
import os
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blake3 import blake3

from tests.torture.figures import Figure, until
from tests.torture.storm import POST, READY_SECONDS, Steady, model

SMALL = "/v1/analyses?wait=0"
CALLS = ("fsync", "fdatasync", "rename", "renameat", "renameat2", "mkdir", "pwrite64", "unlink", "ftruncate", "flock")
"""What an upload does to the disk."""
STRACE = shutil.which("strace")
TMPFS_BYTES = 8 << 20


def full(folder: Path, seconds: float) -> Figure:
    """In a mount namespace of its own, where the system lets us make one."""
    if os.environ.get("WEIGHBRIDGE_TORTURE_TMPFS") != str(folder.parent):
        return _in_small_disk(folder, seconds)
    service = Steady(folder / "data", WEIGHBRIDGE_MIN_FREE_DISK_BYTES="0")
    try:
        service.current.wait_until_ready(READY_SECONDS)
        return _fill(service, seconds)
    finally:
        service.stop()


def _in_small_disk(folder: Path, seconds: float) -> Figure:
    """The same check once again, with its folder on a tmpfs that only it sees."""
    script = f'mount -t tmpfs -o size={TMPFS_BYTES} none "$0" && exec "$1" -m tests.torture.keeping_disks "$0" "$2"'
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", "--mount", *user, "sh", "-c", script, str(folder), sys.executable, str(seconds)]
    environment = {**os.environ, "WEIGHBRIDGE_TORTURE_TMPFS": str(folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        return Figure("no tmpfs can be mounted here", None, tuple(done.stderr.splitlines()[-3:]))
    return Figure(done.stdout.strip(), done.returncode == 0, tuple(done.stderr.splitlines()[-10:]))


def _fill(service: Steady, seconds: float) -> Figure:
    """A stranger fills the disk and makes room again, while uploads go on; what is finished is deleted in between.

    Else the small disk would fill up by itself, and the last jobs would wait for room until somebody makes it.
    """
    filler = service.current.data_dir.parent / "filler"
    statuses: collections.Counter[int] = collections.Counter()
    accepted, number, until_then = 0, 1000, time.monotonic() + seconds
    wrong: list[str] = []
    while time.monotonic() < until_then:
        kept: dict[str, int] = {}
        for is_full in (True, False):
            _stuff(filler) if is_full else filler.unlink()
            for _ in range(20):
                number += 1
                found = service.current.ask("POST", "/v1/analyses?wait=20", body=model(number), headers=POST)
                statuses[found.status] += 1
                if found.status in (201, 202):
                    kept[found.json()["id"]] = number
        left = service.current.left_behind()
        accepted += len(kept)
        wrong += [identifier for identifier, number in kept.items() if _parameters(service, identifier) != number]
        for identifier in kept:
            service.current.ask("DELETE", f"/v1/analyses/{identifier}")
    text = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
    said = f"{text}; {len(left)} files left; {len(wrong)} of {accepted} accepted wrong or lost"
    well = set(statuses) <= {201, 202, 507} and {201, 507} <= set(statuses) and not (wrong or left)
    return Figure(said, well, tuple(wrong))


def _stuff(file: Path) -> None:
    with file.open("wb", buffering=0) as stream:
        for size in (1 << 16, 1 << 12):
            try:
                while stream.write(bytes(size)):
                    pass
            except OSError:
                continue


def _parameters(service: Steady, identifier: str) -> int | None:
    found = service.current.ask("GET", f"/v1/analyses/{identifier}?wait=60").json()
    return found["report"]["totals"]["parameters"] if found.get("state") == "succeeded" else None


def locked(folder: Path, seconds: float) -> Figure:
    """Another program holds SQLite's lock; uploads are refused meanwhile, answers go on, and then all is well."""
    service = Steady(folder / "data")
    try:
        service.current.wait_until_ready(READY_SECONDS)
        before = service.current.ask("POST", "/v1/analyses?wait=20", body=model(7), headers=POST).json()["id"]
        waiting = [service.current.ask("POST", SMALL, body=model(100 + n), headers=POST) for n in range(20)]
        running = [answer.json()["id"] for answer in waiting]
        stranger = sqlite3.connect(folder / "data" / "weighbridge.db", isolation_level=None)
        stranger.execute("BEGIN IMMEDIATE")
        end, refused, healthy, read = time.monotonic() + 30.0, [], [], []
        senders = [threading.Thread(target=_refusals, args=(service, end, refused, n), daemon=True) for n in range(4)]
        for sender in senders:
            sender.start()
        while time.monotonic() < end:
            began = time.monotonic()
            healthy.append(service.current.ask("GET", "/healthz").status == 200 and time.monotonic() - began)
            read.append(service.current.ask("GET", f"/v1/analyses/{before}").status == 200)
            time.sleep(0.1)
        stranger.execute("ROLLBACK")
        back = until(lambda: service.current.ask("POST", SMALL, body=model(9), headers=POST).status in (201, 202), 30.0)
        for sender in senders:
            sender.join(60)
        lost = [number for number, found in enumerate(running, 100) if _parameters(service, found) != number]
        codes = collections.Counter(refused)
        said = (
            f"uploads: {', '.join(f'{count} x {code}' for code, count in sorted(codes.items()))}; reports read all the "
            f"time: {all(read)}; {len(lost)} of 20 lost; taken again after {back or -1:.1f} s"
        )
        return Figure(said, set(codes) <= {"503 service_error"} and all(read) and not lost and (back or 99) < 5)
    finally:
        service.stop()


def _refusals(service: Steady, end: float, found: list[str], seed: int) -> None:
    number = 10_000 * (seed + 1)
    while time.monotonic() < end - 12:
        number += 1
        answer = service.current.ask("POST", SMALL, body=model(number), headers=POST)
        found.append(f"{answer.status} {answer.json().get('code', '')}".strip())


@contextmanager
def _armed(folder: Path) -> Iterator[tuple[Steady, Path]]:
    """A service that minds a folder of faults, and that folder."""
    faults = folder / "faults"
    faults.mkdir()
    service = Steady(folder / "data", WEIGHBRIDGE_FAULTS=str(faults))
    try:
        service.current.wait_until_ready(READY_SECONDS)
        yield service, faults
    finally:
        service.stop()


def slow(folder: Path, seconds: float) -> Figure:
    """Each transaction that writes takes two seconds more, under the lock that all writers want."""
    with _armed(folder) as (service, faults):
        (faults / "row.written").write_text("stall 2")
        times: list[float] = []
        statuses: collections.Counter[int] = collections.Counter()

        def client(seed: int) -> None:
            number, end = 1000 * (seed + 1), time.monotonic() + seconds
            while time.monotonic() < end:
                number += 1
                began = time.monotonic()
                statuses[service.current.ask("POST", SMALL, body=model(number), headers=POST).status] += 1
                times.append(time.monotonic() - began)

        threads = [threading.Thread(target=client, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (faults / "row.written").unlink()
        slowest = statistics.quantiles(times, n=100)[98] if len(times) > 1 else max(times)
        text = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
        return Figure(f"{text}; p99 {slowest:.1f} s", set(statuses) <= {201, 202, 503} and bool(times))


def emptied(folder: Path, seconds: float) -> Figure:
    """All uploads are gone at the next start, as where a database is restored alone: what had not run says so."""
    with _armed(folder) as (service, faults):
        done = service.current.ask("POST", "/v1/analyses?wait=60", body=model(7), headers=POST).json()["id"]
        (faults / "child.started").write_text("stall 60")
        sent = [service.current.ask("POST", SMALL, body=model(300 + n), headers=POST).json()["id"] for n in range(100)]
        service.current.stop(signal.SIGKILL)
        shutil.rmtree(folder / "data" / "blobs")
        (faults / "child.started").unlink()
        service.restart(signal.SIGKILL)
        ends = collections.Counter(_end(service, identifier) for identifier in sent)
        kept = _parameters(service, done) == 7
        said = ", ".join(f"{count} x {end}" for end, count in ends.items())
        return Figure(f"{said}; what was finished is there: {kept}", set(ends) == {"failed: input_lost"} and kept)


def _end(service: Steady, identifier: str) -> str:
    found = service.current.ask("GET", f"/v1/analyses/{identifier}?wait=60").json()
    return f"{found['state']}: {(found['error'] or {}).get('code')}"


def every_call(folder: Path, seconds: float) -> Figure:
    """One upload, accepted in a process that dies at one of its system calls: what is there then must be whole."""
    if STRACE is None:
        return Figure("strace is not installed", None)
    counts = _calls(folder / "count")
    tried, bad = 0, []
    for name, (first, last) in counts.items():
        for when in range(first, last + 1):
            place = folder / f"{name}-{when}"
            said = _accept(place, f"{name}:signal=SIGKILL:when={when}")
            bad += [f"{name} {when}: {reason}" for reason in _damage(place, said)]
            tried += 1
            shutil.rmtree(place)
    order = _order(folder / "count" / "log")
    said = f"{tried} deaths, {len(bad)} corrupt or lost; order of syncs {order or 'right'}"
    return Figure(said, not bad and not order, tuple(bad))


def _calls(folder: Path) -> dict[str, tuple[int, int]]:
    """By name the numbers of the first and the last call between the two marks, as strace counts them."""
    _accept(folder, None)
    seen: collections.Counter[str] = collections.Counter()
    found: dict[str, tuple[int, int]] = {}
    inside = False
    for line in (folder / "log").read_text().splitlines():
        call = re.match(r"(?:\d+ +)?(\w+)\(", line)
        if call is None:
            continue
        inside ^= call[1] == "sched_yield"
        seen[call[1]] += 1
        if inside and call[1] in CALLS:
            found[call[1]] = (found.get(call[1], (seen[call[1]],))[0], seen[call[1]])
    return found


ACCEPT = """
import os, sys, time
from pathlib import Path
from service.config import Settings
from service.jobs import acceptance
from service.jobs.acceptance import Terms
from service.jobs.blobs import Blobs, Incoming
from service.jobs.database import open_database
from service.jobs.identifiers import new_id
from service.jobs.records import Analysis, Part, result_key
folder = Path(sys.argv[1])
blobs = Blobs(folder)
blobs.prepare()
database = open_database(Settings(data_dir=folder))
os.sched_yield()
with Incoming(blobs) as file:
    file.write(b"content")
    file.finish()
    parts = (Part(name="a", bytes=file.size, blake3=file.digest, sha256=file.sha256()),)
    new = Analysis(id=new_id(), state="queued", created_at=time.time(), name="a", bytes=7,
                   key=result_key(parts, "1"), parts=parts)
    acceptance.add(database, new, [file], Terms(max_queued=9))
print("ACCEPTED", flush=True)
os.sched_yield()
"""


def _accept(folder: Path, inject: str | None) -> bool:
    """Whether the process said that it has accepted its upload."""
    folder.mkdir(parents=True)
    trace = ",".join((*CALLS, "sched_yield", "write", "openat", "close"))
    command = [str(STRACE), "-f", "-qq", "-s", "120", "-o", str(folder / "log"), "-e", f"trace={trace}"]
    command += ["-e", f"inject={inject}"] if inject else []
    command += [sys.executable, "-c", ACCEPT, str(folder / "data")]
    return "ACCEPTED" in subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _damage(folder: Path, accepted: bool) -> list[str]:
    """What is not as it must be after the death, and a start."""
    from service.config import Settings
    from service.jobs import catalogue
    from service.jobs.blobs import Blobs
    from service.jobs.database import open_database
    from service.jobs.storage import Storage

    settings = Settings(data_dir=folder / "data", min_free_disk_bytes=0)
    blobs = Blobs(settings.data_dir)
    blobs.prepare()
    database = open_database(settings)
    found = []
    try:
        database.check()
        database.require_sound()
        Storage(settings, database, blobs).sweep()
        rows = catalogue.page(database, limit=9, before=None, filters={})
        stored = list(blobs.stored())
        found += ["accepted, and not there"] if accepted and not rows else []
        whole = all(blake3(blobs.path(digest).read_bytes()).hexdigest() == digest for digest in stored)
        found += [] if whole else ["half an upload"]
        found += ["a row without its upload"] if rows and stored != [rows[0].parts[0].blake3] else []
        found += ["an upload without a row"] if stored and not rows else []
        found += ["left in tmp"] if list(blobs.temporary.iterdir()) else []
    finally:
        blobs.mark.release()
        database.close()
    return found


def _order(log: Path) -> str:
    """Whether the upload was synced, then named, then its folder synced, then the row, then told; what was not."""
    expected = ["write", "fsync", "rename", "fsync", "fdatasync", "told"]
    seen, names, inside = [], {}, False
    for line in log.read_text().splitlines():
        call = re.match(r"(?:\d+ +)?(\w+)\((.*)", line)
        if call is None:
            continue
        name, rest = call[1], call[2]
        inside ^= name == "sched_yield"
        if name == "openat" and (opened := re.search(r'"([^"]*)".* = (\d+)$', rest)):
            names[opened[2]] = opened[1]
        target = names.get(rest.split(",")[0].split(")")[0], "")
        if not inside:
            continue
        if (name == "write" and ".part" in target) or (name.startswith("rename") and "/blobs/" in rest):
            seen.append(name[:6])
        elif name == "write" and rest.startswith('1, "ACCEPTED'):
            seen.append("told")
        elif name == "fsync" and "/blobs" in target:
            seen.append("fsync")
        elif name in ("fdatasync", "fsync") and target.endswith("-wal"):
            seen.append("fdatasync")
    position = 0
    for step in seen:
        position += position < len(expected) and step == expected[position]
    return "" if position == len(expected) else f"wrong: {seen}"


if __name__ == "__main__":
    figure = full(Path(sys.argv[1]) / "in", float(sys.argv[2]))
    sys.stdout.write(f"{figure.text}\n")
    sys.stderr.write("\n".join(figure.details))
    sys.exit(0 if figure.met else 1)
