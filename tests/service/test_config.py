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


def test_what_is_small_may_not_describe_as_much() -> None:
    """So that it is answered or refused fast; a large file has the limits as they are set, and none gets more."""
    small, large = Limits().for_upload(1000), Limits().for_upload(1 << 30)
    tight = Limits(layers=5, weights=6, json_bytes=7)
    assert (small.layers, small.weights, small.json_bytes) == (10_015, 10_015, (8 << 20) + 16_000)
    assert Limits().for_upload(2 << 20).layers == 10_000 + (1 << 14) + (1 << 16)
    assert large == Limits()
    assert tight.for_upload(1 << 20) == tight
