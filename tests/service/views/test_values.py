"""Measured values and costs in the text, CSV and Markdown views, and the outline of a histogram."""

from __future__ import annotations

import csv
import io
import math
import re

import pytest

from service.enrich.pipeline import enrich
from service.language import msg
from service.measured import BINS, Histogram, WeightStatistics
from service.translation import LANGUAGES, speaker
from service.tree import Report
from service.values.measure import measure
from service.views import costs, csv_rows, markdown, text, values
from tests.builders import layer, model, report, weight
from tests.corpus import corpus_dir
from tests.service.values.opened import read, upload

SAY = speaker("en")
FIGURES = ("min", "max", "mean", "std", "l2", "zeros", "nan")
SEEN = WeightStatistics(
    status="complete", count=9, finite=4, nan=2, positive_infinity=1, negative_infinity=2, zeros=1234567,
    negative=1, denormal=0, min=-0.12345678, max=1e-30, mean=-0.0, std=12345.678, l1=1.0, l2=0.1, linf=1.0,
)  # fmt: skip
UNREAD = WeightStatistics(status="unavailable", reason=msg("Its shape is not known."))


def small(*weights, framework: str = "torch", path: str = "stem.conv") -> Report:
    """A layer with these weights."""
    return report(enrich(model(framework, layer(path, "custom", *weights, type="Own"))))


@pytest.fixture(scope="module", params=["keras_files/trained.keras", "torch_files/net_state.pt"])
def measured(request) -> Report:
    """A real file, measured."""
    corpus, name = request.param.split("/")
    given = upload(corpus_dir(corpus) / name)
    return report(enrich(measure(given, read(given), lambda _done, _total: None)))


def test_text_lists_the_values_of_every_weight(measured: Report) -> None:
    """A line a weight under its full name, with a figure or count for each heading."""
    section = text.render(measured, SAY).partition("\nValues:\n")[2].partition("\n\n")[0].splitlines()
    assert section[0].split() == ["Weight", "Min", "Max", "Mean", "Std", "Zeros", "NaN", "±∞"]
    held = [one.statistics for found in measured.layers for one in found.weights]
    assert [tuple(line.split()[1:]) for line in section[1:]] == [values.cells(one) for one in held]
    assert len({len(line) for line in section}) == 1


def test_text_and_markdown_without_values_have_no_such_section() -> None:
    """A report that was made without reading values says nothing of them."""
    for view in (text, markdown):
        assert "Values" not in view.render(small(weight("weight", (2,))), SAY)


def test_figures_are_short_and_true() -> None:
    """Four digits, no minus before a zero; counts in full; infinite values of both signs together."""
    assert values.cells(SEEN) == ("-0.1235", "1e-30", "0", "1.235e+04", "1,234,567", "2", "3")
    assert values.cells(UNREAD) == ("?",) * 7


@pytest.mark.parametrize(
    ("framework", "path", "name"),
    [("torch", "stem.conv", "stem.conv.weight"), ("keras", "stem/conv", "stem/conv/weight"), ("torch", ".", "weight")],
)
def test_weights_have_full_names(framework: str, path: str, name: str) -> None:
    """In the words of the framework; a weight of the model itself has its own name only."""
    shown = small(weight("weight", (2,), statistics=SEEN), framework=framework, path=path)
    assert [line.name for line in values.lines(shown)] == [name]
    assert f"\n  {name} " in text.render(shown, SAY)


def test_a_reason_stands_where_values_could_not_be_read() -> None:
    """In text and Markdown; the others keep their figures."""
    shown = small(weight("a", (2,), statistics=UNREAD), weight("b", (2,), statistics=SEEN))
    assert "  stem.conv.a  Its shape is not known.\n" in text.render(shown, SAY)
    assert "| stem.conv.a | Its shape is not known. |  |" in markdown.render(shown, SAY)
    assert "| stem.conv.b | \\-0.1235 | 1e\\-30 | 0 |" in markdown.render(shown, SAY)


def test_long_lists_are_cut_and_folded() -> None:
    """The first thousand weights are listed, then how many more there are; Markdown folds a long table away."""
    shown = small(*(weight(f"w{index}", (2,), statistics=SEEN) for index in range(1003)))
    for view in (text, markdown):
        rendered = view.render(shown, SAY)
        assert rendered.count("1.235e") == values.MAX_LINES == 1000
        assert "The values of 3 more weights are in the JSON and CSV reports." in rendered
    assert "<summary>1,003 weights</summary>" in markdown.render(shown, SAY)
    assert len(list(csv.reader(io.StringIO(csv_rows.render(shown, SAY))))) == 1004


def test_csv_ends_with_what_was_measured(measured: Report) -> None:
    """Columns at the end, in full precision: reading them back gives the numbers of the report."""
    found = list(csv.DictReader(io.StringIO(csv_rows.render(measured, SAY))))
    held = [one.statistics for layer in measured.layers for one in layer.weights]
    assert tuple(found[0])[-8:] == (*FIGURES, "inf")
    for row, seen in zip(found, held, strict=False):
        assert [float(row[name]) for name in FIGURES] == [getattr(seen, name) for name in FIGURES]
        assert int(row["inf"]) == seen.positive_infinity + seen.negative_infinity


def test_csv_is_empty_where_nothing_was_measured() -> None:
    """Neither a zero nor a question mark, which a data frame would take for data."""
    shown = small(weight("a", (2,)), weight("b", (2,), statistics=UNREAD))
    for row in csv.DictReader(io.StringIO(csv_rows.render(shown, SAY))):
        assert {row[name] for name in (*FIGURES, "inf")} == {""}


def outline(path: str) -> list[float]:
    """The height of each unit along an outline, from its own commands."""
    assert re.fullmatch(r"M0 20(V[\d.]+|h\d+)*z", path), path
    heights: list[float] = []
    top = 20.0
    for command, number in re.findall(r"([Vh])([\d.]+)", path):
        if command == "V":
            top = float(number)
        else:
            heights += [20 - top] * int(number)
    assert top == 20
    return heights


@pytest.mark.parametrize(
    "counts",
    [
        [0] * BINS, [1] * BINS, list(range(BINS)), [5, *[0] * 62, 1], [0] * 31 + [10**12, 1] + [0] * 31,
        [0, 7] * 32, [3] * 32 + [0] * 32,
    ],
)  # fmt: skip
def test_the_outline_of_a_histogram(counts: list[int]) -> None:
    """Each bin is one unit wide and as high as its share of the fullest; one that holds anything can be seen."""
    heights = outline(values.path(Histogram(span=1.0, counts=tuple(counts))))
    assert len(heights) == BINS
    for count, height in zip(counts, heights, strict=True):
        wanted = 0 if count == 0 else max(0.6, 20 * count / max(counts))
        assert math.isclose(height, wanted, abs_tol=0.051)


@pytest.mark.parametrize("language", LANGUAGES)
def test_partial_costs_say_why(language: str) -> None:
    """Text and Markdown name the numbers and the sentence, once; a complete cost says nothing."""
    given = upload(corpus_dir("torch_files") / "net_state.pt")
    shown, say = report(enrich(read(given))), speaker(language)
    assert shown.cost is not None
    assert shown.cost.macs.status == "partial"
    for view in (text, markdown):
        rendered = view.render(shown, say).replace("\\", "")
        assert say(costs.PARTIAL) in rendered
        for reason in shown.cost.macs.assumptions:
            assert rendered.count(say(reason)) == 1
    given = upload(corpus_dir("keras_files") / "trained.keras")
    complete = report(enrich(read(given)))
    assert say(costs.PARTIAL) not in text.render(complete, say) + markdown.render(complete, say)


def test_every_part_of_memory_has_a_name(measured: Report) -> None:
    """No identifier reaches a reader."""
    assert measured.cost is not None
    assert {part for memory in measured.cost.memory for part in memory.parts} <= costs.PARTS.keys()
