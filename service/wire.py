"""Tasks and answers as JSON bytes over the wall; knows types and size caps, no processes and no formats.

What comes back was written by a process that has read a hostile file: it is decoded into strict types, capped,
and named `untrusted_*` until then. Nothing is ever pickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec

from service import decoding, light
from service.comparisons import Comparison
from service.config import Limits
from service.errors import ErrorInfo, LimitExceeded, WorkerCrashed
from service.formats import BuildRequest
from service.language import Message, as_data, from_child, from_data, msg
from service.splicing import BREAK, around, in_lines
from service.tree import Frozen, Layer, Model, Report


class Task(Frozen, frozen=True, kw_only=True):
    """What a child is asked to do with the descriptors that come with it.

    work `read`: `parts` name the upload's files, one descriptor each, in order.
    work `measure`: as `read`, and every weight's values are measured.
    work `build`: one descriptor holding the JSON of a `BuildRequest`.
    work `compare`: two descriptors holding the JSON of the left and the right `Report`; where the numbers are compared
    (`values`) also the left upload's files, named by `parts`, and the right upload's, named by `right_parts`.
    work `selftest`: no descriptors; the child tries what must be impossible.
    """

    work: Literal["read", "measure", "build", "compare", "selftest"]
    parts: tuple[str, ...] = ()
    right_parts: tuple[str, ...] = ()
    values: bool = False
    limits: Limits = Limits()

    @property
    def descriptors(self) -> int:
        """How many come with it."""
        extra = {"build": 1, "compare": 2, "selftest": -len(self.parts)}.get(self.work, 0)
        return len(self.parts) + len(self.right_parts) + extra

    @property
    def reads_values(self) -> bool:
        """Whether it may read whole uploads, and not only what describes them."""
        return self.values or self.work == "measure"

    @property
    def seconds(self) -> float:
        """Its deadline."""
        if self.reads_values:
            return self.limits.values_seconds
        return self.limits.build_seconds if self.work == "build" else self.limits.seconds

    @property
    def memory_bytes(self) -> int:
        """Address space that its child may add: twice as much where it holds two models."""
        if self.work == "build":
            return self.limits.build_memory_bytes
        one = self.limits.values_memory_bytes if self.reads_values else self.limits.memory_bytes
        return 2 * one if self.work == "compare" else one


MAX_WORD = 200
Word = Annotated[str, msgspec.Meta(max_length=MAX_WORD)]
"""A name or version of ours or a framework's."""


class Answer(Frozen, frozen=True, kw_only=True):
    """Exactly one of `model`, `build`, `error`, `probes`, `comparison`, with what the child measured about itself.

    `bytes_read`: from the upload; `seconds`: inside the child; `probes`: self-test name -> stopped as it must be.
    """

    model: Model | None = None
    build: BuildRequest | None = None
    error: ErrorInfo | None = None
    probes: dict[str, bool] | None = None
    comparison: Comparison | None = None
    reader: Word = ""
    framework_version: Word | None = None
    bytes_read: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0


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

MAX_WEIGHT = 60_000_000
"""Of an answer, as `weight` has it: a real one of 256 MiB has at most 56 million. A made one of as many bytes, but of
empty lists and sentences, would take its reader 16 GB and minutes."""

STARTED = b"started"
"""The warm process's word, with the child's pidfd, that a task is in a child's hands."""
LAYER_FAILED = 100
"""A child exits with this plus the number of the layer that it could not put on, before it has read anything."""


def _as_data(value: object) -> Any:
    """Encoder hook: what is neither a struct nor plain."""
    return value.json() if type(value) is decoding.Layers else as_data(value)


_encoder = msgspec.json.Encoder(enc_hook=_as_data)
_LIGHT_MODEL = light.partly(Model, {"layers": msgspec.Raw})
_answer_decoder = msgspec.json.Decoder(
    light.partly(Answer, {"model": _LIGHT_MODEL | None}),
    dec_hook=from_child,
)
_comparison_decoder = msgspec.json.Decoder(Comparison, dec_hook=from_data)
_task_decoder = msgspec.json.Decoder(Task)
_build_decoder = msgspec.json.Decoder(BuildRequest, dec_hook=from_data)
_ended_decoder = msgspec.json.Decoder(Ended)
_warm_decoder = msgspec.json.Decoder(Warm)


def encode(message: Task | Answer | BuildRequest | Ended | Warm | Report | Comparison) -> bytes:
    """JSON bytes of a message; its sentences are still data, in no language."""
    return _encoder.encode(message)


def encode_pieces(result: Report | Comparison) -> Iterator[bytes]:
    """The same in pieces, for a report whose layers are JSON: they are passed on as they are, in lines."""
    layers: Any = result.layers if isinstance(result, Report) else ()
    if not isinstance(layers, decoding.Layers):
        yield encode(result)
        return
    before, behind = around(lambda text: _encoder.encode(msgspec.structs.replace(result, layers=text)))
    yield from in_lines(before, layers.pieces, behind)


def layer_encoder() -> Callable[[Sequence[Layer]], bytes]:
    """Makes JSON of the layers of one model, some at a time in lines; what several of them share is made once."""
    bare: dict[str, msgspec.Raw] = {}

    def hook(value: object) -> Any:
        if type(value) is not Message or value.args or value.plural is not None:
            return as_data(value)
        found = bare.get(value.id)
        if found is None:
            found = bare[value.id] = msgspec.Raw(msgspec.json.encode(as_data(value)))
        return found

    encoder = msgspec.json.Encoder(enc_hook=hook)
    known = decoding.once(lambda _, value: msgspec.Raw(encoder.encode(value)))

    def light(layer: Layer) -> Layer:
        if layer.explanation is None and layer.cost is None:
            return layer
        explanation = layer.explanation and known("explanation", layer.explanation)
        return msgspec.structs.replace(layer, explanation=explanation, cost=layer.cost and known("cost", layer.cost))

    return lambda layers: encoder.encode_lines([light(layer) for layer in layers]).rstrip(BREAK)


def decode_report(data: bytes) -> Report:
    """A report as it is stored, of this or an older version; msgspec.DecodeError if it is none."""
    return decoding.decode_report(data)


def decode_comparison(data: bytes) -> Comparison:
    """A comparison as it is stored; msgspec.DecodeError if it is none."""
    return _comparison_decoder.decode(data)


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


def _answer(light: Any, checked: Sequence[bytes]) -> Answer:
    """The answer; its model's layers are those that came before, or its own, once they are checked."""
    values = {name: getattr(light, name) for name in Answer.__struct_fields__}
    if light.model is not None:
        if max(len(light.model.info.format), len(light.model.info.framework)) > MAX_WORD:
            raise ValueError("the name of a format is too long")
        own = decoding.Checker().checked_list(light.model.layers)
        if own and checked:
            raise ValueError("layers in two places")
        model = {name: getattr(light.model, name) for name in Model.__struct_fields__}
        values["model"] = Model(**{**model, "layers": decoding.Layers(checked or own)})
    elif checked and light.error is None:
        raise ValueError("layers of no model")
    return Answer(**values)


def weighed(untrusted: bytes, before: int = 0) -> int:
    """`before`, and what decoding some JSON costs; LimitExceeded where it would fill the memory.

    Roughly in units of 50 bytes: an object is much, a list less, a value little.
    """
    weight = before + 10 * untrusted.count(b"{") + 2 * untrusted.count(b"[") + untrusted.count(b",")
    if weight > MAX_WEIGHT:
        too_large = msg("The description of this model is too large.")
        raise LimitExceeded("answer_weight", MAX_WEIGHT, too_large, value=weight)
    return weight


def decode_answer(untrusted_answer: bytes, checked_layers: Sequence[bytes] = (), weight: int = 0) -> Answer:
    """The typed answer. `checked_layers` of this `weight` came before it.

    WorkerCrashed if the bytes are not one, LimitExceeded if they would fill the memory.
    """
    weighed(untrusted_answer, weight)
    try:
        answer = _answer(_answer_decoder.decode(untrusted_answer), checked_layers)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise not_understood(str(error)[:200]) from None
    results = (answer.model, answer.build, answer.error, answer.probes, answer.comparison)
    if sum(part is not None for part in results) != 1:
        raise not_understood("not exactly one result")
    return answer


def not_understood(reason: str) -> WorkerCrashed:
    """What a child wrote is no answer."""
    return WorkerCrashed(msg("The worker's answer was not understood."), reason=reason)
