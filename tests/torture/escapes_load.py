"""`python -m tests.torture.escapes_load [SECONDS]`: children that hang, that eat memory, and their neighbours.

Prints three figures as a table for docs/security.md: how long after its deadline a child that hangs is gone; how many
of many that eat memory at once are told the right error; how much slower other analyses are beside one hostile in
eleven. Ends by itself; SECONDS is for each half of the last (20 by default).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from service import wire
from service.config import Limits, Settings
from service.errors import WorkerError
from service.sandbox.client import Sandbox
from service.sandbox.launch import running
from service.worker.rehearsal import FILES
from tests.service.sandbox import trying
from tests.service.sandbox.tries import reader  # noqa: F401 - it registers the tries
from tests.service.sandbox.tries.base import TRIES
from tests.service.sandbox.tries.lasting import LAST

HANGS, HANG_SECONDS = 100, 0.5
MOST_LATE, MOST_SLOWER = 0.1, 1.5
"""The bars: seconds after its deadline by which a child is gone, and how much slower its neighbours may be."""
BOMBS, BOMB_BYTES = 16, 160 << 20
HOSTILE = ("loop", "fill_heap", "sleep_in_c", "overrun_stack", "hold_interpreter")
NORMAL_PER_HOSTILE = 10
HOSTILE_SECONDS = 1.0


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of `values` lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class Figure(NamedTuple):
    """One line of the table, and whether it is as promised."""

    line: str
    held: bool


def hangs(sandbox: Sandbox, target: dict[str, object]) -> Figure:
    """How long after its deadline each of many hanging children was gone and told of."""
    names = [name for name, one in TRIES.items() if one.group == LAST]
    limits = msgspec.structs.replace(trying.LIMITS, seconds=HANG_SECONDS)
    late: list[float] = []
    bare: list[float] = []
    for name in islice(cycle(names), HANGS):
        start = time.monotonic()
        how = trying.outcomes(sandbox, [name], target, "static", limits)[name]
        if "worker_timeout" in how:
            late.append(time.monotonic() - start - HANG_SECONDS)
            bare.append(_bare())
    usual = percentile(bare, 0.99)
    return Figure(
        f"| {len(late)} children that hang, gone after their deadline | p50 {statistics.median(late) * 1000:.0f} ms, "
        f"p99 {percentile(late, 0.99) * 1000:.0f} ms (a program that does nothing took p50 "
        f"{statistics.median(bare) * 1000:.0f} ms, p99 {usual * 1000:.0f} ms meanwhile) | {MOST_LATE * 1000:.0f} ms, "
        "longer by what doing nothing takes |",
        percentile(late, 0.99) < MOST_LATE + usual,
    )


def _bare() -> float:
    """How long the machine takes now to start a program that does nothing and see it gone."""
    start = time.monotonic()
    subprocess.run(["/bin/true"], check=True)
    return time.monotonic() - start


def bombs(sandbox: Sandbox, target: dict[str, object]) -> Figure:
    """Many children that eat memory at once: who was told what, and what became of the warm process."""
    limits = msgspec.structs.replace(trying.LIMITS, memory_bytes=BOMB_BYTES, seconds=30.0)
    before = sandbox.states()["static"]
    found: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(trying.outcomes(sandbox, ["fill_heap"], target, "static", limits)["fill_heap"])
        )
        for _ in range(BOMBS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = sandbox.states()["static"]
    right = sum(how.startswith("stopped: MemoryError") for how in found)
    killed = after.restarts - before.restarts + (after.pid != before.pid)
    said = f"| {BOMBS} children that eat memory at once | {right} told so, {killed} warm processes killed | all, none |"
    return Figure(said, right == BOMBS and not killed)


def neighbours(hostile: Sandbox, target: dict[str, object], normal: Sandbox, seconds: float) -> Figure:
    """How much longer analyses take while one in eleven tasks is hostile."""
    alone = _pace(normal, seconds, lambda: None)
    names = cycle(HOSTILE)
    limits = msgspec.structs.replace(trying.LIMITS, seconds=HOSTILE_SECONDS)
    busy: list[threading.Thread] = []

    def attack() -> None:
        name = next(names)
        thread = threading.Thread(target=trying.outcomes, args=(hostile, [name], target, "static", limits))
        thread.start()
        busy.append(thread)

    beside = _pace(normal, seconds, attack)
    for thread in busy:
        thread.join()
    first, second = percentile(alone, 0.95) * 1000, percentile(beside, 0.95) * 1000
    return Figure(
        f"| {len(beside)} analyses beside {len(busy)} hostile tasks (alone: {len(alone)}) | "
        f"p95 {first:.1f} ms alone, {second:.1f} ms beside them: {second / first:.2f} times | {MOST_SLOWER} times |",
        second / first < MOST_SLOWER,
    )


def _pace(sandbox: Sandbox, seconds: float, attack: Callable[[], None]) -> list[float]:
    """How long each analysis of a steady stream took, `attack` called after every tenth."""
    files = sorted(path for path in FILES.iterdir() if path.suffix in (".keras", ".h5", ".pt", ".safetensors", ".onnx"))
    found: list[float] = []
    due = end = time.monotonic()
    end += seconds
    for number, path in enumerate(cycle(files), 1):
        if due > end:
            return found
        time.sleep(max(0.0, due - time.monotonic()))
        due += 1 / RATE
        found.append(_read(sandbox, path))
        if number % NORMAL_PER_HOSTILE == 0:
            attack()
    return found


RATE = 10.0
"""Analyses a second: with one hostile task in eleven, one second of processor is asked for in each second."""


def _read(sandbox: Sandbox, path: Path) -> float:
    descriptor = os.open(path, os.O_RDONLY)
    start = time.monotonic()
    try:
        sandbox.run("static", wire.Task(work="read", parts=(path.name,), limits=Limits()), [descriptor])
    except WorkerError as error:
        raise SystemExit(f"an analysis failed beside its neighbours: {error}") from error
    finally:
        os.close(descriptor)
    return time.monotonic() - start


def measure(seconds: float) -> Iterator[Figure]:
    """The figures, one by one."""
    with tempfile.TemporaryDirectory(prefix="weighbridge-") as made, ExitStack() as stack:
        folder = Path(made)
        (folder / "data").mkdir()
        target = stack.enter_context(trying.surroundings(folder / "data"))
        hostile = stack.enter_context(trying.wall(folder / "hostile"))
        normal = stack.enter_context(running(Settings(), folder / "normal", ["static"]))
        yield hangs(hostile, target)
        yield bombs(hostile, target)
        yield neighbours(hostile, target, normal, seconds)


def main() -> int:
    """Print the table; status 1 if a figure is not as promised."""
    print("| what | measured | bar |\n| --- | --- | --- |")
    held = True
    for figure in measure(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0):
        print(figure.line, flush=True)
        held &= figure.held
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
