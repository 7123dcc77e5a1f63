"""One comparison from two stored reports to its answer."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from service.config import Limits
from service.errors import LeftGone, MalformedFile, OutdatedReport, RightGone, WorkerCrashed
from service.jobs import acceptance, comparisons, queue, reports
from service.jobs.acceptance import Terms
from service.jobs.analysis import UNWATCHED, Watch, analyse_stored
from service.jobs.comparing import compare_stored
from service.jobs.identifiers import new_id
from service.jobs.records import ComparisonJob
from tests.fakes import FakeSandbox, _outcome

STORED = Path(__file__).parent / "stored"
TERMS = Terms(max_queued=100, owner="me")


@pytest.fixture
def job(database, blobs, add):
    """`job("model a", "model b", values=True)` is a running comparison of two finished analyses."""

    def do(left, right, *, values=False):
        sides = []
        for text in (left, right):
            side = add(text.encode(), owner="me")
            report = analyse_stored(FakeSandbox(), blobs, add(b"model"), Limits())
            queue.succeed(database, "me", side, reports.encode(report), {})
            sides.append(side)
        new = ComparisonJob(
            id=new_id(), state="queued", created_at=time.time(), left_id=sides[0].id, right_id=sides[1].id,
            values=values,
        )  # fmt: skip
        return acceptance.add_comparison(database, blobs, new, (), TERMS)[0]

    return do


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_structure_is_compared_without_the_uploads(database, blobs, job):
    """By the kind that has no NumPy, which gets the two reports and nothing else."""
    sandbox, made = FakeSandbox(), job("model a", "model b")
    before = descriptors()
    answer = compare_stored(sandbox, database, blobs, made, Limits(), UNWATCHED)
    assert (answer.left.name, answer.right.format, answer.values) == ("tiny", "fake", False)
    assert sandbox.runs == [("static", ())]
    assert descriptors() <= before


def test_numbers_are_compared_with_the_uploads(database, blobs, job):
    """By the kind that reads values; who watches hears how far it is."""
    sandbox, heard = FakeSandbox(), []
    watch = Watch(cancelled=lambda: False, progress=heard.append)
    answer = compare_stored(sandbox, database, blobs, job("model a", "model b", values=True), Limits(), watch)
    assert answer.values
    assert sandbox.runs == [("values", ("a.pt",))]
    assert heard == [0.25]


@pytest.mark.parametrize(("side", "kind"), [("left", LeftGone), ("right", RightGone)])
def test_an_upload_that_is_gone_is_named_by_its_side(database, blobs, job, side, kind):
    """Only numbers need it; no descriptor stays open."""
    for values in (True, False):
        made = job(f"model a {values}", f"model b {values}", values=values)
        left, right = comparisons.sides(database, made)
        blobs.path((left if side == "left" else right).analysis.parts[0].blake3).unlink()
        before = descriptors()
        if values:
            with pytest.raises(kind):
                compare_stored(FakeSandbox(), database, blobs, made, Limits(), UNWATCHED)
        else:
            compare_stored(FakeSandbox(), database, blobs, made, Limits(), UNWATCHED)
        assert descriptors() <= before


def test_errors_of_the_child_are_raised(database, blobs, job):
    """Its own, and an answer that holds no comparison."""
    with pytest.raises(MalformedFile):
        compare_stored(FakeSandbox(), database, blobs, job("bad a", "model b", values=True), Limits(), UNWATCHED)

    class Careless(FakeSandbox):
        def _compared(self, *_):
            return _outcome(probes={})

    with pytest.raises(WorkerCrashed):
        compare_stored(Careless(), database, blobs, job("model a", "model c"), Limits(), UNWATCHED)


def test_a_report_that_does_not_lead_to_its_values_is_refused(database, blobs, add, job):
    """One of schema 1.0 does not tell strides: numbers read by it would be wrong. Its structure is compared."""
    old = add(b"old", owner="me")
    queue.succeed(database, "me", old, [(STORED / "report_1_0_digits_state_dict.json").read_bytes()], {})
    right = comparisons.sides(database, job("model a", "model b"))[1].analysis
    for values in (False, True):
        new = ComparisonJob(
            id=new_id(), state="queued", created_at=time.time(), left_id=old.id, right_id=right.id, values=values
        )
        made, _ = acceptance.add_comparison(database, blobs, new, (), TERMS)
        if values:
            with pytest.raises(OutdatedReport):
                compare_stored(FakeSandbox(), database, blobs, made, Limits(), UNWATCHED)
        else:
            assert compare_stored(FakeSandbox(), database, blobs, made, Limits(), UNWATCHED).left.framework == "torch"
