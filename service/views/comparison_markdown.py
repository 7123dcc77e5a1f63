"""A comparison as GitHub-flavoured Markdown, fit for a pull request: the sentence, the causes, what else differs."""

from __future__ import annotations

from collections.abc import Iterator

from service.comparisons import Comparison
from service.translation import Say
from service.views import comparison_rows as rows
from service.views.escape import markdown
from service.views.pipes import table


def render(comparison: Comparison, say: Say) -> str:
    """The whole document."""
    return "\n".join(_lines(comparison, say)) + "\n"


def _lines(comparison: Comparison, say: Say) -> Iterator[str]:
    yield f"**{markdown(say(comparison.summary))}**"
    yield ""
    for section in rows.sections(comparison, say):
        yield from _section(section, say)
    if comparison.notes:
        yield from (f"## {say(rows.NOTES)}", "", *(f"- {markdown(say(note))}" for note in comparison.notes))


def _section(section: rows.Section, say: Say) -> Iterator[str]:
    if section.lines:
        yield from (f"## {say(section.heading)}", "")
        yield from table(section.headings, (map(markdown, line) for line in section.lines), say)
    for text in section.below:
        yield from (markdown(text), "")
