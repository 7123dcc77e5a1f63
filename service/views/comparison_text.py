"""A comparison as plain text: the sentence to quote, why the counts differ, settings and layers that differ."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from service.comparisons import Comparison
from service.language import Message
from service.translation import Say
from service.views import comparison_rows as rows
from service.views.escape import terminal
from service.views.rows import headed

_MAX_WIDTH = 48
"""Widest column but the last."""


def render(comparison: Comparison, say: Say) -> str:
    """The whole text."""
    return "\n".join(_lines(comparison, say)) + "\n"


def _lines(comparison: Comparison, say: Say) -> Iterator[str]:
    folds = rows.folds(comparison)
    yield terminal(say(comparison.summary))
    yield ""
    yield from _table(rows.SIDE_HEADINGS, rows.side_cells(comparison, say), say)
    yield rows.gap_text(comparison, say)
    yield from filter(None, [rows.verdict_text(comparison, say)])
    causes = [rows.cause_cells(cause, say) for cause in comparison.causes]
    yield from _section(rows.CAUSES, rows.CAUSE_HEADINGS, causes, say)
    problems = [rows.problem_cells(problem, say) for problem in comparison.problems]
    yield from _section(rows.PROBLEMS, rows.PROBLEM_HEADINGS, problems, say)
    settings = [rows.setting_cells(found) for found in rows.settings(comparison)]
    yield from _section(rows.SETTINGS, rows.SETTING_HEADINGS, settings, say)
    yield from filter(None, [rows.equal_settings(comparison, say)])
    layers = [rows.layer_cells(fold, say) for fold in folds]
    yield from _section(rows.LAYERS, rows.LAYER_HEADINGS, layers, say)
    yield from ("", rows.equal_layers(comparison, folds, say))
    if comparison.notes:
        yield from ("", headed(rows.NOTES, say), *(f"  {terminal(say(note))}" for note in comparison.notes))


def _section(heading: Message, headings: Sequence[Message], lines: list[tuple[str, ...]], say: Say) -> Iterator[str]:
    if lines:
        yield ""
        yield headed(heading, say)
        yield from _table(headings, lines[: rows.MAX_LINES], say)
    if len(lines) > rows.MAX_LINES:
        yield rows.left_out(len(lines) - rows.MAX_LINES, say)


def _table(headings: Sequence[Message], lines: Iterable[tuple[str, ...]], say: Say) -> Iterator[str]:
    table = [tuple(say(heading) for heading in headings), *(tuple(map(terminal, line)) for line in lines)]
    widths = [min(_MAX_WIDTH, max(map(_width, column))) for column in zip(*table, strict=True)]
    for line in table:
        *first, last = zip(line, widths, strict=True)
        yield "  ".join(["", *(_fit(cell, width) for cell, width in first), last[0]]).rstrip()


def _width(text: str) -> int:
    """Columns of a terminal: East Asian wide characters take two (Unicode annex 11)."""
    return len(text) + sum(unicodedata.east_asian_width(character) in "WF" for character in text)


def _fit(text: str, width: int) -> str:
    room = width - _width(text)
    return text + " " * room if room >= 0 else f"{text[: width - 1]}…"
