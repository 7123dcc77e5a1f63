"""A report's bytes, and what is learned after the first answer."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from service.config import Limits
from service.jobs import catalogue, queue, reports
from service.jobs.analysis import Work, analyse, opened
from tests.fakes import FakeSandbox, comparison

STORED = Path(__file__).parent / "stored"


def stored(database, job):
    return reports.decode(catalogue.report(database, catalogue.get(database, job.id).report_id))


def test_a_late_sha256_reaches_the_report_and_the_listing(database, blobs, add):
    """Filled in where it was missing, once; everything else stays as it was."""
    job = add(b"model", owner="me", sha256=False)
    work = Work(parts=job.parts, descriptors=(blobs.open(job.parts[0].blake3, 5),), limits=Limits())
    report = analyse(FakeSandbox(), work)
    os.close(work.descriptors[0])
    queue.succeed(database, "me", job, reports.encode(report), {})
    assert stored(database, job).model.sha256 is None
    for _ in range(2):
        reports.learn_sha256(database, job.parts[0].blake3, "f" * 64)
    expected = msgspec.structs.replace(report, model=msgspec.structs.replace(report.model, sha256="f" * 64))
    assert stored(database, job) == expected
    assert catalogue.get(database, job.id).parts[0].sha256 == "f" * 64


@pytest.mark.parametrize("name", ["report_1_0_digits", "report_1_0_digits_state_dict"])
def test_a_report_of_an_older_version_is_still_read(database, add, name):
    """Sentences that were plain text are messages that say it; what did not exist then is absent."""
    job = add(b"model", owner="me")
    written = (STORED / f"{name}.json").read_bytes()
    queue.succeed(database, "me", job, [written], {})
    report = stored(database, job)
    before = msgspec.json.decode(written)
    assert (report.schema_version, report.blocks, report.cost, report.rules) == ("1.0", (), None, ())
    assert [str(note) for note in report.notes] == before["notes"]
    explained = [(str(it.explanation.text), str(it.explanation.expert)) for it in report.layers if it.explanation]
    assert explained == [(it["explanation"]["text"], "") for it in before["layers"] if it["explanation"]]
    assert reports.decode(catalogue.report(database, catalogue.get(database, job.id).report_id)) == report


def test_a_comparison_is_stored_as_its_type(database, blobs, add):
    """What is encoded is decoded to an equal value, sentences and all."""
    job = add(b"model", owner="me")
    with opened(blobs, job.parts, verified=True) as descriptors:
        report = analyse(FakeSandbox(), Work(parts=job.parts, descriptors=descriptors, limits=Limits()))
    answer = comparison(report, report)
    queue.succeed(database, "me", job, reports.encode(answer), {})
    found = catalogue.report(database, catalogue.get(database, job.id).report_id)
    assert reports.decode_comparison(found) == answer
