"""Comparisons added, found and removed, and when the queue gives them out."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import update

from service.errors import ErrorInfo, LeftFailed, LeftGone, NotFound, Overloaded, RightFailed, RightGone
from service.jobs import acceptance, catalogue, comparisons, queue
from service.jobs.acceptance import Terms
from service.jobs.identifiers import new_id
from service.jobs.records import ComparisonJob
from service.jobs.tables import analyses
from service.language import msg

BROKEN = ErrorInfo(code="malformed_file", detail=msg("Broken."))


@pytest.fixture
def compare(database, blobs):
    """`compare(left, right, values=True, owner="me")` adds a comparison of two analyses."""

    def do(left, right, *, values=False, owner=None, max_queued=100):
        new = ComparisonJob(
            id=new_id(), state="queued", created_at=time.time(), left_id=left.id, right_id=right.id, values=values,
            request_id="r",
        )  # fmt: skip
        terms = Terms(max_queued=max_queued, owner=owner)
        return acceptance.add_comparison(database, blobs, new, (), terms)[0]

    return do


def finish(database, job, body=b'{"model":1}'):
    facts = {} if isinstance(job, ComparisonJob) else {"format": "fake", "framework": "keras"}
    queue.succeed(database, "me", job, [body], facts)
    return queue.get(database, job.id)


@pytest.fixture
def both(database, add):
    """Two finished analyses."""
    return [finish(database, add(content, owner="me")) for content in (b"left", b"right")]


def test_a_comparison_is_found_whole_and_is_no_analysis(database, both, compare):
    """Neither is found in the other's place, nor listed there."""
    added = compare(*both, values=True)
    assert comparisons.get(database, added.id) == added == queue.get(database, added.id)
    assert (added.state, added.values, added.final) == ("queued", True, False)
    assert catalogue.get(database, added.id) is None
    assert comparisons.get(database, both[0].id) is None
    assert len(catalogue.page(database, limit=10, before=None, filters={})) == 2


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_side_that_is_not_there_is_named(database, both, compare, side):
    """Where the request said it; a comparison is no side either."""
    missing = compare(*both)
    with pytest.raises(NotFound) as caught:
        compare(*((missing, both[1]) if side == "left" else (both[0], missing)))
    assert caught.value.info.pointer == side


def test_it_is_given_out_once_both_sides_are_finished(database, add, compare):
    """To any process, and at once; before that not even by its name."""
    left, right = add(b"left", owner="me"), add(b"right", owner="me")
    job = compare(left, right, owner="me")
    assert job.state == "queued"
    for side in (left, right):
        assert not queue.has_queued(database)
        assert queue.claim(database, "me", job.id) is None
        finish(database, side)
    assert queue.has_queued(database)
    assert not queue.has_queued(database, "values")
    assert queue.claim(database, "other").id == job.id


def test_finished_sides_let_it_run_from_the_start(database, both, compare):
    """Leased to who accepted it."""
    job = compare(*both, owner="me")
    assert (job.state, job.attempts) == ("running", 1)
    assert queue.still_mine(database, "me") == {job.id}
    assert queue.claim(database, "other") is None


def test_reading_numbers_is_work_for_another_lane(database, both, compare):
    """Nobody who asks for short work gets it."""
    job = compare(*both, values=True)
    assert queue.claim(database, "me") is None
    claimed = queue.claim(database, "me", lane="values")
    assert (claimed.id, claimed.values, claimed.progress) == (job.id, True, 0.0)
    queue.tell_progress(database, "other", {job.id: 0.5})
    assert comparisons.get(database, job.id).progress == 0.0
    queue.tell_progress(database, "me", {job.id: 0.5})
    assert comparisons.get(database, job.id).progress == 0.5
    queue.put_back(database, "me", claimed, pause=0.0)
    assert comparisons.get(database, job.id).progress is None


def test_the_same_comparison_is_answered_from_store(database, add, both, compare):
    """Of other analyses of the same content, too; not with the sides changed over, nor about numbers."""
    first = finish(database, compare(*both, owner="me"), b'{"comparison":1}')
    assert first.report_id is not None
    again = [add(content) for content in (b"left", b"right")]
    twin = compare(*again)
    assert (twin.state, twin.cached, twin.report_id) == ("succeeded", True, first.report_id)
    assert compare(*reversed(both)).state == "queued"
    assert compare(*both, values=True).state == "queued"


def test_its_answer_outlives_its_sides(database, blobs, both, compare):
    """And goes with the last comparison that has it."""
    job = finish(database, compare(*both, owner="me"), b'{"comparison":1}')
    for side in both:
        assert catalogue.remove(database, blobs, side.id)
    assert catalogue.report(database, comparisons.get(database, job.id).report_id).size == 16
    assert comparisons.remove(database, job.id)
    assert not comparisons.remove(database, job.id)
    assert catalogue.count_by_state(database) == {}


def test_one_that_is_not_finished_is_cancelled_first(database, both, compare):
    """Its row says so until it is removed, too."""
    job = compare(*both, owner="me")
    assert comparisons.remove(database, job.id)
    assert comparisons.get(database, job.id).state == "cancelled"
    assert queue.succeed(database, "me", job, [b"{}"], {}) == []
    assert comparisons.remove(database, job.id)
    assert comparisons.get(database, job.id) is None


def test_an_analysis_is_not_removed_as_a_comparison_nor_the_other_way(database, blobs, both, compare):
    """Each has its own resource."""
    job = compare(*both)
    assert not comparisons.remove(database, both[0].id)
    assert not catalogue.remove(database, blobs, job.id)


def test_waiting_comparisons_count_for_the_queue(database, both, compare):
    """Beyond its limit none is taken."""
    compare(*both)
    with pytest.raises(Overloaded):
        compare(*reversed(both), max_queued=1)


def test_the_sides_are_given_with_their_reports(database, both, compare):
    """In order."""
    left, right = comparisons.sides(database, compare(*both, owner="me"))
    assert [side.analysis.id for side in (left, right)] == [side.id for side in both]
    assert left.report == catalogue.report(database, both[0].report_id)


@pytest.mark.parametrize(("side", "kind"), [(0, LeftFailed), (1, RightFailed)])
def test_a_side_that_failed_is_named_with_its_reason(database, add, compare, side, kind):
    """It is final, so that the comparison does not wait for it for ever."""
    both = [add(content, owner="me") for content in (b"left", b"right")]
    job = compare(*both)
    queue.fail(database, "me", both[side], BROKEN)
    finish(database, both[1 - side])
    claimed = queue.claim(database, "me", job.id)
    with pytest.raises(kind, match="Broken") as caught:
        comparisons.sides(database, claimed)
    assert caught.value.info.extra == {"side": ("left", "right")[side], "cause": "malformed_file"}


@pytest.mark.parametrize("case", [(0, LeftGone, 1), (0, LeftGone, 2), (1, RightGone, 2)])
def test_a_side_that_was_deleted_is_named(database, blobs, add, compare, case):
    """Cancelled while it ran, or gone altogether."""
    side, kind, removals = case
    both = [add(content, owner="me") for content in (b"left", b"right")]
    job = compare(*both)
    for _ in range(removals):
        catalogue.remove(database, blobs, both[side].id)
    finish(database, both[1 - side])
    with pytest.raises(kind):
        comparisons.sides(database, queue.claim(database, "me", job.id))


def test_a_side_s_error_is_the_job_s_alone(database, both, compare):
    """A waiting twin has sides of its own."""
    job, twin = compare(*both, owner="me"), compare(*both)
    assert queue.fail(database, "me", job, BROKEN, alone=True) == [job.id]
    assert comparisons.get(database, twin.id).state == "queued"
    assert queue.claim(database, "me", twin.id) is not None


def test_one_whose_process_died_is_taken_up_again(database, both, compare):
    """Its lease expires like any other."""
    job = compare(*both, values=True, owner="dead")
    with database.writing() as connection:
        connection.execute(update(analyses).where(analyses.c.id == job.id).values(lease_until=0.0, progress=0.7))
    assert queue.recover(database, attempts=3) == []
    found = comparisons.get(database, job.id)
    assert (found.state, found.progress) == ("queued", None)
    assert queue.claim(database, "me", lane="values").attempts == 2
