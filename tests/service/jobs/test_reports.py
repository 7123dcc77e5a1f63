"""A report's bytes, and what is learned after the first answer."""

from __future__ import annotations

import os

import msgspec

from service.config import Limits
from service.jobs import catalogue, queue, reports
from service.jobs.analysis import Work, analyse
from tests.fakes import FakeSandbox


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
