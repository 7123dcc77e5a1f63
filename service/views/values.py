"""What the views show of measured values: a line a weight, and a histogram as a path; knows statistics, no layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from service.frameworks import separator_of
from service.language import Message, msg, msgn, verbatim
from service.measured import Histogram, WeightStatistics
from service.tree import Layer, Report, Weight
from service.views.rows import count_text

MAX_LINES = 1000
"""Most weights whose values the text and Markdown views list; CSV and JSON hold all."""
HEIGHT = 20
"""Of a histogram's path; it is as wide as it has bins."""
_LEAST = 0.6
"""Height of a bin that holds anything: a few values far out are to be seen."""

VALUES = msg("Values")
HEADINGS = (
    msg("Weight"), msg("Min"), msg("Max"), msg("Mean"), msg("Std"), msg("Zeros"), verbatim("NaN"), verbatim("±∞"),
)  # fmt: skip


class Line(NamedTuple):
    """One measured weight: its full name, a cell for each further heading, and why there is none, if there is not."""

    name: str
    cells: tuple[str, ...]
    reason: Message | None


def lines(report: Report) -> Iterator[Line]:
    """A line for each weight that was measured, or could not be."""
    for layer in report.layers:
        for weight in layer.weights:
            if weight.statistics is not None:
                name = full_name(layer, weight, report.model.framework)
                yield Line(name, cells(weight.statistics), weight.statistics.reason)


def full_name(layer: Layer, weight: Weight, framework: str) -> str:
    """`stem/conv/kernel` in Keras, `stem.conv.weight` in PyTorch; the model's own weights by their name alone."""
    separator = separator_of(framework)
    return weight.name if layer.path == "." else f"{layer.path}{separator}{weight.name}"


def cells(seen: WeightStatistics) -> tuple[str, ...]:
    """Figures to four digits, counts in full; `?` where there is none."""
    figures = (seen.min, seen.max, seen.mean, seen.std)
    return (*map(number, figures), count_text(seen.zeros), count_text(seen.nan), count_text(infinite(seen)))


def number(value: float | None) -> str:
    """Four significant digits; `?` if unknown."""
    return "?" if value is None else f"{value + 0.0:.4g}"


def infinite(seen: WeightStatistics) -> int | None:
    """Values that are infinite, of either sign."""
    if seen.positive_infinity is None or seen.negative_infinity is None:
        return None
    return seen.positive_infinity + seen.negative_infinity


def left_out(count: int) -> Message:
    """What stands below the first `MAX_LINES` lines of `MAX_LINES + count`."""
    return msgn(
        "The values of {n} more weight are in the JSON and CSV reports.",
        "The values of {n} more weights are in the JSON and CSV reports.",
        count,
    )


def path(histogram: Histogram) -> str:
    """The histogram as the outline of an SVG path: one unit a bin, `HEIGHT` for the fullest, y downwards."""
    tallest = max(histogram.counts, default=0) or 1
    steps = [f"M0 {HEIGHT}"]
    at: float = HEIGHT
    width = 0
    for count in histogram.counts:
        top = HEIGHT if count == 0 else round(HEIGHT - max(_LEAST, HEIGHT * count / tallest), 1)
        if top != at:
            steps.append((f"h{width}" if width else "") + f"V{top:g}")
            at, width = top, 0
        width += 1
    return "".join([*steps, f"h{width}V{HEIGHT}z"])


def spread(histogram: Histogram) -> Message:
    """What a histogram shows, for those who do not see it."""
    span = number(histogram.span)
    return msg("Histogram of the values other than 0, from -{span} to {span}", span=span)
