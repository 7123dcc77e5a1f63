"""What a confined child does with its task: read, measure, build, compare, or test the wall; knows no processes.

Every way to fail becomes an `Answer.error`. What goes wrong by a bug is named by its exception's class alone:
a message may hold content of the upload or a path of this machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from service import wire
from service.config import Limits
from service.enrich.pipeline import enrich
from service.errors import ErrorInfo, InputError, LimitExceeded, WorkerCrashed, WorkerOutOfMemory
from service.formats import Upload
from service.frames import Sender, too_large
from service.language import msg
from service.source import FileSource, Meter
from service.tree import Report
from service.worker import selftest
from service.worker.kit import Kit
from service.worker.telling import Tell, ToldMeter, nobody

T = TypeVar("T")

OUT_OF_MEMORY = wire.encode(
    wire.Answer(error=WorkerOutOfMemory(msg("The analysis needed more memory than it may use and was stopped.")).info)
)
"""Made beforehand: when it is needed there is no memory left to make it."""


class Room(msgspec.Struct, frozen=True):
    """Where a task is worked on: with what, how reads are counted, and what is sent ahead of the answer."""

    kit: Kit
    meter: ToldMeter
    sender: Sender


def run(task: wire.Task, files: Sequence[int], kit: Kit, send: Callable[[bytes], None], tell: Tell = nobody) -> None:
    """Send the answer to `task`; raises nothing but what `send` does. `tell` hears how far it has come."""
    try:
        sender = Sender(send, task.limits.answer_bytes)
        answer = _encode(
            _answer(task, files, Room(kit, _meter(task, files, tell), sender)), sender, task.limits.answer_bytes
        )
    except MemoryError:
        answer = OUT_OF_MEMORY
    send(answer)


def _answer(task: wire.Task, files: Sequence[int], room: Room) -> wire.Answer:
    meter = room.meter
    start = time.monotonic()
    try:
        answer = _WORKS[task.work](task, files, room)
    except MemoryError:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a library raises, SystemExit too, the answer is typed
        answer = wire.Answer(error=_info(error))
    return msgspec.structs.replace(answer, bytes_read=meter.read, seconds=time.monotonic() - start)


def _meter(task: wire.Task, files: Sequence[int], tell: Tell) -> ToldMeter:
    limits = task.limits
    if task.work in ("read", "measure"):
        limits = limits.for_upload(sum(os.lseek(file, 0, os.SEEK_END) for file in files))
    if not task.reads_values:
        return ToldMeter(limits, limits.read_bytes, tell)
    most = limits.values_bytes
    return ToldMeter(msgspec.structs.replace(limits, inflated_bytes=max(limits.inflated_bytes, most)), most, tell)


def _read(task: wire.Task, files: Sequence[int], room: Room) -> wire.Answer:
    upload = _upload(task.parts, files, room.meter)
    return _offered(room.kit.read)(upload, room.kit.readers, deliver=room.sender.deliver)


def _measure(task: wire.Task, files: Sequence[int], room: Room) -> wire.Answer:
    values, read, meter = _offered(room.kit.values), _offered(room.kit.read), room.meter
    upload = _upload(task.parts, files, meter)
    return read(upload, room.kit.readers, lambda model: values.measure(upload, model, meter.tell), room.sender.deliver)


def _compare(task: wire.Task, files: Sequence[int], room: Room) -> wire.Answer:
    kit, meter = room.kit, room.meter
    left, right = (_report(file, task.limits) for file in files[:2])
    pair = None
    if task.values:
        values = _offered(kit.values)
        middle = 2 + len(task.parts)
        meter.total = values_bytes(left) + values_bytes(right)
        pair = values.pair(
            values.open_values(_upload(task.parts, files[2:middle], meter), left),
            values.open_values(_upload(task.right_parts, files[middle:], meter), right),
        )
    return wire.Answer(comparison=_offered(kit.compare)(left, right, pair))


def _offered(tool: T | None) -> T:
    """`tool`; LookupError in a kind that does not have it."""
    if tool is None:
        raise LookupError("a task for another kind")
    return tool


def _upload(names: Sequence[str], files: Sequence[int], meter: ToldMeter) -> Upload:
    return Upload({name: FileSource(file, meter) for name, file in zip(names, files, strict=True)}, meter)


def _report(file: int, limits: Limits) -> Report:
    """A stored report: written by the service, so that its size is bounded already and is not the upload's."""
    source = FileSource(file, Meter(limits, os.lseek(file, 0, os.SEEK_END)))
    return wire.decode_report(source.read_at(0, source.size))


def values_bytes(report: Report) -> int:
    """Stored bytes of all weights' values, as far as they are known."""
    return sum(weight.bytes or 0 for layer in report.layers for weight in layer.weights if weight.tied_to is None)


def _build(task: wire.Task, files: Sequence[int], room: Room) -> wire.Answer:
    kit, source = room.kit, FileSource(files[0], room.meter)
    if source.size > task.limits.json_bytes:
        raise LimitExceeded(
            "json_bytes", task.limits.json_bytes, msg("The architecture is too large."), value=source.size
        )
    request = wire.decode_build(source.read_at(0, source.size))
    model = enrich(_offered(kit.builder).build(request, task.limits), room.sender.deliver)
    return wire.Answer(model=model, reader=request.dialect, framework_version=kit.framework_version)


def _test(task: wire.Task, files: Sequence[int], room: Room) -> wire.Answer:  # noqa: ARG001 - one shape for all works
    return wire.Answer(probes=selftest.run(task.parts))


_WORKS: dict[str, Callable[[wire.Task, Sequence[int], Room], wire.Answer]] = {
    "read": _read,
    "measure": _measure,
    "build": _build,
    "compare": _compare,
    "selftest": _test,
}


def _info(error: BaseException) -> ErrorInfo:
    if isinstance(error, InputError):
        return error.info
    if isinstance(error, RecursionError):
        return _too_deep().info
    return WorkerCrashed(msg("The analysis met an error of its own."), exception=type(error).__name__).info


def _too_deep() -> LimitExceeded:
    return LimitExceeded("recursion", 1000, msg("The content is nested deeper than can be followed."))


def _encode(answer: wire.Answer, sender: Sender, maximum: int) -> bytes:
    """JSON of `answer`, or of the reason why it cannot be sent."""
    try:
        if answer.model is not None and answer.model.layers:
            kept = sender.deliver(answer.model.layers)
            answer = msgspec.structs.replace(answer, model=msgspec.structs.replace(answer.model, layers=kept))
        data = wire.encode(answer)
    except (TypeError, ValueError, RecursionError, LimitExceeded) as error:
        return wire.encode(wire.Answer(error=_info(error)))
    if sender.fits(len(data)):
        return data
    return wire.encode(wire.Answer(error=too_large(maximum, len(data)).info))


def send(descriptor: int, data: bytes) -> None:
    """Write all of `data`; OSError if nobody reads it any more."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
