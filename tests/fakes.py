"""A sandbox without processes that does what an upload's first word says, and the parts of a web process around it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service import wire
from service.comparisons import Comparison, Side
from service.config import Access, Settings
from service.errors import MalformedFile, UnknownFormat, WorkerCancelled, WorkerCrashed, WorkerUnavailable
from service.formats import BuildRequest
from service.language import msg
from service.sandbox.client import Outcome
from service.sandbox.state import KindState
from service.tree import Bytes, Confinement, Layer, Model, ModelInfo, Report, Totals, Weight

if TYPE_CHECKING:
    from service.web.services import Services

SIZES = dict.fromkeys(("total", "trainable", "frozen", "statistics", "unknown", "optimizer", "ema", "other"), 0)
TOTALS = Totals(
    parameters=6, trainable=6, frozen=0, statistics=0, unknown=0, optimizer=0, ema=0, other=0,
    parameters_with_repeats=6, bytes=Bytes(**{**SIZES, "total": 24, "trainable": 24}, by_dtype={"float32": 24}),
)  # fmt: skip
WEIGHT = Weight(
    name="kernel", role="kernel", shape=(2, 3), dtype="float32", count=6, group="trainable", trainable=True,
    trainable_source="rule", bytes=24,
)  # fmt: skip
MODEL = Model(
    info=ModelInfo(format="fake", framework="keras", name="tiny"),
    layers=(Layer(path="dense", name="dense", kind="linear", type="Dense", weights=(WEIGHT,)),),
    totals=TOTALS,
)


class FakeSandbox:
    """Obeys an upload's first word: model, spec, bad, unknown, crash, away, hang, break."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, tuple[str, ...]]] = []
        self.away = 0
        self.release = threading.Event()
        self.cancelled = 0

    def run(
        self, kind: str, task: wire.Task, descriptors: Any, *, cancelled: Any = None, progress: Any = None
    ) -> Outcome:
        """One task. A comparison obeys the first word of the left upload's first file, if it has the files."""
        self.runs.append((kind, task.parts))
        if task.work == "build":
            return _outcome(model=MODEL, framework_version="9.9")
        if task.work == "compare":
            return self._compared(task, descriptors, cancelled, progress)
        if task.work == "measure" and progress is not None:
            progress(0.5)
        return getattr(self, f"_{_word(descriptors[0])}")(cancelled)

    def _compared(self, task: wire.Task, descriptors: Any, cancelled: Any, progress: Any) -> Outcome:
        left, right = (wire.decode_report(_content(item)) for item in descriptors[:2])
        if task.parts:
            progress(0.25)
            getattr(self, f"_{_word(descriptors[2])}")(cancelled)
        return _outcome(comparison=comparison(left, right, values=task.values))

    def _model(self, _cancelled: Any) -> Outcome:
        return _outcome(model=MODEL)

    def _spec(self, _cancelled: Any) -> Outcome:
        return _outcome(build=BuildRequest(kind="keras", dialect="layer_list", spec={"layers": []}))

    def _bad(self, _cancelled: Any) -> Outcome:
        raise MalformedFile("The header is broken.", member="config.json", offset=17)

    def _unknown(self, _cancelled: Any) -> Outcome:
        raise UnknownFormat("It is none.", looks_like="a text file", formats=["fake"])

    def _crash(self, _cancelled: Any) -> Outcome:
        raise WorkerCrashed("The parser crashed.", signal="SIGSEGV")

    def _away(self, _cancelled: Any) -> Outcome:
        if self.away:
            self.away -= 1
            raise WorkerUnavailable("It is just being replaced.")
        return _outcome(model=MODEL)

    def _hang(self, cancelled: Any) -> Outcome:
        while not self.release.wait(0.01):
            if cancelled is not None and cancelled():
                self.cancelled += 1
                raise WorkerCancelled("Called off.")
        return _outcome(model=MODEL)

    def _break(self, _cancelled: Any) -> Outcome:
        raise RuntimeError("a bug in /secret/path")

    def confinement(self, _kind: str) -> Confinement:
        """Everything stands."""
        return Confinement(confined=True, layers={"seccomp": True, "landlock": True})

    def states(self) -> dict[str, KindState]:
        """Only the kinds static and values are installed."""
        static = KindState(installed=True, warm=True, pid=1, layers={"seccomp": True}, probes={"socket": True})
        return {"static": static, "values": KindState(installed=True), "keras": KindState(), "torch": KindState()}


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def _word(descriptor: int) -> str:
    return _content(descriptor).decode("latin-1").split()[0]


def comparison(left: Report, right: Report, *, values: bool = False) -> Comparison:
    """An answer that only tells which models were compared."""
    sides = [
        Side(name=it.model.name, framework=it.model.framework, format=it.model.format, counted=6, layers=len(it.layers))
        for it in (left, right)
    ]
    return Comparison(
        schema_version="1", summary=msg("They are equal."), status="complete", left=sides[0], right=sides[1], gap=0,
        unexplained=0, causes=(), layers=(), hyperparameters=(), values=values,
    )  # fmt: skip


def _outcome(**answer: Any) -> Outcome:
    return Outcome(answer=wire.Answer(reader="fake", bytes_read=5, **answer), peak_memory_bytes=1000, seconds=0.25)


def services(folder: Path, sandbox: FakeSandbox, **settings: Any) -> Services:
    """The parts of one web process below `folder`; the engine is not started."""
    from service.web.services import assemble

    local: dict[str, Any] = {"access": Access(bound="127.0.0.1")}
    return assemble(Settings(data_dir=folder, min_free_disk_bytes=0, **(local | settings)), sandbox)  # type: ignore[arg-type]


def wait_for(condition: Any, seconds: float = 10.0) -> Any:
    """The first true value of `condition()`; AssertionError if it stays false."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
    return value
