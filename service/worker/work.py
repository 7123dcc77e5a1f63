"""What a confined child does with its task: read, build or test the wall; knows no processes and no confinement.

Every way to fail becomes an `Answer.error`. What goes wrong by a bug is named by its exception's class alone:
a message may hold content of the upload or a path of this machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

import msgspec

from service import wire
from service.enrich.pipeline import enrich
from service.errors import ErrorInfo, InputError, LimitExceeded, WorkerCrashed, WorkerOutOfMemory
from service.formats import Upload
from service.source import FileSource, Meter
from service.worker import selftest
from service.worker.kit import Kit
from service.worker.reading import read

OUT_OF_MEMORY = wire.encode(
    wire.Answer(error=WorkerOutOfMemory("The analysis needed more memory than it may use and was stopped.").info)
)
"""Made beforehand: when it is needed there is no memory left to make it."""


def run(task: wire.Task, files: Sequence[int], kit: Kit) -> bytes:
    """The encoded answer to `task`; never raises."""
    try:
        return _encode(_answer(task, files, kit), task.limits.answer_bytes)
    except MemoryError:
        return OUT_OF_MEMORY


def _answer(task: wire.Task, files: Sequence[int], kit: Kit) -> wire.Answer:
    meter = Meter(task.limits)
    start = time.monotonic()
    try:
        answer = _WORKS[task.work](task, files, kit, meter)
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a library raises, SystemExit too, the answer is typed
        answer = wire.Answer(error=_info(error))
    return msgspec.structs.replace(answer, bytes_read=meter.read, seconds=time.monotonic() - start)


def _read(task: wire.Task, files: Sequence[int], kit: Kit, meter: Meter) -> wire.Answer:
    parts = {name: FileSource(file, meter) for name, file in zip(task.parts, files, strict=True)}
    return read(Upload(parts, meter), kit.readers)


def _build(task: wire.Task, files: Sequence[int], kit: Kit, meter: Meter) -> wire.Answer:
    source = FileSource(files[0], meter)
    if source.size > task.limits.json_bytes:
        raise LimitExceeded("json_bytes", task.limits.json_bytes, "The architecture is too large.", value=source.size)
    request = wire.decode_build(source.read_at(0, source.size))
    if kit.builder is None:
        raise LookupError(request.kind)
    model = enrich(kit.builder.build(request, task.limits))
    return wire.Answer(model=model, reader=request.dialect, framework_version=kit.framework_version)


def _test(task: wire.Task, files: Sequence[int], kit: Kit, meter: Meter) -> wire.Answer:  # noqa: ARG001 - one shape for all works
    return wire.Answer(probes=selftest.run(task.parts))


_WORKS: dict[str, Callable[[wire.Task, Sequence[int], Kit, Meter], wire.Answer]] = {
    "read": _read,
    "build": _build,
    "selftest": _test,
}


def _info(error: BaseException) -> ErrorInfo:
    if isinstance(error, InputError):
        return error.info
    if isinstance(error, RecursionError):
        return _too_deep().info
    return WorkerCrashed("The analysis met an error of its own.", exception=type(error).__name__).info


def _too_deep() -> LimitExceeded:
    return LimitExceeded("recursion", 1000, "The content is nested deeper than can be followed.")


def _encode(answer: wire.Answer, maximum: int) -> bytes:
    """JSON of `answer`, or of the reason why it cannot be sent."""
    try:
        data = wire.encode(answer)
    except (TypeError, ValueError, RecursionError) as error:
        return wire.encode(wire.Answer(error=_info(error)))
    if len(data) <= maximum:
        return data
    too_large = LimitExceeded("answer_bytes", maximum, "The description of this model is too large.", value=len(data))
    return wire.encode(wire.Answer(error=too_large.info))


def send(descriptor: int, data: bytes) -> None:
    """Write all of `data`; OSError if nobody reads it any more."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
