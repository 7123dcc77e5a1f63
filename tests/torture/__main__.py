"""`python -m tests.torture`: every long test, one after the other, each within its bounds; then one summary.

What is given by name is run alone; `--seconds` is how long storms, loads and soaks last in each that knows them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUN = '__name__ == "__main__"'
"""Modules that can be run by themselves have it."""
HELPERS = frozenset(("keeping_disks",))
"""Started by others, in the midst of what those do."""
SECONDS: dict[str, tuple[str, ...]] = {
    "keeping": ("--seconds", "{seconds}"),
    "load": ("--seconds", "{seconds}"),
    "escapes_load": ("{seconds}",),
}
"""How each is told how long it may take, where it can be told."""
MOST_SECONDS = 7200
"""Of one, whatever it was told."""


def modules() -> list[str]:
    """Names of all that can be run."""
    found = [path.stem for path in HERE.glob("*.py") if path.stem != "__main__" and RUN in path.read_text("utf-8")]
    return sorted(set(found) - HELPERS)


def run(name: str, seconds: int) -> tuple[str, float]:
    """How it ended, and after how many seconds."""
    arguments = [argument.format(seconds=seconds) for argument in SECONDS.get(name, ())]
    print(f"\n## {name}\n", flush=True)
    began = time.monotonic()
    try:
        status = subprocess.run(
            [sys.executable, "-m", f"tests.torture.{name}", *arguments], timeout=MOST_SECONDS, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return "not ended in time", time.monotonic() - began
    return ("as promised" if status == 0 else f"NOT as promised (status {status})"), time.monotonic() - began


def main(argv: list[str]) -> int:
    """All, or those that are named; status 1 if one did not end as promised."""
    known = modules()
    parser = argparse.ArgumentParser(prog="tests.torture", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(known)}; all by default")
    parser.add_argument("--seconds", type=int, default=60)
    given = parser.parse_args(argv)
    if unknown := set(given.names).difference(known):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    ended = {name: run(name, given.seconds) for name in given.names or known}
    print("\n## Summary\n")
    for name, (how, seconds) in ended.items():
        print(f"{name:12} {seconds:6.0f} s  {how}")
    return int(any(how != "as promised" for how, _ in ended.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
