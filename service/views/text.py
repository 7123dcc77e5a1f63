"""A report as the summary table that Keras and torchinfo users expect, with a Weights column; plain text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from service.tree import Layer, Report
from service.views import rows
from service.views.escape import terminal

_HEADINGS = ("Layer (type)", "Output shape", "Params", "Weights")
_MAX_WIDTHS = (48, 28, 16, 500)
_RULE_WIDTH = 160


def render(report: Report) -> str:
    """The table, the totals, what other tools count, and what deserves attention."""
    parents = rows.parents_of(report)
    lines = [
        line for layer in report.layers for line in _layer(layer, report.model.framework, rows.depth(layer, parents))
    ]
    widths = [
        min(limit, max(len(line[column]) for line in [_HEADINGS, *lines])) for column, limit in enumerate(_MAX_WIDTHS)
    ]
    rule = "─" * min(_RULE_WIDTH, sum(widths) + 2 * (len(widths) - 1))
    table = [_row(_HEADINGS, widths), rule, *(_row(line, widths) for line in lines), rule]
    return "\n".join([f"Model: {terminal(rows.title(report))}", "", *table, *_below(report)]) + "\n"


def _layer(layer: Layer, framework: str, level: int) -> Iterator[tuple[str, str, str, str]]:
    """The layer's lines: one, and one more for each further weight."""
    first = (
        f"{'  ' * level}{terminal(layer.name)} ({terminal(rows.type_text(layer))})",
        rows.shapes_text(layer.output_shapes),
        rows.count_text(rows.layer_count(layer, framework)),
    )
    weights = [terminal(rows.weight_text(weight)) for weight in layer.weights]
    if layer.shared_with:
        weights.append(f"shared with {terminal(layer.shared_with)}")
    yield (*first, weights[0] if weights else "")
    for weight in weights[1:]:
        yield ("", "", "", weight)


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    shown = [_fit(text, width) for text, width in zip(cells, widths, strict=True)]
    shown[2] = cells[2].rjust(widths[2])
    return "  ".join(shown).rstrip()


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"


def _below(report: Report) -> Iterator[str]:
    totals = rows.total_lines(report)
    width = max(len(label) for label, _ in totals)
    yield from (f"{label.ljust(width)}  {value}" for label, value in totals)
    if report.totals.reason:
        yield f"The totals are {report.totals.status}: {terminal(report.totals.reason)}"
    yield from _section(
        "Counted as", (f"{tool.tool} {tool.label}: {rows.count_text(tool.value)}" for tool in report.counted_as)
    )
    yield from _section(
        "Could run code or reach outside the file",
        (f"{danger.severity}: {danger.what}{_where(danger.path or danger.member)}" for danger in report.security),
    )
    yield from _section(
        "Findings", (f"{finding.severity}: {finding.what}{_where(finding.path)}" for finding in report.findings)
    )
    yield from _section("Notes", report.notes)
    if not report.provenance.confinement.confined:
        yield from _section("Warning", ["The upload was read without confinement."])


def _where(place: str | None) -> str:
    return f" ({place})" if place else ""


def _section(heading: str, lines: Iterable[str]) -> Iterator[str]:
    found = [terminal(line) for line in lines]
    if found:
        yield ""
        yield f"{heading}:"
        yield from (f"  {line}" for line in found)
