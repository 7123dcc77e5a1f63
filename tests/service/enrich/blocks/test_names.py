"""Patterns and stems of names, and the runs that are found among marks."""

from __future__ import annotations

import pytest

from service.enrich.blocks import names, titles
from service.enrich.blocks.repeats import Run, runs
from service.vocabulary import KINDS


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["conv3_block2", "conv3_block3", "conv3_block4"], "conv3_block{2..4}"),
        (["layer.0", "layer.1"], "layer.{0..1}"),
        (["net.0", "net.3", "net.6"], "net.{0,3,6}"),
        (["net.0", "net.3", "net.6", "net.9", "net.12"], "net.{0,3..12}"),
        (["block4b", "block4c"], "block4{b..c}"),
        (["dense", "dense_1", "dense_2"], "dense{,_1.._2}"),
        (["left", "right"], "left … right"),
        (["a1b1", "a2b2"], "a1b1 … a2b2"),
        (["same", "same"], "same"),
        (["x99999999999999999999", "x99999999999999999998"], "x{99999999999999999999,99999999999999999998}"),
    ],
)
def test_one_name_for_several(given: list[str], wanted: str) -> None:
    """What differs stands in braces."""
    assert names.pattern(given) == wanted


@pytest.mark.parametrize(
    ("name", "type_", "made_up"),
    [
        ("conv2d_3", "Conv2D", True), ("re_lu", "ReLU", True), ("batch_normalization_12", "BatchNormalization", True),
        ("conv1_bn", "BatchNormalization", False), ("dense_head", "Dense", False), ("dense", None, False),
    ],
)  # fmt: skip
def test_names_that_a_framework_makes_up(name: str, type_: str | None, made_up: bool) -> None:
    """Class in snake case, with or without a number."""
    assert names.is_made_up(name, type_) is made_up


@pytest.mark.parametrize(
    ("marks", "wanted"),
    [
        ("abababc", [Run(0, 2, 3)]),
        ("aab" * 3, [Run(0, 3, 3)]),
        ("abc", []),
        ("xaaay", [Run(1, 1, 3)]),
        ("ababcdcd", [Run(0, 2, 2), Run(4, 2, 2)]),
        ("", []),
    ],
)
def test_runs(marks: str, wanted: list[Run]) -> None:
    """The word that covers most, from left to right."""
    assert list(runs([ord(mark) for mark in marks])) == wanted


def test_every_kind_has_a_word() -> None:
    """No kind of the vocabulary is called unknown in a title."""
    assert titles.WORDS.keys() == KINDS.keys()
