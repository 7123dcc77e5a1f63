"""Settings: every one from the environment, typed, and a bad value named."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.config import Limits, Settings, load


def test_defaults_need_no_environment() -> None:
    """An empty environment is a running installation."""
    assert load({}) == Settings()


def test_values_are_typed() -> None:
    """Paths, numbers, booleans and limits."""
    found = load({
        "WEIGHBRIDGE_DATA_DIR": "/data", "WEIGHBRIDGE_JOB_THREADS": "4", "WEIGHBRIDGE_ALLOW_UNCONFINED": "1",
        "WEIGHBRIDGE_STALL_SECONDS": "0.5", "WEIGHBRIDGE_LIMIT_SECONDS": "5", "OTHER": "x",
    })  # fmt: skip
    assert (found.data_dir, found.job_threads, found.allow_unconfined, found.stall_seconds) == (
        Path("/data"),
        4,
        True,
        0.5,
    )
    assert found.limits == Limits(seconds=5.0)


@pytest.mark.parametrize(
    "name", ["WEIGHBRIDGE_JOB_THREADS", "WEIGHBRIDGE_LIMIT_LAYERS", "WEIGHBRIDGE_ALLOW_UNCONFINED"]
)
def test_a_bad_value_is_named(name: str) -> None:
    """The operator reads which variable to mend."""
    with pytest.raises(ValueError, match=f"{name}='many'"):
        load({name: "many"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JOB_THREADS", "0"), ("JOB_THREADS", "-1"), ("STALL_SECONDS", "nan"), ("STALL_SECONDS", "inf"),
        ("LIMIT_SECONDS", "0"), ("LIMIT_LAYERS", "-5"), ("MAX_STORED_BYTES", "-1"), ("SHARE_PER_CALLER", "-0.5"),
        ("QUOTA_BYTES_PER_DAY", "-1"), ("MAX_CONCURRENT_UPLOADS", "0"),
    ],
)  # fmt: skip
def test_a_number_that_cannot_be_meant_is_refused(name: str, value: str) -> None:
    """Negative, no number at all, or nothing where nothing can be done with nothing."""
    with pytest.raises(ValueError, match=f"WEIGHBRIDGE_{name}='{value}': it must be a number"):
        load({f"WEIGHBRIDGE_{name}": value})


@pytest.mark.parametrize("name", ["MAX_STORED_BYTES", "KEEP_UPLOADS_SECONDS", "QUOTA_REQUESTS_PER_MINUTE"])
def test_nothing_is_no_limit_where_it_is_said_so(name: str) -> None:
    """As the settings' own descriptions say."""
    assert load({f"WEIGHBRIDGE_{name}": "0"})


def test_what_is_small_may_not_describe_as_much() -> None:
    """So that it is answered or refused fast; a large file has the limits as they are set, and none gets more."""
    small, large = Limits().for_upload(1000), Limits().for_upload(1 << 30)
    tight = Limits(layers=5, weights=6, json_bytes=7)
    assert (small.layers, small.weights, small.json_bytes) == (10_015, 10_015, (8 << 20) + 16_000)
    assert Limits().for_upload(2 << 20).layers == 10_000 + (1 << 14) + (1 << 16)
    assert large == Limits()
    assert tight.for_upload(1 << 20) == tight
