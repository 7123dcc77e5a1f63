"""One analysis from descriptors to a report: static first, then the framework if the reader asks for it.

Knows the sandbox and the report's outer fields; must not know any format, nor who waits for the answer.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

import msgspec

from service import wire
from service.config import Limits
from service.errors import WeighbridgeError, WorkerCrashed, from_info
from service.formats import BuildRequest
from service.jobs.blobs import Blobs
from service.jobs.records import Part
from service.tree import SCHEMA_VERSION, Confinement, Model, Provenance, Report

try:
    VERSION = importlib.metadata.version("weighbridge")
except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
    VERSION = "0+unknown"

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
Cancelled = Callable[[], bool]


class Outcome(Protocol):
    """What the sandbox gives back."""

    @property
    def answer(self) -> wire.Answer:
        """The child's typed answer."""
        ...

    @property
    def peak_memory_bytes(self) -> int | None:
        """Most memory the child held."""
        ...

    @property
    def seconds(self) -> float:
        """From request to answer."""
        ...


class Sandbox(Protocol):
    """What an analysis needs of the wall."""

    def run(
        self, kind: str, task: wire.Task, descriptors: Sequence[int], *, cancelled: Cancelled | None = None
    ) -> Outcome:
        """One task in a fresh confined child. Raises WeighbridgeError of what went wrong."""
        ...

    def confinement(self, kind: str) -> Confinement:
        """Which layers of the wall stand around children of this kind."""
        ...


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to analyse: the files' names and their open, read-only descriptors, in order."""

    parts: tuple[Part, ...]
    descriptors: tuple[int, ...]
    limits: Limits


def analyse(sandbox: Sandbox, work: Work, cancelled: Cancelled | None = None) -> Report:
    """The report of an upload. Raises the WeighbridgeError that prevents one."""
    names = tuple(part.name for part in work.parts)
    task = wire.Task(work="read", parts=names, limits=work.limits)
    outcomes = [("static", _run(sandbox, "static", task, work.descriptors, cancelled))]
    request = outcomes[0][1].answer.build
    if request is not None:
        with _sealed(request) as descriptor:
            task = wire.Task(work="build", limits=work.limits)
            built = _run(sandbox, request.kind, task, (descriptor,), cancelled)
        outcomes.append((request.kind, built))
    model = outcomes[-1][1].answer.model
    if model is None:
        raise WorkerCrashed("The worker's answer was not understood.", reason="no model")
    return _report(sandbox, model, work.parts, outcomes)


def _run(
    sandbox: Sandbox, kind: str, task: wire.Task, descriptors: Sequence[int], cancelled: Cancelled | None
) -> Outcome:
    outcome = sandbox.run(kind, task, descriptors, cancelled=cancelled)
    if outcome.answer.error is not None:
        raise from_info(outcome.answer.error)
    return outcome


@contextmanager
def _sealed(request: BuildRequest) -> Iterator[int]:
    """The request's JSON in memory that nobody can change any more, behind a read-only descriptor."""
    writable = os.memfd_create("spec", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with os.fdopen(os.dup(writable), "wb") as file:
            file.write(wire.encode(request))
        fcntl.fcntl(writable, fcntl.F_ADD_SEALS, SEALS)
        readable = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(writable)
    try:
        yield readable
    finally:
        os.close(readable)


def _report(sandbox: Sandbox, model: Model, parts: tuple[Part, ...], outcomes: list[tuple[str, Outcome]]) -> Report:
    if model.totals is None:
        raise WeighbridgeError("The worker left the totals out of its answer.")
    only = parts[0] if len(parts) == 1 else None
    info = msgspec.structs.replace(
        model.info,
        bytes=sum(part.bytes for part in parts),
        sha256=only and only.sha256,
        blake3=only and only.blake3,
    )
    return Report(
        schema_version=SCHEMA_VERSION,
        model=info,
        complete=model.complete,
        layers=model.layers,
        totals=model.totals,
        counted_as=model.counted_as,
        states=model.states,
        security=model.security,
        findings=model.findings,
        notes=model.notes,
        blocks=model.blocks,
        cost=model.cost,
        rules=model.rules,
        provenance=_provenance(sandbox, outcomes),
    )


def _provenance(sandbox: Sandbox, outcomes: list[tuple[str, Outcome]]) -> Provenance:
    first, last = outcomes[0][1], outcomes[-1][1]
    peaks = [outcome.peak_memory_bytes for _, outcome in outcomes if outcome.peak_memory_bytes is not None]
    return Provenance(
        reader=first.answer.reader,
        method="static" if len(outcomes) == 1 else "framework",
        version=VERSION,
        seconds=round(sum(outcome.seconds for _, outcome in outcomes), 6),
        bytes_read=first.answer.bytes_read,
        confinement=_weakest([sandbox.confinement(kind) for kind, _ in outcomes]),
        framework_version=last.answer.framework_version,
        peak_memory_bytes=max(peaks, default=None),
    )


def _weakest(walls: list[Confinement]) -> Confinement:
    """What held in every child that took part."""
    layers = {name: all(wall.layers.get(name, False) for wall in walls) for name in walls[0].layers}
    return Confinement(confined=all(wall.confined for wall in walls), layers=layers)


def analyse_stored(
    sandbox: Sandbox, blobs: Blobs, parts: tuple[Part, ...], limits: Limits, cancelled: Cancelled
) -> Report:
    """As `analyse`, for files in the blob folder. InputLost if one is not there."""
    with ExitStack() as open_files:
        descriptors = []
        for part in parts:
            descriptors.append(blobs.open(part.blake3, part.bytes))
            open_files.callback(os.close, descriptors[-1])
        return analyse(sandbox, Work(parts=parts, descriptors=tuple(descriptors), limits=limits), cancelled)
