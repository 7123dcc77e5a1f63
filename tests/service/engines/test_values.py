"""From stored uploads to statistics and proven conversions, through the real sandbox with every layer on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from service.config import Settings
from service.jobs import acceptance, catalogue, reports
from service.jobs.acceptance import Terms
from service.jobs.identifiers import new_id
from service.jobs.records import ComparisonJob, Options
from service.sandbox import launch
from service.sandbox.client import Sandbox
from tests.fakes import FakeSandbox
from tests.service.engines.parts import accepted_file, running

SAMPLES = Path(__file__).parents[3] / "docs" / "samples"
STATS = Options(stats=True)


class Real(Sandbox):
    """The real one, with what the parts around it ask of a fake."""

    release = FakeSandbox().release


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A running engine over real children of the kinds static and values."""
    folder = tmp_path_factory.mktemp("data")
    with (
        launch.running(Settings(), folder / "run", ["static", "values"]),
        running(folder, Real(folder / "run")) as made,
    ):
        yield made


@pytest.fixture
def analysed(parts):
    """`analysed("digits.keras")` is the finished analysis of a sample."""
    return lambda name, **given: parts.engine.run(accepted_file(parts, SAMPLES / name, **given), 60.0)


def compared(parts, left, right, *, values):
    new = ComparisonJob(
        id=new_id(), state="queued", created_at=time.time(), left_id=left.id, right_id=right.id, values=values
    )
    made, _ = acceptance.add_comparison(parts.database, parts.blobs, new, (), Terms(max_queued=10))
    found = parts.engine.run(made, 60.0)
    assert found.error is None
    return reports.decode_comparison(catalogue.report(parts.database, found.report_id))


def report_of(parts, found):
    assert found.error is None
    return reports.decode(catalogue.report(parts.database, found.report_id))


@pytest.mark.parametrize("name", ["digits.keras", "digits.h5", "digits_module.pt", "digits.pt2"])
def test_statistics_are_made_on_demand_behind_the_wall(parts, analysed, name):
    """The kind starts on first need; every weight is measured, and else the report is that of the structure."""
    parent = analysed(name)
    child = acceptance.derive(parts.database, parts.blobs, parent, STATS, Terms(max_queued=10))
    measured = report_of(parts, parts.engine.run(child, 60.0))
    plain = report_of(parts, parent)
    weights = [weight for layer in measured.layers for weight in layer.weights]
    assert weights
    assert all(weight.statistics.status == "complete" for weight in weights)
    assert [weight.statistics for layer in plain.layers for weight in layer.weights] == [None] * len(weights)
    assert measured.totals == plain.totals
    assert measured.provenance.confinement.confined
    assert measured.provenance.peak_memory_bytes < 200 << 20


def test_an_analysis_may_ask_for_statistics_at_once(analysed):
    """One job."""
    found = analysed("digits_state_dict.pt", options=STATS)
    assert (found.state, found.format) == ("succeeded", "torch_zip")


def test_two_files_of_one_network_are_compared(parts, analysed):
    """By structure in one kind, with numbers in the other."""
    left, right = analysed("digits.keras"), analysed("digits.h5")
    structure = compared(parts, left, right, values=False)
    assert (structure.gap, structure.unexplained, structure.values) == (0, 0, False)
    proven = compared(parts, left, right, values=True)
    differences = [pair.difference for layer in proven.layers for pair in layer.weights]
    assert proven.values
    assert {difference.verdict for difference in differences} == {"equal"}


def test_keras_and_pytorch_are_compared(parts, analysed):
    """The moving statistics are the whole gap."""
    found = compared(parts, analysed("digits.keras"), analysed("digits_module.pt"), values=True)
    assert (found.gap, found.unexplained) == (-16, 0)
