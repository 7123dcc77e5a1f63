"""One analysis from descriptors to a report: static first, then the framework if the reader asks for it.

Knows the sandbox and the report's outer fields; must not know any format, nor who waits for the answer.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

import msgspec

from service import wire
from service.config import Limits
from service.errors import WorkerCrashed, from_info
from service.jobs.blobs import Blobs
from service.jobs.records import Analysis, Part
from service.jobs.sealing import sealed
from service.language import msg
from service.tree import SCHEMA_VERSION, Confinement, Model, Provenance, Report

try:
    VERSION = importlib.metadata.version("weighbridge")
except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
    VERSION = "0+unknown"


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """Who started a job and may call it off: asked, and told the share of the values that is read, 0 to 1."""

    cancelled: Callable[[], bool]
    progress: Callable[[float], None]


UNWATCHED = Watch(cancelled=lambda: False, progress=lambda _: None)
NO_VALUES = msg("An architecture holds no values: there is nothing to take statistics of.")


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
        self,
        kind: str,
        task: wire.Task,
        descriptors: Sequence[int],
        *,
        cancelled: Callable[[], bool] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Outcome:
        """One task in a fresh confined child. Raises WeighbridgeError of what went wrong."""
        ...

    def confinement(self, kind: str) -> Confinement:
        """Which layers of the wall stand around children of this kind."""
        ...


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to analyse: the files' names and their open, read-only descriptors, in order.

    `stats`: the values are measured too.
    """

    parts: tuple[Part, ...]
    descriptors: tuple[int, ...]
    limits: Limits
    stats: bool = False


def analyse(sandbox: Sandbox, work: Work, watch: Watch = UNWATCHED) -> Report:
    """The report of an upload. Raises the WeighbridgeError that prevents one."""
    names = tuple(part.name for part in work.parts)
    task = wire.Task(work="measure" if work.stats else "read", parts=names, limits=work.limits)
    kind = "values" if work.stats else "static"
    outcomes = [(kind, run(sandbox, kind, task, work.descriptors, watch))]
    request = outcomes[0][1].answer.build
    if request is not None:
        with sealed((wire.encode(request),)) as descriptor:
            task = wire.Task(work="build", limits=work.limits)
            built = run(sandbox, request.kind, task, (descriptor,), watch)
        outcomes.append((request.kind, built))
    model = outcomes[-1][1].answer.model
    if model is None:
        raise WorkerCrashed(msg("The worker's answer was not understood."), reason="no model")
    if work.stats and request is not None:
        model = msgspec.structs.replace(model, notes=(*model.notes, NO_VALUES))
    return _report(sandbox, model, work.parts, outcomes)


def run(sandbox: Sandbox, kind: str, task: wire.Task, descriptors: Sequence[int], watch: Watch) -> Outcome:
    """The outcome of one task; an error inside its answer is raised."""
    outcome = sandbox.run(kind, task, descriptors, cancelled=watch.cancelled, progress=watch.progress)
    if outcome.answer.error is not None:
        raise from_info(outcome.answer.error)
    return outcome


def _report(sandbox: Sandbox, model: Model, parts: tuple[Part, ...], outcomes: list[tuple[str, Outcome]]) -> Report:
    if model.totals is None:
        raise WorkerCrashed(msg("The worker's answer was not understood."), reason="no totals")
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
        models=model.models,
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


@contextmanager
def opened(blobs: Blobs, parts: tuple[Part, ...], *, verified: bool) -> Iterator[tuple[int, ...]]:
    """Descriptors of files in the blob folder, for the time of the context. InputLost if one is not there.

    `verified`: their values will be read, so that they must be what was sent, and not only as long.
    """
    with ExitStack() as open_files:
        descriptors: list[int] = []
        for part in parts:
            descriptors.append(blobs.open(part.blake3, part.bytes))
            open_files.callback(os.close, descriptors[-1])
            if verified:
                blobs.verify(descriptors[-1], part.blake3)
        yield tuple(descriptors)


def analyse_stored(sandbox: Sandbox, blobs: Blobs, job: Analysis, limits: Limits, watch: Watch = UNWATCHED) -> Report:
    """As `analyse`, for files in the blob folder. InputLost if one is not there."""
    with opened(blobs, job.parts, verified=job.options.stats) as descriptors:
        work = Work(parts=job.parts, descriptors=descriptors, limits=limits, stats=job.options.stats)
        return analyse(sandbox, work, watch)
