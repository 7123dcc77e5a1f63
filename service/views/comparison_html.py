"""A comparison as one self-contained HTML page without a script; every text of an upload is escaped on its way in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from service.comparisons import Comparison
from service.language import Message, msg
from service.translation import Say
from service.views import comparison_rows as rows
from service.views.escape import terminal

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24 }
.summary { font-size: 1.3rem; border-left: .3rem solid #2563eb; padding-left: 1rem }
table { border-collapse: collapse; margin: 1rem 0; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .3rem .7rem; border-bottom: 1px solid #d8dee4;
 overflow-wrap: anywhere }
th { background: #f6f8fa }
@media (prefers-color-scheme: dark) {
 body { background: #0d1117; color: #e6edf3 } th { background: #161b22 } th, td { border-color: #30363d } }
"""


def render(comparison: Comparison, say: Say) -> str:
    """The whole page."""
    title = _text(say(msg("Comparison of two models")))
    head = f'<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n<style>{_STYLE}</style>\n'
    return "\n".join([f"{head}</head>\n<body>", *_body(comparison, say), "</body>\n</html>\n"])


def _body(comparison: Comparison, say: Say) -> Iterator[str]:
    folds = rows.folds(comparison)
    yield f'<p class="summary">{_text(say(comparison.summary))}</p>'
    yield from _section(rows.MODELS, rows.SIDE_HEADINGS, rows.side_cells(comparison, say), say)
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
        yield f"<h2>{_text(say(rows.NOTES))}</h2>"
        yield from (f"<p>{_text(say(note))}</p>" for note in comparison.notes)


def _text(text: str) -> str:
    return escape(terminal(text))


def _paragraph(text: str | None) -> Iterator[str]:
    if text:
        yield f"<p>{_text(text)}</p>"


def _section(heading: Message, headings: Sequence[Message], lines: list[tuple[str, ...]], say: Say) -> Iterator[str]:
    if lines:
        yield f"<h2>{_text(say(heading))}</h2>\n<table>"
        yield _row("th", [say(heading) for heading in headings])
        yield from (_row("td", line) for line in lines[: rows.MAX_LINES])
        yield "</table>"
    if len(lines) > rows.MAX_LINES:
        yield from _paragraph(rows.left_out(len(lines) - rows.MAX_LINES, say))


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_text(cell)}</{tag}>' for cell in cells)}</tr>"
