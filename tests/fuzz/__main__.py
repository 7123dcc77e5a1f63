"""`python -m tests.fuzz`: fuzzes every reader behind the wall for a time; what it finds wrong is made small and kept.

    python -m tests.fuzz --time 600 --jobs 2 [--format keras_v3] [--seed 7] [--out DIR]

Ends with status 1 if anything was found wrong. The same seed, one job and `--count` give the same inputs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from service.sandbox.client import Sandbox
from tests.fuzz.campaign import Campaign, Input, complaint, together, tried, wall
from tests.fuzz.regressions import FOLDER, keep
from tests.fuzz.seeds import Parts, seeds
from tests.fuzz.shrinking import shrunk

_SHRINK_SECONDS = 60.0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--time", type=float, default=60.0, help="seconds; 60 by default")
    parser.add_argument("--count", type=int, default=sys.maxsize, help="inputs of each job, if that comes first")
    parser.add_argument("--jobs", type=int, default=2, help="inputs at once; 2 by default")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="where chance starts; the time by default")
    parser.add_argument("--format", action="append", default=[], help="only this one; may be given several times")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where inputs that show something wrong are kept")
    return parser.parse_args()


def main() -> int:
    """Fuzz, say what was found, keep what is wrong."""
    given = _arguments()
    chosen = {name: parts for name, parts in seeds().items() if not given.format or name in given.format}
    until = time.monotonic() + given.time
    print(f"{len(chosen)} formats, {sum(map(len, chosen.values()))} files to start from, seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="weighbridge-") as folder, wall(Path(folder) / "run") as sandbox:
        campaigns = [Campaign(sandbox, chosen, given.seed + job) for job in range(given.jobs)]
        together(campaigns, lambda: time.monotonic() > until or sum(c.tried for c in campaigns) >= given.count)
        _report(campaigns)
        wrong = {name: found for one in campaigns for name, found in one.wrong.items()}
        for said, (format_, shown, found) in sorted(wrong.items()):
            print(f"\n{format_}, {shown.order.work}: {said}\n{found.story}", flush=True)
            small = shrunk(shown.parts, _same(sandbox, shown, said))
            path = keep(given.out, format_, shown.order, small, hashlib.sha256(said.encode()).hexdigest()[:8])
            print(f"kept as {path}, {sum(map(len, small.values()))} bytes")
    return 1 if wrong else 0


def _same(sandbox: Sandbox, shown: Input, said: str) -> Callable[[Parts], bool]:
    """Whether an upload shows the same, as long as there is time to find out."""
    until = time.monotonic() + _SHRINK_SECONDS

    def still_wrong(parts: Parts) -> bool:
        if time.monotonic() > until:
            return False
        return complaint(tried(sandbox, [Input(parts, shown.order)])[0]) == said

    return still_wrong


def _report(campaigns: Sequence[Campaign]) -> None:
    print("| format | inputs | answered | refused | wrong |\n| --- | --: | --: | --: | --: |")
    for name in campaigns[0].outcomes:
        counts: dict[str, int] = {}
        for one in campaigns:
            for how, number in one.outcomes[name].items():
                counts[how] = counts.get(how, 0) + number
        good = counts.get("answered", 0), counts.get("refused", 0)
        print(f"| {name} | {sum(counts.values())} | {good[0]} | {good[1]} | {sum(counts.values()) - sum(good)} |")
    slowest = max(one.slowest for one in campaigns)
    largest = max(one.largest for one in campaigns)
    print(
        f"\n{sum(one.tried for one in campaigns)} inputs, {max(one.ways for one in campaigns)} ways to be answered;"
        f" slowest {slowest[0]:.2f} s ({slowest[1]}), largest {largest[0] >> 20} MiB ({largest[1]})"
    )


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main())
