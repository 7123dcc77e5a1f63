"""Every attack of the catalogue against a real confined child: its exact outcome, nothing sprung, and what it cost."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service import wire
from service.config import Limits
from service.errors import WeighbridgeError
from service.jobs.analysis import Work, analyse
from service.jobs.records import Part
from service.sandbox.client import Outcome, Sandbox
from service.tree import Report
from tests.attacks.frame import Answer, Attack, Trap, catalogue, complaint

SMALL = 1 << 20
"""The budget below is for files of less than this."""
SECONDS, MEMORY = 2.0, 500 << 20
FRAMEWORKS = ("keras", "torch", "transformers")
"""Builders: what a framework needs to come up is not the attack's."""


class Watched:
    """The sandbox, counting what its children cost: the largest resident set, and seconds of processor."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.memory = 0
        self.seconds = 0.0
        self.confinement = sandbox.confinement

    def run(self, kind: str, task: wire.Task, descriptors: Any, **more: Any) -> Outcome:
        """As the sandbox's."""
        before = self._used(kind)
        try:
            outcome = self._sandbox.run(kind, task, descriptors, **more)
            self.memory = max(self.memory, outcome.peak_memory_bytes if kind not in FRAMEWORKS else 0)
            return outcome
        finally:
            self.seconds += self._used(kind) - before if kind not in FRAMEWORKS else 0.0

    def _used(self, kind: str) -> float:
        """Processor time of all children of a warm process that have ended (proc(5): cutime and cstime)."""
        pid = self._sandbox.states()[kind].pid
        if pid is None:
            return 0.0
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def asked(sandbox: Any, paths: dict[str, Path], limits: Limits, *, stats: bool = False) -> Answer:
    """What the service's own way of analysing says of the files."""
    with ExitStack() as stack:
        parts, descriptors = [], []
        for name, path in paths.items():
            descriptors.append(os.open(path, os.O_RDONLY))
            stack.callback(os.close, descriptors[-1])
            parts.append(Part(name=name, bytes=path.stat().st_size, blake3="0" * 64, sha256=None))
        work = Work(parts=tuple(parts), descriptors=tuple(descriptors), limits=limits, stats=stats)
        try:
            return _answer(analyse(sandbox, work))
        except WeighbridgeError as error:
            raw = str(msgspec.to_builtins(error.info, enc_hook=str))
            return Answer(error.info.code, error.info.extra.get("limit"), (), complete=False, raw=raw)


def _answer(report: Report) -> Answer:
    dangers = tuple(msgspec.to_builtins(danger, enc_hook=str) for danger in report.security)
    rules = tuple(finding.rule for finding in report.findings)
    return Answer(None, None, dangers, report.complete, wire.encode(report).decode(), rules)


@pytest.mark.parametrize("attack", catalogue(), ids=lambda attack: attack.label)
def test_it_is_contained(attack: Attack, sandbox: Sandbox, trap: Trap) -> None:
    """Refused with its exact code or named where it is; no marker, no socket, no file; small inputs stay cheap."""
    paths = trap.put(attack.files(trap))
    small = sum(path.stat().st_size for path in paths.values()) < SMALL
    limits = Limits(memory_bytes=MEMORY) if small else Limits()
    watched = Watched(sandbox)
    found = asked(watched, paths, limits)
    assert complaint(attack.expects, found) is None, complaint(attack.expects, found)
    assert trap.sprung() == []
    if small:
        assert watched.seconds < SECONDS
        assert watched.memory < MEMORY
