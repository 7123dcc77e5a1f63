"""Messages over the wall: typed both ways, and nothing else is taken for an answer."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from service.config import Limits
from service.decoding import Layers
from service.enrich.pipeline import enrich
from service.errors import MalformedFile, WorkerCrashed
from service.formats import BuildRequest
from service.language import as_data, msg, msgn
from service.tree import Layer
from service.wire import (
    Answer,
    Task,
    decode_answer,
    decode_build,
    decode_report,
    decode_task,
    encode,
    encode_pieces,
    layer_encoder,
)
from tests.builders import layer, model, report, weight


def encode_layers(layers: Sequence[Layer]) -> bytes:
    """Lines of JSON."""
    return layer_encoder()(layers)


def test_tasks_and_answers_come_back_the_same() -> None:
    """Whatever is encoded is decoded to an equal value."""
    task = Task(work="read", parts=("a/b.h5",), limits=Limits(seconds=1.0))
    answer = Answer(model=model("keras", layer("d", "linear", weight("kernel", (2, None)))), bytes_read=7)
    request = BuildRequest(kind="keras", dialect="layer_list", spec={"layers": []})
    assert decode_task(encode(task)) == task
    assert decode_answer(encode(answer)) == answer
    assert decode_build(encode(request)) == request


@pytest.mark.parametrize(
    ("task", "descriptors", "seconds", "memory"),
    [
        (Task(work="read", parts=("a", "b")), 2, 30.0, 768),
        (Task(work="measure", parts=("a",)), 1, 600.0, 768),
        (Task(work="build"), 1, 60.0, 1400),
        (Task(work="compare"), 2, 30.0, 1536),
        (Task(work="compare", values=True, parts=("a",), right_parts=("b", "c")), 5, 600.0, 1536),
        (Task(work="selftest", parts=("socket",)), 0, 30.0, 768),
    ],
)
def test_a_task_says_what_comes_with_it_and_what_it_may_use(task: Task, descriptors, seconds, memory) -> None:
    """Both sides of the wall go by the same numbers."""
    assert (task.descriptors, task.seconds, task.memory_bytes >> 20) == (descriptors, seconds, memory)
    assert decode_task(encode(task)) == task


def test_layers_are_the_answer_s_own_or_came_before_it() -> None:
    """Not both; and what is sent ahead belongs to a model, unless something went wrong after that."""
    one = layer("d", "linear", weight("kernel", (2, None)))
    line = encode_layers((one,))
    bare = encode(Answer(model=model("keras")))
    found = decode_answer(bare, [line, line]).model
    assert found is not None
    assert list(found.layers) == [one, one]
    assert decode_answer(encode(Answer(error=MalformedFile("x").info)), [line]).error is not None
    for answer in (Answer(model=model("keras", one)), Answer(probes={})):
        with pytest.raises(WorkerCrashed):
            decode_answer(encode(answer), [line])


def test_a_report_in_pieces_is_the_report() -> None:
    """Whether its layers are typed, one line, or lines of JSON as they came; then each line is one layer."""
    made = report(enrich(model("keras", *(layer(f"d{at}", "linear", weight("kernel", (2, 3))) for at in range(5)))))
    assert list(encode_pieces(made)) == [encode(made)]
    pieces = [encode_layers(made.layers[:2]), encode_layers(made.layers[2:])]
    lined = b"".join(encode_pieces(msgspec.structs.replace(made, layers=Layers(pieces))))
    assert decode_report(lined) == made
    assert lined.replace(b"\n", b"") == encode(made)
    paths = [msgspec.json.decode(line.lstrip(b","))["path"] for line in lined.split(b"\n")[1:-1]]
    assert paths == ["d0", "d1", "d2", "d3", "d4"]


def test_lines_of_layers_are_their_json() -> None:
    """However often what they say occurs, and whatever sort of sentence."""
    notes = (msg("A note."), msg("{n} of {all}.", n=1, all=(msg("a"), "b")), msgn("{n} x", "{n} xs", n=2))
    made = enrich(model("keras", *(layer(f"d{at}", "linear", weight("kernel", (2, 3)), notes=notes) for at in "ab")))
    alone = [msgspec.json.encode(one, enc_hook=as_data) for one in made.layers]
    assert encode_layers(made.layers).split(b"\n") == alone


@pytest.mark.parametrize(
    "untrusted",
    [
        b"", b"null", b"{}", b"[1]", b'{"model": {}}', b'{"probes": {}, "error": {"code": "x", "detail": "y"}}',
        b'{"probes": {}, "surplus": 1}', b'{"bytes_read": "many", "probes": {}}', b"\xff", b"[" * 100_000,
        encode(Answer(error=MalformedFile("x").info))[:-1],
    ],
)  # fmt: skip
def test_garbage_is_a_crashed_worker(untrusted: bytes) -> None:
    """A child that was taken over can write what it likes; it is not believed."""
    with pytest.raises(WorkerCrashed):
        decode_answer(untrusted)
