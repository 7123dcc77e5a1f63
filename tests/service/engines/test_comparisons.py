"""Comparisons and statistics in the engine: run in their turn, told how far they are, ended like any other job."""

from __future__ import annotations

import functools
import time

import pytest
from sqlalchemy import update

from service.engines import retrying
from service.jobs import acceptance, catalogue, comparisons, reports
from service.jobs.acceptance import Terms
from service.jobs.identifiers import new_id
from service.jobs.records import ComparisonJob, Options
from service.jobs.tables import analyses
from tests.fakes import wait_for
from tests.service.engines.parts import accepted, running

STATS = Options(stats=True)


@pytest.fixture
def parts(tmp_path, sandbox):
    """A running engine with one thread for each lane: whatever can wait for ever, does."""
    with running(tmp_path, sandbox, job_threads=1, values_threads=1) as made:
        yield made


@pytest.fixture
def accept(parts):
    """`accept("model a")` adds an analysis of that text, for the engine to run at once if it can."""
    return functools.partial(accepted, parts)


@pytest.fixture
def compare(parts):
    """`compare(left, right, values=True)` adds a comparison of two analyses."""

    def do(left, right, *, values=False):
        new = ComparisonJob(
            id=new_id(), state="queued", created_at=time.time(), left_id=left.id, right_id=right.id, values=values
        )
        terms = Terms(max_queued=100, owner=parts.engine.ready_owner(new.lane))
        return acceptance.add_comparison(parts.database, parts.blobs, new, (), terms)[0]

    return do


def done(parts, job):
    """The job once it is finished."""
    return parts.engine.run(job, 10.0)


def answer(parts, job):
    return reports.decode_comparison(catalogue.report(parts.database, job.report_id))


@pytest.mark.parametrize("values", [False, True])
def test_finished_sides_are_compared_while_one_waits(parts, accept, compare, values):
    """As an analysis is made."""
    both = [done(parts, accept(text)) for text in ("model a", "model b")]
    found = done(parts, compare(*both, values=values))
    assert (found.state, found.values, found.progress) == ("succeeded", values, None)
    assert answer(parts, found).values == values


def test_a_comparison_accepted_first_waits_for_its_sides_and_keeps_no_thread(parts, sandbox, accept, compare):
    """With one thread: it is handed over before the sides are, and runs as soon as both are finished."""
    left, right = accept("hang left", owner=False), accept("hang right", owner=False)
    job = compare(left, right)
    for each in (job, left, right):
        parts.engine.run(each, 0.0)
    wait_for(lambda: sandbox.runs)
    assert parts.engine.wait(job.id, 0.0).state == "queued"
    sandbox.release.set()
    assert parts.engine.wait(job.id, 10.0).state == "succeeded"


def test_it_is_not_kept_waiting_by_a_stream_of_analyses(parts, sandbox, accept, compare):
    """Among jobs that are handed over without a pause, so that some always wait, it has its turn."""
    left, right = accept("hang left", owner=False), accept("hang right", owner=False)
    job = compare(left, right)
    stream = [accept(f"model {number}", owner=False) for number in range(100)]
    for each in (job, left, right, *stream[:10]):
        parts.engine.run(each, 0.0)
    sandbox.release.set()
    for ended, following in zip(stream, stream[10:], strict=False):
        parts.engine.wait(ended.id, 10.0)
        parts.engine.run(following, 0.0)
    assert comparisons.get(parts.database, job.id).state == "succeeded"


def test_short_work_does_not_wait_for_values(parts, sandbox, accept, compare):
    """A long reading of values has the only thread of its lane; analyses and comparisons of structure go on."""
    accepted_long = accept("hang", options=STATS)
    parts.engine.run(accepted_long, 0.0)
    wait_for(lambda: sandbox.runs)
    both = [done(parts, accept(text)) for text in ("model a", "model b")]
    assert done(parts, compare(*both)).state == "succeeded"
    assert parts.engine.wait(accepted_long.id, 0.0).state == "running"


def test_progress_is_seen_in_the_table(parts, sandbox, accept):
    """By every process, while it runs and no longer."""
    job = accept("hang", options=STATS)
    parts.engine.run(job, 0.0)
    wait_for(lambda: catalogue.get(parts.database, job.id).progress == 0.5)
    sandbox.release.set()
    found = parts.engine.wait(job.id, 10.0)
    assert (found.state, found.progress, found.options) == ("succeeded", None, STATS)


@pytest.mark.parametrize(("words", "code"), [(("bad", "model"), "left_failed"), (("model", "bad"), "right_failed")])
def test_a_side_that_fails_ends_it_with_side_and_reason(parts, accept, compare, words, code):
    """Without running anything."""
    both = [accept(word, owner=False) for word in words]
    job = compare(*both)
    for each in (*both, job):
        parts.engine.run(each, 0.0)
    error = parts.engine.wait(job.id, 10.0).error
    assert (error.code, error.extra["cause"]) == (code, "malformed_file")
    assert "The header is broken." in str(error.detail)


def test_deleting_a_side_ends_a_waiting_comparison(parts, sandbox, accept, compare):
    """At once, and clearly."""
    left, right = done(parts, accept("model a")), accept("hang")
    parts.engine.run(right, 0.0)
    job = compare(left, right)
    catalogue.remove(parts.database, parts.blobs, right.id)
    parts.engine.cancel(right.id)
    assert parts.engine.run(job, 10.0).error.code == "right_gone"


@pytest.mark.parametrize("told", [True, False])
def test_deleting_a_running_comparison_kills_its_child(parts, sandbox, accept, compare, told):
    """Told by the request, or noticed by the keeper."""
    left, right = done(parts, accept("model a")), done(parts, accept("model b"))
    with parts.database.writing() as connection:  # the sides are long done; only the comparison hangs
        connection.execute(update(analyses).values(cached=True))
    sandbox._model = sandbox._hang
    job = compare(left, right, values=True)
    parts.engine.run(job, 0.0)
    wait_for(lambda: ("values", ("a",)) in sandbox.runs)
    assert comparisons.remove(parts.database, job.id)
    if told:
        parts.engine.cancel(job.id)
    assert parts.engine.wait(job.id, 10.0).state == "cancelled"
    wait_for(lambda: sandbox.cancelled)


def test_a_comparison_of_a_dead_process_is_run_again(parts, accept, compare):
    """Its lease has expired."""
    both = [done(parts, accept(text)) for text in ("model a", "model b")]
    job = compare(*both)
    with parts.database.writing() as connection:
        dead = {"state": "running", "owner": "dead", "attempts": 1, "lease_until": 0.0}
        connection.execute(update(analyses).where(analyses.c.id == job.id).values(**dead))
    found = parts.engine.wait(job.id, 10.0)
    assert (found.state, found.attempts) == ("succeeded", 2)


def test_stopping_puts_a_running_comparison_back(parts, sandbox, accept, compare):
    """Not counted as an attempt."""
    both = [done(parts, accept(text)) for text in ("model a", "model b")]
    sandbox._model = sandbox._hang
    job = compare(*both, values=True)
    parts.engine.run(job, 0.0)
    wait_for(lambda: ("values", ("a",)) in sandbox.runs)
    parts.engine.stop(0.0)
    found = comparisons.get(parts.database, job.id)
    assert (found.state, found.attempts, found.progress) == ("queued", 0, None)


def test_a_worker_that_is_away_is_tried_again(parts, sandbox, accept, compare, monkeypatch):
    """As for analyses."""
    monkeypatch.setattr(retrying, "WORKER_PAUSE", 0.0)
    both = [done(parts, accept(text)) for text in ("away a", "model b")]
    sandbox.away = 2
    found = done(parts, compare(*both, values=True))
    assert (found.state, found.attempts) == ("succeeded", 1)


def test_statistics_of_a_finished_analysis_are_made_when_asked(parts, sandbox, accept):
    """Beside it, by the kind that reads values; a second time from store."""
    parent = done(parts, accept("model"))
    child = acceptance.derive(parts.database, parts.blobs, parent, STATS, Terms(max_queued=100))
    found = done(parts, child)
    assert (found.state, found.parent_id) == ("succeeded", parent.id)
    assert sandbox.runs == [("static", ("a",)), ("values", ("a",))]
    again = acceptance.derive(parts.database, parts.blobs, parent, STATS, Terms(max_queued=100))
    assert again.report_id == found.report_id


def test_deleting_an_analysis_kills_the_making_of_its_statistics(parts, sandbox, accept):
    """Who waits for them learns that they are gone."""
    parent = done(parts, accept("model"))
    sandbox._model = sandbox._hang
    child = acceptance.derive(parts.database, parts.blobs, parent, STATS, Terms(max_queued=100))
    parts.engine.run(child, 0.0)
    wait_for(lambda: len(sandbox.runs) == 2)
    catalogue.remove(parts.database, parts.blobs, parent.id)
    assert parts.engine.wait(child.id, 10.0) is None
    wait_for(lambda: sandbox.cancelled)


def test_sides_that_another_process_runs_are_waited_for(tmp_path, parts, sandbox, accept, compare):
    """Whichever notices their end first in the table runs it; who waits elsewhere is answered."""
    left, right = accept("hang left"), accept("hang right")
    for side in (left, right):
        parts.engine.run(side, 0.0)
    job = compare(left, right)
    with running(tmp_path, sandbox) as other:
        assert other.engine.run(job, 0.2).state == "queued"
        sandbox.release.set()
        assert other.engine.wait(job.id, 10.0).state == "succeeded"
