"""What a child answers, without a process around it."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from service import wire
from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.formats import BuildRequest, Format
from service.tree import Model, ModelInfo
from service.worker import work
from service.worker.kit import Kit

MODEL = Model(info=ModelInfo(format="known", framework="keras"), layers=())


def reader(answer):
    """A reader that accepts everything and gives or raises `answer`."""

    def read(upload):
        if isinstance(answer, BaseException):
            raise answer
        upload.single.read_at(0, 3)
        return answer

    return SimpleNamespace(
        FORMAT=Format(id="known", framework="keras", title="", extensions=(), reads=""),
        accept=lambda _: True,
        read=read,
    )


def builder(answer):
    """A builder that gives `answer`."""
    return SimpleNamespace(framework_version=lambda: "1.2", build=lambda request, limits: answer)


@pytest.fixture
def upload(tmp_path):
    """Descriptor of a small file."""
    (tmp_path / "file").write_bytes(b"abcdef")
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def answer_of(answer, upload, **limits):
    """What comes back when the only reader answers so."""
    task = wire.Task(work="read", parts=("file",), limits=Limits(**limits))
    return wire.decode_answer(work.run(task, [upload], Kit((reader(answer),), None)))


def test_a_model_is_enriched_and_attributed(upload):
    """Totals are there, the format that read it, and the bytes that were read."""
    answer = answer_of(MODEL, upload)
    assert answer.model.totals.parameters == 0
    assert (answer.reader, answer.bytes_read) == ("known", 3)


def test_a_request_to_build_is_passed_on(upload):
    """As data, unchanged."""
    request = BuildRequest(kind="torch", dialect="layer_list", spec={"layers": []})
    assert answer_of(request, upload).build == request


def test_no_reader_is_an_error_of_the_input(upload):
    """With what the content looks like."""
    data = work.run(wire.Task(work="read", parts=("file",)), [upload], Kit((), None))
    assert wire.decode_answer(data).error.code == "unknown_format"


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (MalformedFile("Broken."), "malformed_file"),
        (LimitExceeded("layers", 5, "Too many."), "limit_exceeded"),
        (MemoryError(), "worker_out_of_memory"),
        (RecursionError(), "limit_exceeded"),
        (KeyError("secret"), "worker_crashed"),
        (SystemExit(3), "worker_crashed"),
    ],
)
def test_every_way_to_fail_has_its_code(upload, raised, code):
    """And no message of a bug leaves the child."""
    error = answer_of(raised, upload).error
    assert error.code == code
    assert "secret" not in str(error)


def test_an_error_that_cannot_be_written_is_still_an_answer(upload):
    """An error may carry a value that JSON has no word for."""
    assert answer_of(MalformedFile("Broken.", what=object()), upload).error.extra == {"exception": "TypeError"}


def test_a_long_answer_is_replaced_by_the_limit(upload):
    """At the limit it passes, beyond it does not."""
    full = work.run(wire.Task(work="read", parts=("file",)), [upload], Kit((reader(MODEL),), None))
    assert answer_of(MODEL, upload, answer_bytes=len(full) + 100).error is None
    assert answer_of(MODEL, upload, answer_bytes=100).error.extra["limit"] == "answer_bytes"


def test_a_build_names_its_framework(tmp_path):
    """The version that built it stands in the answer."""
    (tmp_path / "request").write_bytes(wire.encode(BuildRequest(kind="keras", dialect="keras_config", spec={})))
    descriptor = os.open(tmp_path / "request", os.O_RDONLY)
    kit = Kit((), builder(MODEL))
    answer = wire.decode_answer(work.run(wire.Task(work="build"), [descriptor], kit))
    small = wire.Task(work="build", limits=Limits(json_bytes=10))
    refused = wire.decode_answer(work.run(small, [descriptor], kit))
    os.close(descriptor)
    assert (answer.framework_version, answer.reader) == ("1.2", "keras_config")
    assert refused.error.extra["limit"] == "json_bytes"
