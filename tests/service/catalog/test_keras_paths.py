"""Paths occur once each, and numbering them costs the same for the hundred-thousandth."""

from __future__ import annotations

from service.catalog.keras_paths import Paths


def test_repeated_names_are_numbered() -> None:
    """The first keeps its name; others are numbered from 2, around names that look numbered already."""
    paths = Paths()
    assert [paths.take(None, name) for name in ("dense", "dense", "dense~2", "dense", "dense~2")] == [
        "dense",
        "dense~2",
        "dense~2~2",
        "dense~3",
        "dense~2~3",
    ]


def test_places_are_apart() -> None:
    """The same name in two parents is no repetition, but one that is taken already is."""
    paths = Paths(["a/x"])
    assert [paths.take(parent, "x") for parent in (None, "a", "b")] == ["x", "a/x~2", "b/x"]


def test_many_equal_names_cost_no_search() -> None:
    """100,000 layers of one name are numbered without trying each number anew."""
    paths = Paths()
    assert [paths.take(None, "x") for _ in range(100_000)][-1] == "x~100000"
