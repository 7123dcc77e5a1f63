"""A report as the summary table that Keras and torchinfo users expect, with a Weights column; plain text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from service.language import Message, msg
from service.translation import Say
from service.tree import Layer, Report
from service.views import costs, rows, values
from service.views.columns import display_width, fit, fit_right
from service.views.escape import terminal

_MAX_WIDTHS = (48, 28, 16, 500)
_RULE_WIDTH = 160
_FOLD_ABOVE = 60
"""Above so many layers the blocks come first: a reader sees the model before its layers."""


def render(report: Report, say: Say) -> str:
    """The table, the totals, what other tools count, and what deserves attention."""
    parents = rows.parents_of(report)
    lines = [
        line
        for layer in report.layers
        for line in _layer(layer, report.model.framework, rows.depth(layer, parents), say)
    ]
    headings = tuple(say(heading) for heading in rows.COLUMNS)
    widths = [
        min(limit, max(display_width(line[column]) for line in [headings, *lines]))
        for column, limit in enumerate(_MAX_WIDTHS)
    ]
    rule = "─" * min(_RULE_WIDTH, sum(widths) + 2 * (len(widths) - 1))
    table = [_row(headings, widths), rule, *(_row(line, widths) for line in lines), rule]
    top = [terminal(say(msg("Model: {title}", title=rows.title(report)))), ""]
    return "\n".join([*top, *_blocks(report, say), *table, *_below(report, say)]) + "\n"


def _blocks(report: Report, say: Say) -> Iterator[str]:
    if len(report.layers) <= _FOLD_ABOVE or not report.blocks:
        return
    yield rows.headed(rows.BLOCKS, say)
    for level, block in rows.block_lines(report):
        name = f"{'  ' * level}{terminal(rows.block_name(block))}"
        yield f"  {fit(name, 48)}  {rows.count_text(block.parameters).rjust(14)}  {terminal(say(block.title))}"
    yield ""


def _layer(layer: Layer, framework: str, level: int, say: Say) -> Iterator[tuple[str, str, str, str]]:
    """The layer's lines: one, and one more for each further weight."""
    first = (
        f"{'  ' * level}{terminal(layer.name)} ({terminal(rows.type_text(layer))})",
        rows.shapes_text(layer.output_shapes),
        rows.count_text(rows.layer_count(layer, framework)),
    )
    weights = [terminal(rows.weight_text(weight, say)) for weight in layer.weights]
    if layer.shared_with:
        weights.append(terminal(say(rows.shared_text(layer.shared_with))))
    yield (*first, weights[0] if weights else "")
    for weight in weights[1:]:
        yield ("", "", "", weight)


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    shown = [fit(text, width) for text, width in zip(cells, widths, strict=True)]
    shown[2] = fit_right(cells[2], widths[2])
    return "  ".join(shown).rstrip()


def _below(report: Report, say: Say) -> Iterator[str]:
    totals = rows.total_lines(report, say)
    yield from _columns(totals)
    yield from _section(rows.COST, _columns(costs.lines(report, say)), say)
    doubts = (rows.labelled(labels, reason, say) for labels, reason in costs.partial_lines(report, say))
    yield from _section(costs.PARTIAL, doubts, say)
    counted = (
        rows.labelled(f"{tool.tool} {tool.label}", rows.count_text(tool.value), say) for tool in report.counted_as
    )
    yield from _section(rows.COUNTED_AS, counted, say)
    dangers = (
        rows.labelled(rows.severity_text(danger.severity, say), say(danger.what), say)
        + _where(danger.path or danger.member)
        for danger in report.security
    )
    yield from _section(rows.DANGERS, dangers, say)
    findings = (
        text
        if finding is None
        else rows.labelled(rows.severity_text(finding.severity, say), text, say)
        + _where(rows.place_text(finding, text))
        for finding, text in rows.finding_lines(report, say)
    )
    yield from _section(rows.FINDINGS, findings, say)
    yield from _section(values.VALUES, _values(report, say), say)
    yield from _section(rows.NOTES, rows.note_lines(report, say), say)


def _values(report: Report, say: Say) -> list[str]:
    """A table of the weights that were measured: figures right of their names, each column as wide as it needs."""
    found = list(values.lines(report))
    if not found:
        return []
    shown = found[: values.MAX_LINES]
    table = [tuple(say(heading) for heading in values.HEADINGS), *(_measured(line) for line in shown)]
    widths = [max(display_width(line[column]) for line in table) for column in range(len(values.HEADINGS))]
    widths[0] = min(widths[0], _MAX_WIDTHS[0])
    lines = [_figures(cells, widths) for cells in table]
    for index, line in enumerate(shown, start=1):
        if line.reason is not None:
            lines[index] = f"{fit(table[index][0], widths[0])}  {say(line.reason)}"
    more = len(found) - len(shown)
    return [*lines, say(values.left_out(more))] if more else lines


def _measured(line: values.Line) -> tuple[str, ...]:
    """The cells of a line; where a reason stands in their place, they take no room."""
    return (terminal(line.name), *(line.cells if line.reason is None else [""] * len(line.cells)))


def _figures(cells: tuple[str, ...], widths: list[int]) -> str:
    padded = (fit_right(text, width) for text, width in zip(cells[1:], widths[1:], strict=True))
    return "  ".join([fit(cells[0], widths[0]), *padded])


def _columns(lines: list[tuple[str, str]]) -> Iterator[str]:
    width = max((display_width(label) for label, _ in lines), default=0)
    yield from (f"{fit(label, width)}  {value}" for label, value in lines)


def _where(place: str | None) -> str:
    return f" ({place})" if place else ""


def _section(heading: Message, lines: Iterable[str], say: Say) -> Iterator[str]:
    found = [terminal(line) for line in lines]
    if found:
        yield ""
        yield rows.headed(heading, say)
        yield from (f"  {line}" for line in found)
