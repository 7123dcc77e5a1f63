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
from service.language import as_data, from_data
from service.tree import Frozen, Model


class Task(Frozen, frozen=True, kw_only=True):
    """What a child is asked to do with the descriptors that come with it.

    work `read`: `parts` name the upload's files, one descriptor each, in order.
    work `build`: one descriptor holding the JSON of a `BuildRequest`.
    work `selftest`: no descriptors; the child tries what must be impossible.
    """

    work: Literal["read", "build", "selftest"]
    parts: tuple[str, ...] = ()
    limits: Limits = Limits()


class Answer(Frozen, frozen=True, kw_only=True):
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


class Ended(Frozen, frozen=True, kw_only=True):
    """How a child ended, told by the warm process that forked it.

    `status`: exit code, or minus the signal that killed it. `peak_memory_bytes`: its largest resident set.
    """

    status: int
    peak_memory_bytes: int


class Warm(Frozen, frozen=True, kw_only=True):
    """A warm process says that it is ready, and what its rehearsal showed.

    `layers`: layer of confinement -> put on without error; `probes`: self-test name -> stopped as it must be.
    """

    framework_version: str | None
    layers: dict[str, bool]
    probes: dict[str, bool]
    landlock_abi: int


TASK_BYTES = 128 << 10
"""Largest task: one packet of a Unix socket, well below the kernel's default send buffer of 208 KiB."""
MAX_FILES = 250
"""Most upload files of one task: the kernel passes at most 253 descriptors at once, one is the answer's."""

STARTED = b"started"
"""The warm process's word, with the child's pidfd, that a task is in a child's hands."""
LAYER_FAILED = 100
"""A child exits with this plus the number of the layer that it could not put on, before it has read anything."""

_encoder = msgspec.json.Encoder(enc_hook=as_data)
_answer_decoder = msgspec.json.Decoder(Answer, dec_hook=from_data)
_task_decoder = msgspec.json.Decoder(Task)
_build_decoder = msgspec.json.Decoder(BuildRequest)
_ended_decoder = msgspec.json.Decoder(Ended)
_warm_decoder = msgspec.json.Decoder(Warm)


def encode(message: Task | Answer | BuildRequest | Ended | Warm) -> bytes:
    """JSON bytes of a message."""
    return _encoder.encode(message)


def decode_task(data: bytes) -> Task:
    """A task from the trusted side."""
    return _task_decoder.decode(data)


def decode_build(data: bytes) -> BuildRequest:
    """A build request, written by a reader and passed on by the trusted side."""
    return _build_decoder.decode(data)


def decode_ended(data: bytes) -> Ended:
    """How a child ended, from the warm process."""
    return _ended_decoder.decode(data)


def decode_warm(data: bytes) -> Warm:
    """What a warm process says of itself."""
    return _warm_decoder.decode(data)


def decode_answer(untrusted_answer: bytes) -> Answer:
    """The typed answer; WorkerCrashed if the bytes are not one."""
    try:
        answer = _answer_decoder.decode(untrusted_answer)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise WorkerCrashed("The worker's answer was not understood.", reason=str(error)[:200]) from None
    if sum(part is not None for part in (answer.model, answer.build, answer.error, answer.probes)) != 1:
        raise WorkerCrashed("The worker's answer was not understood.", reason="not exactly one result")
    return answer
