"""Tasks and answers as JSON bytes over the wall; knows types and size caps, no processes and no formats.

What comes back was written by a process that has read a hostile file: it is decoded into strict types, capped,
and named `untrusted_*` until then. Nothing is ever pickled.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from service.config import Limits
from service.errors import ErrorInfo, WorkerCrashed
from service.formats import BuildRequest
from service.tree import Frozen, Model


class Task(Frozen):
    """What a child is asked to do with the descriptors that come with it.

    work `read`: `parts` name the upload's files, one descriptor each, in order.
    work `build`: one descriptor holding the JSON of a `BuildRequest`.
    work `selftest`: no descriptors; the child tries what must be impossible.
    """

    work: Literal["read", "build", "selftest"]
    parts: tuple[str, ...] = ()
    limits: Limits = Limits()


class Answer(Frozen):
    """Exactly one of `model`, `build`, `error`, `probes`, with what the child measured about itself.

    `bytes_read`: from the upload; `seconds`: inside the child; `probes`: self-test name -> stopped as it must be.
    """

    model: Model | None = None
    build: BuildRequest | None = None
    error: ErrorInfo | None = None
    probes: dict[str, bool] | None = None
    reader: str = ""
    framework_version: str | None = None
    bytes_read: int = 0
    seconds: float = 0.0


_encoder = msgspec.json.Encoder()
_answer_decoder = msgspec.json.Decoder(Answer)
_task_decoder = msgspec.json.Decoder(Task)
_build_decoder = msgspec.json.Decoder(BuildRequest)


def encode(message: Task | Answer | BuildRequest) -> bytes:
    """JSON bytes of a message."""
    return _encoder.encode(message)


def decode_task(data: bytes) -> Task:
    """A task from the trusted side."""
    return _task_decoder.decode(data)


def decode_build(data: bytes) -> BuildRequest:
    """A build request, written by a reader and passed on by the trusted side."""
    return _build_decoder.decode(data)


def decode_answer(untrusted_answer: bytes) -> Answer:
    """The typed answer; WorkerCrashed if the bytes are not one."""
    try:
        answer = _answer_decoder.decode(untrusted_answer)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise WorkerCrashed("The worker's answer was not understood.", reason=str(error)[:200]) from None
    if sum(part is not None for part in (answer.model, answer.build, answer.error, answer.probes)) != 1:
        raise WorkerCrashed("The worker's answer was not understood.", reason="not exactly one result")
    return answer
