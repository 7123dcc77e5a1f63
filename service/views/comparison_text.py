"""A comparison as plain text: the sentence to quote, why the counts differ, settings and layers that differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from service.comparisons import Comparison
from service.language import Message
from service.translation import Say
from service.views import comparison_rows as rows
from service.views.columns import display_width, fit
from service.views.escape import terminal
from service.views.rows import headed

_MAX_WIDTH = 48
"""Widest column but the last."""


def render(comparison: Comparison, say: Say) -> str:
    """The whole text."""
    return "\n".join(_lines(comparison, say)) + "\n"


def _lines(comparison: Comparison, say: Say) -> Iterator[str]:
    yield terminal(say(comparison.summary))
    for section in rows.sections(comparison, say):
        yield from _section(section, say)
    if comparison.notes:
        yield from ("", headed(rows.NOTES, say), *(f"  {terminal(say(note))}" for note in comparison.notes))


def _section(section: rows.Section, say: Say) -> Iterator[str]:
    if section.lines or section.below:
        yield ""
    if section.lines:
        yield headed(section.heading, say)
        yield from _table(section.headings, section.lines, say)
    yield from map(terminal, section.below)


def _table(headings: Sequence[Message], lines: Iterable[tuple[str, ...]], say: Say) -> Iterator[str]:
    table = [tuple(say(heading) for heading in headings), *(tuple(map(terminal, line)) for line in lines)]
    widths = [min(_MAX_WIDTH, max(map(display_width, column))) for column in zip(*table, strict=True)]
    for line in table:
        *first, last = zip(line, widths, strict=True)
        yield "  ".join(["", *(fit(cell, width) for cell, width in first), last[0]]).rstrip()
