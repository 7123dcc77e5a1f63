"""What a key has used, against what it may use."""

from __future__ import annotations

import pytest

from service.access import counters
from service.access.callers import Caller, Quotas
from service.access.counters import SharedCounts
from service.access.quotas import Meter, seconds_until
from service.errors import QuotaExceeded


@pytest.fixture
def clock(monkeypatch):
    """`clock(60)` lets a minute pass; it begins with a whole day's window."""
    now = [86400.0 * 20_000]
    monkeypatch.setattr(counters.time, "time", lambda: now[0])

    def passes(seconds):
        now[0] += seconds

    return passes


@pytest.fixture
def meter(tmp_path, clock):
    made = Meter(SharedCounts(tmp_path / "quotas.db"))
    yield made
    made.close()


def holder(name="key:1", **quotas):
    return Caller(account="ann", role="submitter", name=name, quotas=Quotas(**quotas))


def test_without_a_quota_nothing_is_counted(meter, tmp_path):
    """Nor written."""
    for what in ("requests", "submissions", "bytes"):
        assert meter.charge(holder(), what, 10**15) is None
    assert not (tmp_path / "quotas.db").exists()


def test_a_quota_is_told_and_then_held(meter, clock):
    """How much is left with each request; then a refusal with the limit's name, and when to come again."""
    ann = holder(requests_per_minute=3)
    assert [meter.charge(ann, "requests").remaining for _ in range(3)] == [2, 1, 0]
    with pytest.raises(QuotaExceeded) as caught:
        meter.charge(ann, "requests")
    facts = caught.value.info.extra
    assert (facts["limit"], facts["maximum"], facts["window"]) == ("quota_requests_per_minute", 3, 60)
    clock(facts["retry_after"] - 1)
    with pytest.raises(QuotaExceeded):
        meter.charge(ann, "requests")
    clock(1)
    assert meter.charge(ann, "requests").limit == 3


def test_each_key_has_its_own(meter):
    """Another's use is none of mine."""
    meter.charge(holder(requests_per_minute=1), "requests")
    assert meter.charge(holder("key:2", requests_per_minute=1), "requests").remaining == 0


def test_each_quota_is_counted_alone(meter):
    """A submission is no request, and bytes are neither."""
    ann = holder(requests_per_minute=1, submissions_per_minute=1, bytes_per_hour=10)
    for what, amount in (("requests", 1), ("submissions", 1), ("bytes", 10)):
        meter.charge(ann, what, amount)
        with pytest.raises(QuotaExceeded):
            meter.charge(ann, what, 1)


def test_bytes_are_held_against_the_hour_and_the_day(meter, clock):
    """The tightest is told. What was refused is not counted."""
    ann = holder(bytes_per_hour=100, bytes_per_day=150)
    assert meter.charge(ann, "bytes", 90).limit == 100
    with pytest.raises(QuotaExceeded, match="bytes an hour"):
        meter.charge(ann, "bytes", 20)
    assert meter.charge(ann, "bytes", 10).remaining == 0
    clock(2 * 3600)
    with pytest.raises(QuotaExceeded, match="bytes a day"):
        meter.charge(ann, "bytes", 60)
    assert meter.charge(ann, "bytes", 50).limit == 150


def test_checking_counts_nothing(meter):
    """It only says whether it would be too much."""
    ann = holder(bytes_per_hour=100)
    for _ in range(3):
        meter.check(ann, "bytes", 100)
    with pytest.raises(QuotaExceeded):
        meter.check(ann, "bytes", 101)
    assert meter.charge(ann, "bytes", 1).remaining == 99


def test_counts_that_cannot_be_written_refuse_nobody(tmp_path):
    """A full or broken disk must not lock everybody out."""
    meter = Meter(SharedCounts(tmp_path / "absent" / "quotas.db"))
    assert meter.charge(holder(requests_per_minute=1), "requests") is None
    meter.check(holder(bytes_per_hour=1), "bytes", 5)


@pytest.mark.parametrize(
    ("window", "amount", "expected"),
    [
        ((0, 30.0, 0, 90.0), 1, 0.0),
        ((0, 30.0, 10, 90.0), 1, 30.0 + 60.0 - 60.0),
        ((10, 60.0, 0, 120.0), 1, 0.0),
        ((10, 60.0, 5, 120.0), 1, 60.0 - 5 * 6.0),
        ((0, 30.0, 0, 90.0), 11, 60.0),
        ((0, 30.0, 10, 90.0), 10, 30.0 + 60.0 - 6.0),
    ],
)
def test_when_there_is_room_again(window, amount, expected):
    """Of a limit of 10 a minute; worked out by hand."""
    assert seconds_until(10, 60, window, amount) == pytest.approx(expected)
