"""A report as one self-contained HTML page: tree of layers, explanations, charts, the diagram of blocks; no script.

Jinja escapes whatever is put into the template; names are shown as in the other views, with control characters visible.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from service.basis import Frozen
from service.enrich.kinds.titles import TITLES
from service.language import Message, msg
from service.translation import Say
from service.tree import Layer, Report, Weight
from service.views import costs, rows, values
from service.views.diagram.svg import svg
from service.views.escape import terminal

MAX_LAYERS = 2000
"""Most layers on the page; the JSON holds all."""
MAX_WEIGHTS = 100
"""Most weights of one layer on the page."""
MAX_DEPTH = 30
"""Deeper layers stand beside one another: a page nests no further."""
_MAX_BARS = 12


class Bar(Frozen, frozen=True, kw_only=True):
    """One line of a chart: `share` in percent of the longest."""

    label: str
    value: str
    share: float


class Node(Frozen, frozen=True, kw_only=True):
    """A layer and those within it, as the tree shows them; `left_out` of its weights are not on the page."""

    layer: Layer
    params: str
    weights: tuple[Weight, ...]
    left_out: int
    measured: bool
    inner: list[Node]


def render(report: Report, say: Say) -> str:
    """The whole page."""
    shown = report.layers[:MAX_LAYERS]
    return _environment().get_template("report.html").render(
        report=report,
        say=say,
        t=lambda template, **args: say(msg(template, **args)),
        title=rows.title(report),
        totals=rows.total_lines(report, say),
        details=costs.details(report, say),
        doubts=costs.partial_lines(report, say),
        charts=list(_charts(report, say)),
        diagram=_data_address(svg(report, say)),
        blocks=list(rows.block_lines(report)),
        tree=_tree(shown, report.model.framework),
        left_out=len(report.layers) - len(shown),
        findings=list(rows.finding_lines(report, say)),
        notes=rows.note_lines(report, say),
        rows=rows,
        costs=costs,
        values=values,
    )  # fmt: skip


def _data_address(picture: str) -> str:
    """The picture within the page: as an image it has styles of its own, and can run nothing."""
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()}"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("service.views"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["shown"] = terminal
    return made


def _tree(layers: Iterable[Layer], framework: str) -> list[Node]:
    """The layers as a forest, children below their parents, in order."""
    top: list[Node] = []
    depths: dict[str, int] = {}
    homes: dict[str, list[Node]] = {}
    for layer in layers:
        node = _node(layer, framework)
        depth = depths.get(layer.parent or "", -1) + 1
        home = homes.get(layer.parent or "", top)
        home.append(node)
        depths[layer.path] = depth
        homes[layer.path] = node.inner if depth < MAX_DEPTH else home
    return top


def _node(layer: Layer, framework: str) -> Node:
    shown = layer.weights[:MAX_WEIGHTS]
    return Node(
        layer=layer,
        params=rows.count_text(rows.layer_count(layer, framework)),
        weights=shown,
        left_out=len(layer.weights) - len(shown),
        measured=any(weight.statistics is not None for weight in shown),
        inner=[],
    )


def _charts(report: Report, say: Say) -> Iterator[tuple[str, list[Bar]]]:
    """Where the parameters and the work are: by layer, by kind, and the bytes by dtype."""
    framework = report.model.framework
    by_layer: Counter[str] = Counter()
    by_kind: Counter[str] = Counter()
    macs: Counter[str] = Counter()
    for layer in report.layers:
        count = rows.layer_count(layer, framework) or 0
        by_layer[layer.path] += count
        by_kind[say(Message(TITLES.get(layer.kind, layer.kind)))] += count
        macs[layer.path] += costs.total_macs(layer)
    yield say(msg("Parameters by layer")), _bars(by_layer, rows.count_text, say)
    yield say(msg("MACs by layer")), _bars(macs, rows.count_text, say)
    yield say(msg("Parameters by kind of layer")), _bars(by_kind, rows.count_text, say)
    yield say(msg("Bytes by dtype")), _bars(Counter(report.totals.bytes.by_dtype), rows.bytes_text, say)


def _bars(counts: Counter[str], text: rows.CountText, say: Say) -> list[Bar]:
    """The largest, and what is left together."""
    largest = [(label, value) for label, value in counts.most_common(_MAX_BARS) if value > 0]
    rest = sum(counts.values()) - sum(value for _, value in largest)
    if rest > 0:
        largest.append((say(_OTHERS), rest))
    top = max((value for _, value in largest), default=1)
    return [Bar(label=terminal(label), value=text(value), share=100 * value / top) for label, value in largest]


_OTHERS: Message = msg("all others")
