"""A report as GitHub-flavoured Markdown: totals, a table of layers, explanations, what deserves attention."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from service.tree import Layer, Report
from service.views import rows
from service.views.escape import markdown


def render(report: Report) -> str:
    """The whole document."""
    return "\n".join(_document(report)) + "\n"


def _document(report: Report) -> Iterator[str]:
    yield f"# {markdown(rows.title(report))}"
    yield ""
    yield from _table(("Total", "Elements"), ((label.strip(), value) for label, value in rows.total_lines(report)))
    yield from _table(
        ("Counted by", "as", "Value"),
        ((tool.tool, markdown(tool.label), rows.count_text(tool.value)) for tool in report.counted_as),
    )
    yield "## Layers"
    yield ""
    headings = ("Layer", "Type", "Output shape", "Params", "Weights", "Why")
    yield from _table(headings, (_layer(layer, report.model.framework) for layer in report.layers))
    yield from _list(
        "Could run code or reach outside the file",
        (
            f"**{danger.severity}** {markdown(danger.what)} {markdown(danger.path or danger.member or '')}"
            for danger in report.security
        ),
    )
    yield from _list(
        "Findings",
        (
            f"**{finding.severity}** {markdown(finding.what)} {markdown(finding.path or '')}"
            for finding in report.findings
        ),
    )
    yield from _list("Notes", (markdown(note) for note in _notes(report)))


def _notes(report: Report) -> Iterator[str]:
    if report.totals.reason:
        yield f"The totals are {report.totals.status}: {report.totals.reason}"
    yield from report.notes
    if not report.provenance.confinement.confined:
        yield "The upload was read without confinement."


def _layer(layer: Layer, framework: str) -> tuple[str, ...]:
    weights = [markdown(rows.weight_text(weight)) for weight in layer.weights]
    if layer.shared_with:
        weights.append(f"shared with {markdown(layer.shared_with)}")
    return (
        markdown(layer.path),
        markdown(rows.type_text(layer)),
        markdown(rows.shapes_text(layer.output_shapes)),
        rows.count_text(rows.layer_count(layer, framework)),
        "<br>".join(weights),
        layer.explanation.formula if layer.explanation else "",
    )


def _table(headings: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield _row(headings)
    yield _row(("---",) * len(headings))
    yield from (_row(line) for line in lines)
    yield ""


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _list(heading: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield f"## {heading}"
        yield ""
        yield from (f"- {line.rstrip()}" for line in found)
        yield ""
