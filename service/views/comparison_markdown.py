"""A comparison as GitHub-flavoured Markdown, fit for a pull request: the sentence, the causes, what else differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from service.comparisons import Comparison
from service.language import Message
from service.translation import Say
from service.views import comparison_rows as rows
from service.views.escape import markdown


def render(comparison: Comparison, say: Say) -> str:
    """The whole document."""
    return "\n".join(_lines(comparison, say)) + "\n"


def _lines(comparison: Comparison, say: Say) -> Iterator[str]:
    folds = rows.folds(comparison)
    yield f"**{markdown(say(comparison.summary))}**"
    yield ""
    yield from _table(rows.SIDE_HEADINGS, rows.side_cells(comparison, say), say)
    yield from _paragraph(rows.gap_text(comparison, say))
    yield from _paragraph(rows.verdict_text(comparison, say))
    causes = [rows.cause_cells(cause, say) for cause in comparison.causes]
    yield from _section(rows.CAUSES, rows.CAUSE_HEADINGS, causes, say)
    problems = [rows.problem_cells(problem, say) for problem in comparison.problems]
    yield from _section(rows.PROBLEMS, rows.PROBLEM_HEADINGS, problems, say)
    settings = [rows.setting_cells(found) for found in rows.settings(comparison)]
    yield from _section(rows.SETTINGS, rows.SETTING_HEADINGS, settings, say)
    yield from _paragraph(rows.equal_settings(comparison, say))
    layers = [rows.layer_cells(fold, say) for fold in folds]
    yield from _section(rows.LAYERS, rows.LAYER_HEADINGS, layers, say)
    yield from _paragraph(rows.equal_layers(comparison, folds, say))
    if comparison.notes:
        yield from (f"## {say(rows.NOTES)}", "", *(f"- {markdown(say(note))}" for note in comparison.notes))


def _paragraph(text: str | None) -> Iterator[str]:
    if text:
        yield from (markdown(text), "")


def _section(heading: Message, headings: Sequence[Message], lines: list[tuple[str, ...]], say: Say) -> Iterator[str]:
    if lines:
        yield from (f"## {say(heading)}", "")
        yield from _table(headings, lines[: rows.MAX_LINES], say)
    if len(lines) > rows.MAX_LINES:
        yield from _paragraph(rows.left_out(len(lines) - rows.MAX_LINES, say))


def _table(headings: Sequence[Message], lines: Iterable[tuple[str, ...]], say: Say) -> Iterator[str]:
    yield _row(say(heading) for heading in headings)
    yield _row("---" for _ in headings)
    yield from (_row(map(markdown, line)) for line in lines)
    yield ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
