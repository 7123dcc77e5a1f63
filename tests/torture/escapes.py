"""`python -m tests.torture.escapes [--every]`: every way out, tried behind every part of the wall; what stopped each.

Each try is done in a child of its own: behind the whole wall; with each layer left out in turn; with nothing on; and
behind each layer alone, beside the one without which the kernel lets no layer be put on (no new privileges). The output
is the table of docs/security.md: a row for each group of tries, or with --every for each try. As root some layers hold
less than as the user that services run as: run it as that. Ends with status 1 if anything gets through the whole wall.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from service.sandbox.client import Sandbox
from service.worker import confine, landlock
from tests.service.sandbox import trying
from tests.service.sandbox.tries import reader  # noqa: F401 - it registers the tries
from tests.service.sandbox.tries.answers import ACCUSE, ANSWER
from tests.service.sandbox.tries.base import BUILDERS_MAY, TRIES, Try
from tests.service.sandbox.tries.lasting import LAST
from tests.torture import escapes_outside

NEEDED = () if os.geteuid() == 0 else ("privileges",)
"""Without it only root may put some of the others on."""
OUTSIDE = frozenset({ANSWER, ACCUSE, LAST})
"""Groups that whoever waits for the answer stops, whatever the child has put on."""
SHORT = {
    "refusals": "refusals", "descriptors": "descr.", "session": "session", "privileges": "privil.",
    "undumpable": "undump.", "landlock": "Landlock", "limits": "limits", "seccomp": "seccomp",
}  # fmt: skip
"""Headings of the columns: the layers that stop something by themselves."""
FIRST = ("parent", "seccomp", "refusals", "system", "limits", "landlock", "undumpable", "privileges", "session",
         "descriptors")  # fmt: skip
"""Who is asked first: filters before the kernel looks at a call at all."""


class Found(NamedTuple):
    """How each try ended behind one wall."""

    by_try: dict[str, str]

    def stopped(self, name: str) -> bool:
        """Whether it did not get through."""
        how = self.by_try[name]
        return not how.startswith(trying.THROUGH) and (TRIES[name].group in OUTSIDE or "worker_timeout" not in how)


class Run:
    """Tries of one kind of child, behind one wall after the other."""

    def __init__(self, kind: str, folder: Path, target: dict[str, object]) -> None:
        self._kind = kind
        self._folder = folder
        self._target = target
        self._walls = 0

    def behind(self, without: Iterable[str], names: Sequence[str]) -> Found:
        """All of `names`, with these layers left out."""
        self._walls += 1
        with trying.wall(self._folder / f"run{self._walls}", self._kind, without) as sandbox:
            return Found({name: self._one(sandbox, name) for name in names})

    def outside(self) -> Iterator[str]:
        """What is done to a child from outside."""
        return escapes_outside.table(self._folder, self._target)

    def _one(self, sandbox: Sandbox, name: str) -> str:
        """How it ended; on a busy machine one that ends by itself may meet its deadline before: it has another."""
        for _ in range(1 if TRIES[name].group in OUTSIDE else 2):
            how = trying.outcomes(sandbox, [name], self._target, self._kind, trying.impatient(name))[name]
            if "worker_timeout" not in how:
                break
        return how


@contextmanager
def running(kind: str) -> Iterator[Run]:
    """Something to reach, and who tries."""
    with tempfile.TemporaryDirectory(prefix="weighbridge-") as made:
        folder = Path(made)
        (folder / "data").mkdir()
        with trying.surroundings(folder / "data") as target:
            yield Run(kind, folder, target)


def without_all_but(*layers: str) -> list[str]:
    """What to leave out so that only `layers` stand."""
    return [layer for layer in confine.LAYERS if layer not in layers]


def measure(kind: str, got_through: list[str], *, every: bool) -> Iterator[str]:
    """The tables of one kind, line by line; what gets through the whole wall is added to `got_through`."""
    names = list(TRIES)
    alone_names = [name for name, one in TRIES.items() if one.group not in OUTSIDE]
    with running(kind) as run:
        whole = run.behind((), names)
        bare = run.behind(confine.LAYERS, names)
        alone = {layer: run.behind(without_all_but(*NEEDED, layer), alone_names) for layer in SHORT}
        off = {layer: run.behind((layer,), names) for layer in confine.LAYERS}
        allowed = BUILDERS_MAY if kind == "keras" else frozenset()
        got_through += [name for name in names if not whole.stopped(name) and name not in allowed]
        yield from (_matrix if every else _groups)(whole, bare, alone)
        yield ""
        yield from _left_out(whole, off)
        if kind == "static":
            yield ""
            yield from run.outside()


def _groups(whole: Found, bare: Found, alone: dict[str, Found]) -> Iterator[str]:
    """A row a group: how many there are and were stopped, by what first, and how many each layer stops by itself."""
    yield "| tries to | tried | stopped | first, by | " + " | ".join(SHORT[layer] for layer in alone) + " |"
    yield "| --- | --: | --: | --- |" + " --: |" * len(alone)
    every: list[Try] = []
    for group in dict.fromkeys(one.group for one in TRIES.values()):
        members = [one for one in TRIES.values() if one.group == group]
        every += members
        yield _group(group, members, whole, bare, alone)
    yield _group("**all**", every, whole, bare, alone)


def _group(name: str, members: list[Try], whole: Found, bare: Found, alone: dict[str, Found]) -> str:
    stops = {one.name: _stops(one, bare, alone) for one in members}
    held = [one.name for one in members if whole.stopped(one.name)]
    first = Counter(next((by for by in FIRST if by in stops[name]), "several together") for name in held)
    counts = [sum(layer in by for by in stops.values()) for layer in alone]
    told = ", ".join(f"{by} {number}" for by, number in first.most_common())
    return f"| {name} | {len(members)} | {len(held)} | {told} | " + " | ".join(str(n or "") for n in counts) + " |"


def _stops(one: Try, bare: Found, alone: dict[str, Found]) -> list[str]:
    """What stops it by itself: the parent, the system as it is without a wall, or layers."""
    if bare.stopped(one.name):
        return ["parent" if one.group in OUTSIDE else "system"]
    if one.group in OUTSIDE:
        return []
    needed = NEEDED and alone[NEEDED[0]].stopped(one.name)
    return [*NEEDED] if needed else [layer for layer, found in alone.items() if found.stopped(one.name)]


def _matrix(whole: Found, bare: Found, alone: dict[str, Found]) -> Iterator[str]:
    yield "| try | " + " | ".join(["system", *(SHORT[layer] for layer in alone), "parent", "all on"]) + " |"
    yield "| --- |" + " :-: |" * (len(alone) + 2) + " --- |"
    for group in dict.fromkeys(one.group for one in TRIES.values()):
        members = [one for one in TRIES.values() if one.group == group]
        yield f"| **{group}** |" + " |" * (len(alone) + 3)
        if group in (ANSWER, ACCUSE):
            yield _together(members, whole, bare, len(alone))
        else:
            yield from (_row(one, whole, bare, alone) for one in members)


def _row(one: Try, whole: Found, bare: Found, alone: dict[str, Found]) -> str:
    stops = _stops(one, bare, alone)
    marks = [_mark(by in stops) for by in ("system", *alone, "parent")]
    return f"| {one.wants} | " + " | ".join([*marks, whole.by_try[one.name]]) + " |"


def _together(members: list[Try], whole: Found, bare: Found, layers: int) -> str:
    stopped = sum(whole.stopped(one.name) for one in members)
    by_parent = all(bare.stopped(one.name) for one in members)
    return f"| {len(members)} different ones |" + " |" * (layers + 1) + f" {_mark(by_parent)} | stopped: {stopped} |"


def _mark(stops: bool) -> str:
    return "●" if stops else ""


def _left_out(whole: Found, off: dict[str, Found]) -> Iterator[str]:
    yield f"| layer left out | stopped, of {len(whole.by_try)} | got through |"
    yield "| --- | --: | --- |"
    for layer, found in {"none": whole, **off}.items():
        through = [TRIES[name].wants for name in found.by_try if not found.stopped(name)]
        yield f"| {layer} | {len(found.by_try) - len(through)} | {'; '.join(through) or 'nothing'} |"


def main() -> int:
    """Print the tables of the kinds asked for."""
    parser = argparse.ArgumentParser(prog="tests.torture.escapes", description=__doc__)
    parser.add_argument("--kind", action="append", choices=("static", "keras"), help="both by default")
    parser.add_argument("--every", action="store_true", help="a row for each try")
    given = parser.parse_args()
    print(f"Linux {platform.release()}, {platform.machine()}, Landlock {landlock.abi()}, uid {os.geteuid()}")
    got_through: list[str] = []
    for kind in given.kind or ("static", "keras"):
        print(f"\n### {kind}\n")
        for line in measure(kind, got_through, every=given.every):
            print(line, flush=True)
    if got_through:
        print(f"\nThe wall has a hole: {', '.join(got_through)}")
    return 1 if got_through else 0


if __name__ == "__main__":
    sys.exit(main())
