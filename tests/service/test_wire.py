"""Messages over the wall: typed both ways, and nothing else is taken for an answer."""

from __future__ import annotations

import pytest

from service.config import Limits
from service.errors import MalformedFile, WorkerCrashed
from service.formats import BuildRequest
from service.wire import Answer, Task, decode_answer, decode_build, decode_task, encode
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
