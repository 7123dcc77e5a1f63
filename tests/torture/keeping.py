"""`python -m tests.torture.keeping`: the reliability checks, long; prints the table of docs/reliability.md.

Each check starts services of its own on loopback, breaks them, and accounts for what they had accepted. `--seconds` is
how long the storms and the load last; all checks together take about seven times that and five minutes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.torture import keeping_clients, keeping_damage, keeping_deaths, keeping_disks
from tests.torture.figures import Figure


class Check(NamedTuple):
    """One row: what is done, and the figure that must be met."""

    title: str
    bar: str
    run: Callable[[Path, float], Figure]


CHECKS: dict[str, Check] = {
    "1": Check("kill -9 of children", "0 lost, 0 wrong", keeping_deaths.children),
    "2": Check("kill -9 of the warm process, every 2 s", "0 lost; < 1 s of work to a new one", keeping_deaths.zygotes),
    "3": Check("kill -9 of web workers with 8 uploads under way", "100 % by the same key", keeping_deaths.workers),
    "4": Check("kill -9 of the whole service, restart", "100 % of accepted jobs finished", keeping_deaths.whole),
    "5": Check("SIGTERM with 6 slow uploads and 20 jobs", "no 5xx, 0 lost, < 30 s", keeping_deaths.stopped),
    "all": Check("kill -9 of anything, SIGTERM, SIGHUP, at random", "0 lost, 0 wrong", keeping_deaths.anything),
    "6": Check("disk full under load (tmpfs of 8 MB)", "507 only, 0 bytes left, next job well", keeping_disks.full),
    "7": Check("kill -9 at each system call of an upload (strace)", "0 corrupt", keeping_disks.every_call),
    "8": Check("database locked by a stranger for 30 s", "503 only, 0 lost, < 5 s to recover", keeping_disks.locked),
    "9": Check("each commit takes 2 s", "no 500", keeping_disks.slow),
    "db": Check("damaged bytes in the database", "0 wrong, no failure but ours", keeping_damage.damaged_databases),
    "10": Check("web workers stopped for 15 s: jobs leased twice", "1 result each", keeping_deaths.frozen),
    "11": Check("one Idempotency-Key, 50 at once, 20 times", "1 job each", keeping_clients.fifty),
    "12": Check("disconnect at 1, 50, 99 % of an upload, 200 times", "0 files left", keeping_clients.disconnects),
    "15": Check("open-loop load at twice the capacity", "bounded queue; memory flat", keeping_clients.overload),
    "23": Check("wall clock +-1 h, every 0.3 s, under load", "0 lost, 0 late", keeping_deaths.clocks),
    "24": Check("an older version shares the folder (--old)", "0 jobs failed", keeping_deaths.versions),
    "25": Check("100 jobs wait, all uploads are lost, restart", "100 % failed: input_lost", keeping_disks.emptied),
    "fd": Check("400 descriptors a process, 800 connections", "0 lost, 0 wrong", keeping_clients.descriptors),
}


def main() -> int:
    """Run the checks that are asked for; status 1 if one does not meet its bar."""
    parser = argparse.ArgumentParser(prog="tests.torture.keeping", description=__doc__)
    parser.add_argument("checks", nargs="*", help=f"of {', '.join(CHECKS)}; all by default")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long storms and load last")
    parser.add_argument("--old", default="", help="an interpreter with an older version, for check 24")
    given = parser.parse_args()
    keeping_deaths.OLD = given.old
    print("| check | figure | bar | met |\n| --- | --- | --- | --- |", flush=True)
    met = [_row(name, given.seconds) for name in given.checks or CHECKS]
    return int(not all(met))


def _row(name: str, seconds: float) -> bool:
    check = CHECKS[name]
    folder = Path(tempfile.mkdtemp(prefix="weighbridge-torture-"))
    began = time.monotonic()
    try:
        found = check.run(folder, seconds)
    except Exception:  # noqa: BLE001 - the others are to be run all the same
        found = Figure("it broke", False, tuple(traceback.format_exc().splitlines()))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    met = "not run" if found.met is None else "yes" if found.met else "NO"
    print(f"| {name}: {check.title} | {found.text} | {check.bar} | {met} |", flush=True)
    sys.stderr.write(f"({time.monotonic() - began:.0f} s)\n" + "".join(f"  {line}\n" for line in found.details))
    return found.met is not False


if __name__ == "__main__":
    sys.exit(main())
