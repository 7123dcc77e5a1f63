"""A comparison as one self-contained HTML page without a script; every text of an upload is escaped on its way in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from service.comparisons import Comparison
from service.language import msg
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
    tag, title = _text(say(msg("en"))), _text(say(msg("Comparison of two models")))
    page = f'<!DOCTYPE html>\n<html lang="{tag}">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
    head = f"{page}<style>{_STYLE}</style>\n"
    return "\n".join([f"{head}</head>\n<body>", *_body(comparison, say), "</body>\n</html>\n"])


def _body(comparison: Comparison, say: Say) -> Iterator[str]:
    yield f'<p class="summary">{_text(say(comparison.summary))}</p>'
    for section in rows.sections(comparison, say):
        yield from _section(section, say)
    if comparison.notes:
        yield f"<h2>{_text(say(rows.NOTES))}</h2>"
        yield from (f"<p>{_text(say(note))}</p>" for note in comparison.notes)


def _text(text: str) -> str:
    return escape(terminal(text))


def _section(section: rows.Section, say: Say) -> Iterator[str]:
    if section.lines:
        yield f"<h2>{_text(say(section.heading))}</h2>\n<table>"
        yield _row("th", [say(heading) for heading in section.headings])
        yield from (_row("td", line) for line in section.lines)
        yield "</table>"
    yield from (f"<p>{_text(text)}</p>" for text in section.below)


def _row(tag: str, cells: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_text(cell)}</{tag}>' for cell in cells)}</tr>"
