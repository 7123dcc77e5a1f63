"""A report as GitHub-flavoured Markdown, fit for a pull request: totals, findings, blocks, layers and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from service.language import Message, msg
from service.translation import Say
from service.tree import Layer, Report
from service.views import costs, rows, values
from service.views.escape import markdown
from service.views.pipes import table

_FOLD_ABOVE = 40
"""Above so many layers their table is folded away: a pull request shows the blocks."""


def render(report: Report, say: Say) -> str:
    """The whole document."""
    return "\n".join(_document(report, say)) + "\n"


def _document(report: Report, say: Say) -> Iterator[str]:
    yield f"# {markdown(rows.title(report))}"
    yield ""
    yield from table((msg("Total"), msg("Elements")), rows.total_lines(report, say), say)
    yield from _costs(report, say)
    tools = ((tool.tool, markdown(tool.label), rows.count_text(tool.value)) for tool in report.counted_as)
    yield from table((msg("Counted by"), msg("as"), msg("Value")), tools, say)
    yield from _list(rows.FINDINGS, _findings(report, say), say)
    yield from _list(rows.DANGERS, _dangers(report, say), say)
    yield from _blocks(report, say)
    yield from _layers(report, say)
    yield from _values(report, say)
    yield from _list(rows.NOTES, (markdown(note) for note in rows.note_lines(report, say)), say)


def _costs(report: Report, say: Say) -> Iterator[str]:
    lines = costs.lines(report, say)
    if lines:
        yield from table((rows.COST, msg("Value")), lines, say)
    doubts = (
        rows.labelled(markdown(labels), markdown(reason), say) for labels, reason in costs.partial_lines(report, say)
    )
    yield from _list(costs.PARTIAL, doubts, say)


def _findings(report: Report, say: Say) -> Iterator[str]:
    for finding, text in rows.finding_lines(report, say):
        if finding is None:
            yield markdown(text)
        else:
            yield _graded(finding.severity, rows.place_text(finding, text), text, say)


def _dangers(report: Report, say: Say) -> Iterator[str]:
    for danger in report.security:
        yield _graded(danger.severity, danger.path or danger.member or "", say(danger.what), say)


def _graded(severity: str, place: str, text: str, say: Say) -> str:
    return " ".join(filter(None, (f"**{rows.severity_text(severity, say)}**", markdown(place), markdown(text))))


def _blocks(report: Report, say: Say) -> Iterator[str]:
    if not report.blocks:
        return
    yield f"## {say(rows.BLOCKS)}"
    yield ""
    lines = (
        (
            f"{'&nbsp;&nbsp;' * level}{markdown(rows.block_name(block))}",
            markdown(say(block.title)),
            rows.count_text(block.parameters),
        )
        for level, block in rows.block_lines(report)
    )
    yield from table((msg("Block"), msg("What it is"), msg("Params")), lines, say)


def _layers(report: Report, say: Say) -> Iterator[str]:
    headings = (msg("Layer"), msg("Type"), msg("Output shape"), msg("Params"), msg("Weights"), msg("Why"))
    lines = table(headings, (_layer(layer, report.model.framework, say) for layer in report.layers), say)
    size = len(report.layers)
    yield from _folded(rows.LAYERS, msg("{count} layers", count=size), size > _FOLD_ABOVE, lines, say)


def _values(report: Report, say: Say) -> Iterator[str]:
    found = list(values.lines(report))
    shown = found[: values.MAX_LINES]
    lines = table(values.HEADINGS, (_measured(line, say) for line in shown), say)
    if found:
        size = msg("{count} weights", count=len(found))
        yield from _folded(values.VALUES, size, len(shown) > _FOLD_ABOVE, lines, say)
    if len(found) > len(shown):
        yield say(values.left_out(len(found) - len(shown)))
        yield ""


def _measured(line: values.Line, say: Say) -> tuple[str, ...]:
    if line.reason is None:
        return (markdown(line.name), *map(markdown, line.cells))
    return (markdown(line.name), markdown(say(line.reason)), *[""] * (len(line.cells) - 1))


def _folded(heading: Message, size: Message, fold: bool, lines: Iterable[str], say: Say) -> Iterator[str]:
    """A section, folded away if it is long: what `size` says is what stays to be seen."""
    yield f"## {say(heading)}"
    yield ""
    if fold:
        yield f"<details><summary>{say(size)}</summary>"
        yield ""
    yield from lines
    if fold:
        yield "</details>"
        yield ""


def _layer(layer: Layer, framework: str, say: Say) -> tuple[str, ...]:
    weights = [markdown(rows.weight_text(weight, say)) for weight in layer.weights]
    if layer.shared_with:
        weights.append(markdown(say(rows.shared_text(layer.shared_with))))
    return (
        markdown(layer.path),
        markdown(rows.type_text(layer)),
        markdown(rows.shapes_text(layer.output_shapes)),
        rows.count_text(rows.layer_count(layer, framework)),
        "<br>".join(weights),
        layer.explanation.formula if layer.explanation else "",
    )


def _list(heading: Message, lines: Iterable[str], say: Say) -> Iterator[str]:
    found = list(lines)
    if found:
        yield f"## {say(heading)}"
        yield ""
        yield from (f"- {line.rstrip()}" for line in found)
        yield ""
