"""A report as GitHub-flavoured Markdown, fit for a pull request: totals, findings, blocks, layers and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from service.language import Message, msg
from service.translation import Say
from service.tree import Layer, Report
from service.views import rows
from service.views.escape import markdown

_FOLD_ABOVE = 40
"""Above so many layers their table is folded away: a pull request shows the blocks."""


def render(report: Report, say: Say) -> str:
    """The whole document."""
    return "\n".join(_document(report, say)) + "\n"


def _document(report: Report, say: Say) -> Iterator[str]:
    yield f"# {markdown(rows.title(report))}"
    yield ""
    yield from _table((msg("Total"), msg("Elements")), rows.total_lines(report, say), say)
    yield from _costs(report, say)
    tools = ((tool.tool, markdown(tool.label), rows.count_text(tool.value)) for tool in report.counted_as)
    yield from _table((msg("Counted by"), msg("as"), msg("Value")), tools, say)
    yield from _list(rows.FINDINGS, _findings(report, say), say)
    yield from _list(rows.DANGERS, _dangers(report, say), say)
    yield from _blocks(report, say)
    yield from _layers(report, say)
    yield from _list(rows.NOTES, (markdown(note) for note in rows.note_lines(report, say)), say)


def _costs(report: Report, say: Say) -> Iterator[str]:
    lines = rows.cost_lines(report, say)
    if lines:
        yield from _table((rows.COST, msg("Value")), lines, say)


def _findings(report: Report, say: Say) -> Iterator[str]:
    for finding, text in rows.finding_lines(report, say):
        yield (
            markdown(text)
            if finding is None
            else f"**{finding.severity}** {markdown(finding.path or '')} {markdown(text)}"
        )


def _dangers(report: Report, say: Say) -> Iterator[str]:
    for danger in report.security:
        yield f"**{danger.severity}** {markdown(say(danger.what))} {markdown(danger.path or danger.member or '')}"


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
    yield from _table((msg("Block"), msg("What it is"), msg("Params")), lines, say)


def _layers(report: Report, say: Say) -> Iterator[str]:
    folded = len(report.layers) > _FOLD_ABOVE
    yield f"## {say(rows.LAYERS)}"
    yield ""
    if folded:
        yield f"<details><summary>{say(msg('{count} layers', count=len(report.layers)))}</summary>"
        yield ""
    headings = (msg("Layer"), msg("Type"), msg("Output shape"), msg("Params"), msg("Weights"), msg("Why"))
    yield from _table(headings, (_layer(layer, report.model.framework, say) for layer in report.layers), say)
    if folded:
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


def _table(headings: tuple[Message, ...], lines: Iterable[tuple[str, ...]], say: Say) -> Iterator[str]:
    yield _row(tuple(say(heading) for heading in headings))
    yield _row(("---",) * len(headings))
    yield from (_row(line) for line in lines)
    yield ""


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.strip() for cell in cells)} |"


def _list(heading: Message, lines: Iterable[str], say: Say) -> Iterator[str]:
    found = list(lines)
    if found:
        yield f"## {say(heading)}"
        yield ""
        yield from (f"- {line.rstrip()}" for line in found)
        yield ""
