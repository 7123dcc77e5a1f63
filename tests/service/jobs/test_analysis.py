"""One analysis from descriptors to a report."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from service import wire
from service.config import Limits
from service.errors import MalformedFile, WorkerCrashed
from service.jobs.analysis import VERSION, Watch, Work, analyse, analyse_stored
from service.jobs.records import Part
from service.tree import Confinement
from tests.fakes import MODEL, FakeSandbox, _outcome


@pytest.fixture
def work(tmp_path):
    """`work("model")` is an upload of that text."""

    def make(text, parts=1):
        path = tmp_path / "upload"
        path.write_text(text)
        files = tuple(Part(name=f"{number}.pt", bytes=10, blake3="b", sha256="s") for number in range(parts))
        return Work(parts=files, descriptors=(os.open(path, os.O_RDONLY),) * parts, limits=Limits())

    return make


def test_a_file_is_read_statically_and_the_report_says_how(work):
    """Hashes, sizes and provenance are the parent's; everything else is the child's."""
    sandbox = FakeSandbox()
    report = analyse(sandbox, work("model"))
    assert sandbox.runs == [("static", ("0.pt",))]
    assert (report.model.sha256, report.model.blake3, report.model.bytes) == ("s", "b", 10)
    assert report.layers == MODEL.layers
    provenance = report.provenance
    assert (provenance.method, provenance.reader, provenance.version) == ("static", "fake", VERSION)
    assert (provenance.seconds, provenance.bytes_read, provenance.peak_memory_bytes) == (0.25, 5, 1000)
    assert provenance.confinement.confined


def test_several_files_have_no_single_hash(work):
    """Their sizes add up."""
    report = analyse(FakeSandbox(), work("model", parts=2))
    assert (report.model.sha256, report.model.blake3, report.model.bytes) == (None, None, 20)


def test_a_spec_goes_on_to_its_framework(work):
    """The second child gets the checked request and nothing of the upload."""
    sandbox = FakeSandbox()
    report = analyse(sandbox, work("spec"))
    assert sandbox.runs == [("static", ("0.pt",)), ("keras", ())]
    assert (report.provenance.method, report.provenance.framework_version) == ("framework", "9.9")
    assert report.provenance.seconds == 0.5


def test_statistics_are_taken_by_the_kind_that_reads_values(work):
    """One child reads and measures; who watches hears how far it is."""
    sandbox, heard = FakeSandbox(), []
    watch = Watch(cancelled=lambda: False, progress=heard.append)
    report = analyse(sandbox, msgspec.structs.replace(work("model"), stats=True), watch)
    assert sandbox.runs == [("values", ("0.pt",))]
    assert heard == [0.5]
    assert report.notes == ()


def test_an_architecture_has_no_statistics_and_the_report_says_so(work):
    """It is built as without; nothing is invented."""
    sandbox = FakeSandbox()
    report = analyse(sandbox, msgspec.structs.replace(work("spec"), stats=True))
    assert [kind for kind, _ in sandbox.runs] == ["values", "keras"]
    assert [str(note) for note in report.notes] == [
        "An architecture holds no values: there is nothing to take statistics of."
    ]


def test_the_request_is_sealed_and_read_only(work):
    """Nobody can change what a child was given, not even by the descriptor."""
    seen = []

    class Looking(FakeSandbox):
        def run(self, kind, task, descriptors, *, cancelled=None, progress=None):
            if task.work == "build":
                for flags in (os.O_RDWR, os.O_WRONLY):
                    again = os.open(f"/proc/self/fd/{descriptors[0]}", flags)
                    with pytest.raises(PermissionError):
                        os.write(again, b"x")
                    os.close(again)
                with pytest.raises(OSError, match="Bad file descriptor"):
                    os.write(descriptors[0], b"x")
                seen.append(wire.decode_build(os.pread(descriptors[0], 1000, 0)))
            return super().run(kind, task, descriptors, cancelled=cancelled, progress=progress)

    analyse(Looking(), work("spec"))
    assert seen[0].kind == "keras"


def test_confinement_is_that_of_the_weakest_child(work):
    """If one of the two was not confined the report does not claim it."""

    class Half(FakeSandbox):
        def confinement(self, kind):
            return Confinement(confined=kind == "static", layers={"seccomp": True, "landlock": kind == "static"})

    confinement = analyse(Half(), work("spec")).provenance.confinement
    assert confinement == Confinement(confined=False, layers={"seccomp": True, "landlock": False})


def test_the_child_s_error_is_raised(work):
    """Raised by the sandbox, or inside an answer."""
    with pytest.raises(MalformedFile):
        analyse(FakeSandbox(), work("bad"))

    class Answering(FakeSandbox):
        def _model(self, _):
            return _outcome(error=MalformedFile("x").info)

    with pytest.raises(MalformedFile):
        analyse(Answering(), work("model"))


def test_answers_that_make_no_report_are_not_believed(work):
    """A build request as the answer to a build, or totals left out."""

    class Endless(FakeSandbox):
        def run(self, kind, task, descriptors, *, cancelled=None, progress=None):
            return self._spec(None)

    with pytest.raises(WorkerCrashed):
        analyse(Endless(), work("spec"))

    class Careless(FakeSandbox):
        def _model(self, _):
            return _outcome(model=msgspec.structs.replace(MODEL, totals=None))

    with pytest.raises(WorkerCrashed) as caught:
        analyse(Careless(), work("model"))
    assert caught.value.info.extra == {"reason": "no totals"}


def test_descriptors_of_stored_files_are_closed_whatever_happens(blobs, add):
    """No descriptor is left open by a success or a failure."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for content in (b"model", b"bad"):
        job = add(content)
        try:
            analyse_stored(FakeSandbox(), blobs, job, Limits())
        except MalformedFile:
            assert content == b"bad"
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2  # the database's own
