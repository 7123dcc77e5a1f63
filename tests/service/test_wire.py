"""Messages over the wall: typed both ways, and nothing else is taken for an answer."""

from __future__ import annotations

import pytest

from service.config import Limits
from service.errors import MalformedFile, WorkerCrashed
from service.formats import BuildRequest
from service.wire import (
    Answer,
    Task,
    decode_answer,
    decode_build,
    decode_task,
    encode,
    encode_progress,
    take_progress,
)
from tests.builders import layer, model, weight


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


def test_progress_is_taken_off_the_front_of_an_answer() -> None:
    """The last whole frame counts; what is not whole yet, and the answer, stay."""
    answer = encode(Answer(probes={}))
    frames = encode_progress(1, 4) + encode_progress(3, 4)
    for cut in range(len(frames) + 1):
        buffer = bytearray(frames[:cut])
        assert take_progress(buffer) == (None, 0.25, 0.75)[cut // 17]
        assert len(buffer) == cut % 17
    buffer = bytearray(frames + answer)
    assert (take_progress(buffer), bytes(buffer)) == (0.75, answer)
    assert take_progress(buffer) is None


@pytest.mark.parametrize(
    ("done", "total", "share"), [(0, 4, 0.0), (5, 4, 1.0), (1, 0, None), (2**70, 2**80, 1.0), (1, 2**64 - 1, 0.0)]
)
def test_progress_is_a_share_or_nothing(done: int, total: int, share: float | None) -> None:
    """Whatever is claimed; numbers that no file has are cut."""
    found = take_progress(bytearray(encode_progress(done, total)))
    assert found == (share if share is None else pytest.approx(share, abs=1e-9))


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
