"""What all views say of a layer, a weight and a total, in the reader's language; knows the report, no layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from service.costs import Quantity
from service.frameworks import conventions, title_of
from service.language import Message, mark, msg, msgn, sentences
from service.translation import Say
from service.tree import Block, Finding, Layer, Report, Shape, Weight

MAX_DEPTH = 100

CountText = Callable[[int | None], str]
"""How a number is written."""


def shape_text(shape: Shape | None) -> str:
    """`(None, 64, 64, 32)`, as Keras prints it; `?` if unknown."""
    if shape is None:
        return "?"
    return f"({', '.join(str(size) for size in shape)}{',' if len(shape) == 1 else ''})"


def shapes_text(shapes: Iterable[Shape] | None) -> str:
    """One or several shapes; `?` if unknown."""
    return "?" if shapes is None else ", ".join(shape_text(shape) for shape in shapes) or "-"


def count_text(value: int | None) -> str:
    """Thousands separated; `?` if unknown."""
    return "?" if value is None else f"{value:,}"


def bytes_text(value: int | None) -> str:
    """A size in the unit a person would use; `?` if unknown."""
    if value is None:
        return "?"
    size = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{value} B" if unit == "B" else f"{size:.2f} {unit}"
        size /= 1024
    return f"{size:.2f} TiB"


_FROZEN, _TRAINED, _NOT_TRAINED, _UNKNOWN = msg("frozen"), msg("trained"), msg("not trained"), msg("unknown")


def trained_text(weight: Weight, say: Say) -> str:
    """Whether gradient descent changes the weight: `trained`, `frozen`, `not trained`, `unknown`."""
    if weight.group == "frozen":
        return say(_FROZEN)
    return say({True: _TRAINED, False: _NOT_TRAINED, None: _UNKNOWN}[weight.trainable])


def weight_text(weight: Weight, say: Say) -> str:
    """`kernel (3, 3, 1, 32) trained`, with the role where the name does not say it."""
    role = "" if weight.role in (weight.name, weight.name.rpartition("/")[2]) else f" [{weight.role}]"
    tied = f" = {weight.tied_to}" if weight.tied_to else ""
    return f"{weight.name}{role} {shape_text(weight.shape)} {trained_text(weight, say)}{tied}"


def layer_count(layer: Layer, framework: str) -> int | None:
    """What the layer's own framework prints as its parameter count (Keras counts statistics, PyTorch does not)."""
    if layer.counts is None:
        return None
    parameters, statistics = layer.counts.parameters, layer.counts.statistics
    if conventions(framework) == "torch" or parameters is None or statistics is None:
        return parameters
    return parameters + statistics


def depth(layer: Layer, parents: dict[str, str | None]) -> int:
    """How many layers contain this one, at most `MAX_DEPTH`: parents come from a file and might go in a circle."""
    level, at = 0, layer.parent
    while at is not None and level < MAX_DEPTH:
        level, at = level + 1, parents.get(at)
    return level


def parents_of(report: Report) -> dict[str, str | None]:
    """Each layer's parent by path."""
    return {layer.path: layer.parent for layer in report.layers}


def type_text(layer: Layer) -> str:
    """The class, or the kind in brackets where the file does not name one."""
    return layer.type or f"[{layer.kind}]"


def title(report: Report) -> str:
    """`sequential (keras_v3, Keras 3.15.1)`."""
    model = report.model
    version = f" {model.framework_version}" if model.framework_version else ""
    name = model.name or model.type or "model"
    return f"{name} ({model.format}, {title_of(model.framework)}{version})"


def total_lines(report: Report, say: Say) -> list[tuple[str, str]]:
    """The totals a person looks for, label and value."""
    totals = report.totals
    lines = [
        (msg("Parameters"), count_text(totals.parameters)),
        (msg("  trainable"), count_text(totals.trainable)),
        (msg("  frozen"), count_text(totals.frozen)),
        (msg("  unknown whether trained"), count_text(totals.unknown)),
        (msg("Statistics (never trained)"), count_text(totals.statistics)),
        (msg("Optimizer"), count_text(totals.optimizer)),
        (msg("EMA copy"), count_text(totals.ema)),
        (msg("Other"), count_text(totals.other)),
        (msg("Bytes"), bytes_text(totals.bytes.total)),
    ]
    first = lines[0][0]
    return [(say(label), value) for label, value in lines if value != "0" or label is first]


def quantity_text(found: Quantity, say: Say, count: CountText = count_text) -> str:
    """A number, with the mark `≥`-like word where it is partial; why there is none, where there is none."""
    if found.status == "partial" and found.value is not None:
        return say(msg("{value} (partial)", value=count(found.value)))
    return count(found.value)


def finding_text(finding: Finding, say: Say) -> str:
    """What was found, why it matters and what to do."""
    return say(sentences(finding.what, finding.why, finding.action))


def place_text(finding: Finding, text: str) -> str:
    """Where it was found, unless the text names it."""
    path = finding.path or ""
    named = re.search(rf"(?<![\w./]){re.escape(path)}(?![\w/]|\.\w)", text)
    return "" if named else path


def severity_text(severity: str, say: Say) -> str:
    """The word for how bad it is."""
    return say(Message(SEVERITIES[severity]))


def labelled(label: str, text: str, say: Say) -> str:
    """What something is, then it."""
    return say(msg("{label}: {text}", label=label, text=text))


def headed(heading: Message, say: Say) -> str:
    """The line above a section of plain text."""
    return say(msg("{heading}:", heading=heading))


def finding_lines(report: Report, say: Say) -> Iterator[tuple[Finding | None, str]]:
    """Each finding with its text: why and what to do once a rule; of many, the first few, then how many more (None)."""
    by_rule: dict[str, list[Finding]] = {}
    for finding in report.findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    for rule, found in by_rule.items():
        yield found[0], finding_text(found[0], say)
        yield from ((finding, say(finding.what)) for finding in found[1:_FINDINGS_OF_A_RULE])
        more = len(found) - _FINDINGS_OF_A_RULE
        if more > 0:
            yield (
                None,
                say(
                    msgn(
                        "{n} more finding of the rule {rule}.", "{n} more findings of the rule {rule}.", more, rule=rule
                    )
                ),
            )


_FINDINGS_OF_A_RULE = 5
"""Most findings of one rule that a page for eyes shows; the JSON report holds all."""


def note_lines(report: Report, say: Say) -> list[str]:
    """What the reader of the totals must know."""
    lines = [say(note) for note in report.notes]
    if report.totals.reason is not None:
        lines.insert(0, say(msg("The totals are not complete: {reason}", reason=report.totals.reason)))
    if not report.provenance.confinement.confined:
        lines.append(say(msg("The upload was read without confinement.")))
    return lines


def block_lines(report: Report) -> Iterator[tuple[int, Block]]:
    """The blocks with how deep they lie, outer ones first; what stands in groups of one line is not opened."""
    open_blocks = [(0, block) for block in reversed(report.blocks)]
    while open_blocks:
        level, block = open_blocks.pop()
        yield level, block
        if block.kind in ("repeat", "stage"):
            open_blocks.extend((level + 1, inner) for inner in reversed(block.blocks))


def shared_text(path: str) -> Message:
    """Where the weights of a layer that occurs again are listed."""
    return msg("shared with {path}", path=path)


def block_name(block: Block) -> str:
    """`encoder.layer × 12`."""
    return f"{block.name} × {block.repeats}" if block.repeats > 1 else block.name


SEVERITIES = {
    "critical": mark("critical"),
    "high": mark("high"),
    "medium": mark("medium"),
    "low": mark("low"),
    "info": mark("info"),
}
TOTALS = msg("Totals")
DANGERS = msg("Could run code or reach outside the file")
FINDINGS = msg("Findings")
NOTES = msg("Notes")
COUNTED_AS = msg("Counted as")
COST = msg("Cost")
BLOCKS = msg("Blocks")
LAYERS = msg("Layers")
COLUMNS: tuple[Message, ...] = (msg("Layer (type)"), msg("Output shape"), msg("Params"), msg("Weights"))
