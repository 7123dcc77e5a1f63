"""Databases with damaged bytes: whatever is read from them is right, or is refused as damaged."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from structlog.testing import capture_logs

from service.config import Settings
from service.errors import WeighbridgeError
from service.jobs import acceptance, catalogue, queue, reports
from service.jobs.acceptance import Terms
from service.jobs.blobs import Blobs, Incoming
from service.jobs.database import Database, open_database
from service.jobs.identifiers import new_id
from service.jobs.records import Analysis, Part, result_key
from service.jobs.storage import Storage
from tests.torture.figures import Figure

JOBS = 20
SIZES = (1, 1, 4, 64, 4096)
"""Bytes that one damage changes."""


def damaged_databases(folder: Path, seconds: float) -> Figure:
    """About seven a second, each with one to ten places of zeros or noise."""
    expected = make(folder / "sound")
    seen: Counter[str] = Counter()
    bad: list[str] = []
    seed, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        seed += 1
        harm(folder / "sound", folder / "harmed", seed)
        with capture_logs():  # each damage is told there, too
            found, wrong = read(folder / "harmed", expected)
        seen += found
        bad += [f"{seed}: {what}" for what in wrong]
    said = f"{seed} databases: {seen['right']} reports read, {seen['refused']} refusals, {len(bad)} wrong or broken"
    return Figure(said, not bad and min(seen["right"], seen["refused"]) > 0, tuple(bad[:20]))


def make(folder: Path) -> dict[str, bytes]:
    """A data folder with finished analyses: their ids and reports."""
    blobs = Blobs(folder)
    blobs.prepare()
    database = open_database(Settings(data_dir=folder))
    expected = {}
    for number in range(JOBS):
        text = b'{"number": %d, "noise": "%s"}' % (number, random.Random(number).randbytes(300).hex().encode())  # noqa: S311
        job = _accept(database, blobs, b"content %d" % number)
        queue.succeed(database, "me", job, [text], {})
        expected[job.id] = text
    database.close()
    blobs.mark.release()
    return expected


def _accept(database: Database, blobs: Blobs, content: bytes) -> Analysis:
    with Incoming(blobs) as file:
        file.write(content)
        file.finish()
        parts = (Part(name="a", bytes=file.size, blake3=file.digest, sha256=file.sha256()),)
        new = Analysis(
            id=new_id(), state="queued", created_at=time.time(), name="a", bytes=file.size,
            key=result_key(parts, "1"), parts=parts,
        )  # fmt: skip
        return acceptance.add(database, new, [file], Terms(max_queued=JOBS, owner="me"))


def harm(sound: Path, harmed: Path, seed: int) -> None:
    """A copy of a data folder whose database is damaged; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311
    shutil.rmtree(harmed, ignore_errors=True)
    shutil.copytree(sound, harmed)
    file = harmed / "weighbridge.db"
    content = bytearray(file.read_bytes())
    for _ in range(chance.choice((1, 1, 3, 10))):
        place, size = chance.randrange(len(content)), chance.choice(SIZES)
        new = chance.choice((bytes(size), chance.randbytes(size)))
        content[place : place + size] = new[: len(content) - place]
    file.write_bytes(content)


def read(folder: Path, expected: dict[str, bytes]) -> tuple[Counter[str], list[str]]:
    """How often what was asked was answered `right` and how often `refused`; and what was neither."""
    seen: Counter[str] = Counter()
    bad: list[str] = []

    def ask(action: Callable[[], object], wanted: object = None) -> None:
        try:
            got = action()
        except WeighbridgeError:
            seen["refused"] += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a bug
            bad.append(f"{type(error).__name__}: {error}")
        else:
            seen["right"] += wanted is not None and got == wanted
            if wanted is not None and got not in (wanted, None):
                bad.append(f"{got!r} for {wanted!r}")

    blobs = Blobs(folder)
    blobs.prepare()
    settings = Settings(data_dir=folder, min_free_disk_bytes=0)
    database = open_database(settings)
    try:
        ask(database.check)
        for identifier, wanted in expected.items():
            ask(lambda identifier=identifier: _report(database, identifier), wanted)
        ask(lambda: catalogue.page(database, limit=2 * JOBS, before=None, filters={}))
        ask(lambda: catalogue.count_by_state(database))
        ask(database.require_sound)
        ask(lambda: queue.claim(database, "me"))
        ask(lambda: queue.recover(database, 3))
        ask(lambda: Storage(settings, database, blobs).sweep())
    finally:
        database.close()
        blobs.mark.release()
    return seen, bad


def _report(database: Database, identifier: str) -> bytes | None:
    found = catalogue.get(database, identifier)
    if found is None or found.report_id is None:
        return None
    return reports.text(catalogue.report(database, found.report_id))
