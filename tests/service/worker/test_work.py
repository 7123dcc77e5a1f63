"""What a child answers, without a process around it."""

from __future__ import annotations

import os
from types import SimpleNamespace

import msgspec
import pytest

from service import wire
from service.config import Limits
from service.errors import LimitExceeded, MalformedFile
from service.formats import BuildRequest, Format
from service.frames import AT_ONCE, Received
from service.language import msg
from service.tree import Bytes, Confinement, Model, ModelInfo, Provenance, Report, Totals
from service.worker import work
from service.worker.kit import Kit
from service.worker.telling import nobody
from service.worker.uploads import read
from tests import fakes
from tests.builders import layer, weight

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


def sent(task, files, kit, tell=nobody):
    """What is written into the pipe."""
    pieces = []
    work.run(task, files, kit, pieces.append, tell)
    return b"".join(pieces)


def ran(task, files, kit, tell=nobody):
    """The answer as the other side has it."""
    received = Received(1 << 30)
    received.take(sent(task, files, kit, tell))
    return received.answer()


def answer_of(answer, upload, **limits):
    """What comes back when the only reader answers so."""
    task = wire.Task(work="read", parts=("file",), limits=Limits(**limits))
    return ran(task, [upload], Kit((reader(answer),), None, read=read))


def test_a_model_is_enriched_and_attributed(upload):
    """Totals are there, the format that read it, and the bytes that were read: all six, once, of so small a file."""
    answer = answer_of(MODEL, upload)
    assert answer.model.totals.parameters == 0
    assert (answer.reader, answer.bytes_read) == ("known", 6)


def test_a_request_to_build_is_passed_on(upload):
    """As data, unchanged."""
    request = BuildRequest(kind="torch", dialect="layer_list", spec={"layers": []})
    assert answer_of(request, upload).build == request


def test_no_reader_is_an_error_of_the_input(upload):
    """With what the content looks like."""
    answer = ran(wire.Task(work="read", parts=("file",)), [upload], Kit((), None, read=read))
    assert answer.error.code == "unknown_format"


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
    full = sent(wire.Task(work="read", parts=("file",)), [upload], Kit((reader(MODEL),), None, read=read))
    assert answer_of(MODEL, upload, answer_bytes=len(full) + 100).error is None
    assert answer_of(MODEL, upload, answer_bytes=100).error.extra["limit"] == "answer_bytes"


def test_many_layers_are_sent_ahead_of_the_answer(upload):
    """And are the same layers; the answer itself has none."""
    layers = tuple(layer(f"l{at}", "linear", weight("kernel", (2, at + 1))) for at in range(AT_ONCE + 1))
    model = msgspec.structs.replace(MODEL, layers=layers)
    task, kit = wire.Task(work="read", parts=("file",)), Kit((reader(model),), None, read=read)
    pieces = []
    work.run(task, [upload], kit, pieces.append)
    assert len(pieces) == 5
    assert wire.decode_answer(pieces[-1]).model.layers == ()
    found = ran(task, [upload], kit).model
    assert [one.path for one in found.layers] == [one.path for one in layers]
    assert [one.counts.parameters for one in found.layers] == [2 * at + 2 for at in range(AT_ONCE + 1)]
    assert found.totals.parameters == sum(2 * at + 2 for at in range(AT_ONCE + 1))


def test_an_error_after_layers_were_sent_is_the_answer(upload, monkeypatch):
    """What came before does not matter then; too many bytes are such an error too."""
    layers = tuple(layer(f"l{at}", "linear", weight("kernel", (2, 3))) for at in range(3 * AT_ONCE))
    model = msgspec.structs.replace(MODEL, layers=layers)
    task, kit = wire.Task(work="read", parts=("file",)), Kit((reader(model),), None, read=read)
    size = len(sent(task, [upload], kit))
    assert answer_of(model, upload, answer_bytes=size + 100).error is None
    for most in (size - 1000, size // 2, 1):
        assert answer_of(model, upload, answer_bytes=most).error.extra["limit"] == "answer_bytes"
    monkeypatch.setattr("service.enrich.pipeline.findings.add_findings", refuse)
    assert answer_of(model, upload).error.code == "malformed_file"


def refuse(_):
    raise MalformedFile("Late.")


def test_a_build_names_its_framework(tmp_path):
    """The version that built it stands in the answer."""
    (tmp_path / "request").write_bytes(wire.encode(BuildRequest(kind="keras", dialect="keras_config", spec={})))
    descriptor = os.open(tmp_path / "request", os.O_RDONLY)
    kit = Kit((), builder(MODEL))
    answer = ran(wire.Task(work="build"), [descriptor], kit)
    small = wire.Task(work="build", limits=Limits(json_bytes=10))
    refused = ran(small, [descriptor], kit)
    os.close(descriptor)
    assert (answer.framework_version, answer.reader) == ("1.2", "keras_config")
    assert refused.error.extra["limit"] == "json_bytes"


VALUES = SimpleNamespace(
    measure=lambda upload, model, progress: progress(len(upload.parts), 4) or noted(model, "measured"),
    open_values=lambda upload, report: (tuple(upload.parts), upload, report.model.name),
    pair=lambda left, right: (left, right),
)


def noted(model, text):
    return msgspec.structs.replace(model, notes=(msg(text),))


def report_of(name, *weights):
    """A stored report of a model with one layer."""
    sizes = dict.fromkeys(("total", "trainable", "frozen", "statistics", "unknown", "optimizer", "ema", "other"), 0)
    totals = dict.fromkeys((*sizes, "parameters", "parameters_with_repeats"), 0)
    del totals["total"]
    confinement = Confinement(confined=True, layers={})
    return Report(
        schema_version="1", model=ModelInfo(format="known", framework="keras", name=name), complete=True,
        layers=(layer("d", "linear", *weights),), totals=Totals(**totals, bytes=Bytes(**sizes, by_dtype={})),
        counted_as=(), states=(), security=(), findings=(), notes=(),
        provenance=Provenance(
            reader="known", method="static", version="1", seconds=0, bytes_read=1, confinement=confinement
        ),
    )  # fmt: skip


@pytest.fixture
def reports(tmp_path):
    """Descriptors of two stored reports, whose weights have 24 bytes together."""
    weights = [weight("kernel", (2, 3)), weight("kernel", (2, 3))]
    found = []
    for name, given in zip(("left", "right"), weights, strict=True):
        (tmp_path / name).write_bytes(wire.encode(report_of(name, msgspec.structs.replace(given, bytes=12))))
        found.append(os.open(tmp_path / name, os.O_RDONLY))
    yield found
    for descriptor in found:
        os.close(descriptor)


def compared(seen):
    """A way to compare that keeps what it was given and looks at some values."""

    def compare(left, right, pair):
        seen.append((left.model.name, right.model.name, pair))
        for _, upload, _ in pair or ():
            upload.meter.add_values(6)
            upload.single.read_at(0, 6)
        return fakes.comparison(left, right, values=pair is not None)

    return compare


def test_values_are_measured_between_reading_and_enriching(upload):
    """By the tools of the kind, which tell how far they are; what is enriched has been measured."""
    told = []
    kit = Kit((reader(MODEL),), None, None, VALUES, read)
    task = wire.Task(work="measure", parts=("file",))
    answer = ran(task, [upload], kit, lambda *share: told.append(share))
    assert [str(note) for note in answer.model.notes] == ["measured"]
    assert answer.model.totals is not None
    assert told == [(1, 4)]


def test_a_spec_is_not_measured(upload):
    """It is passed on to be built."""
    request = BuildRequest(kind="torch", dialect="layer_list", spec={})
    kit = Kit((reader(request),), None, None, VALUES, read)
    assert ran(wire.Task(work="measure", parts=("file",)), [upload], kit).build == request


def test_a_small_upload_may_not_describe_as_much(upload):
    """Limits of what is described follow the upload's size; a comparison, which reads reports, keeps them."""
    seen = []
    looking = reader(MODEL)
    looking.read = lambda given: seen.append(given.limits) or MODEL
    work.run(wire.Task(work="read", parts=("file",)), [upload], Kit((looking,), None, None, None, read), lambda _: None)
    assert seen[0] == Limits().for_upload(os.fstat(upload).st_size)
    assert seen[0].layers < Limits().layers


def test_reading_values_has_a_limit_of_its_own(upload):
    """That for structure does not hold then, and holds otherwise."""
    kit = Kit((reader(MODEL),), None, None, VALUES, read)
    for name, structure, values, code in (
        ("read", 2, 9, "read_bytes"),
        ("measure", 2, 9, None),
        ("measure", 9, 2, "read_bytes"),
    ):
        limits = Limits(read_bytes=structure, values_bytes=values)
        error = ran(wire.Task(work=name, parts=("file",), limits=limits), [upload], kit).error
        assert (error and error.extra["limit"]) == code


def test_structure_is_compared_from_the_reports_alone(reports):
    """No values are opened; nothing of an upload was read."""
    seen = []
    answer = ran(wire.Task(work="compare"), reports, Kit((), None, compared(seen)))
    assert seen == [("left", "right", None)]
    assert (answer.comparison.left.name, answer.comparison.values, answer.bytes_read) == ("left", False, 0)


def test_numbers_are_compared_with_each_side_s_own_files(reports, upload):
    """In order; progress is the share of both sides' values."""
    seen, told = [], []
    task = wire.Task(work="compare", values=True, parts=("a",), right_parts=("b", "c"))
    kit = Kit((), None, compared(seen), VALUES)
    small = wire.Task(work="compare", values=True, parts=("a",), right_parts=("b",), limits=Limits(values_bytes=11))
    ran(task, [*reports, upload, upload, upload], kit)
    (_, _, (left, right)) = seen[0]
    assert (left[0], left[2], right[0], right[2]) == (("a",), "left", ("b", "c"), "right")
    fewer = msgspec.structs.replace(task, right_parts=("b",))
    answer = ran(fewer, [*reports, upload, upload], kit, lambda *share: told.append(share))
    assert answer.comparison.values
    assert answer.bytes_read == 12
    assert told == [(6, 24), (12, 24)]
    assert ran(small, [*reports, upload, upload], kit).error.code == "limit_exceeded"


@pytest.mark.parametrize("task", [wire.Task(work="measure", parts=("file",)), wire.Task(work="build")])
def test_a_task_for_another_kind_is_a_bug_of_ours(upload, task, tmp_path):
    """Answered as such, not guessed at."""
    (tmp_path / "request").write_bytes(wire.encode(BuildRequest(kind="keras", dialect="keras_config", spec={})))
    descriptor = os.open(tmp_path / "request", os.O_RDONLY)
    error = ran(task, [descriptor], Kit((reader(MODEL),), None, read=read)).error
    os.close(descriptor)
    assert (error.code, error.extra) == ("worker_crashed", {"exception": "LookupError"})
