"""A diagram in the language of Graphviz; knows boxes and edges, no places.

Source: https://graphviz.org/doc/info/lang.html. Labels are quoted strings, never HTML; there are no URLs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from service.translation import Say
from service.tree import Report
from service.views import escape
from service.views.diagram.boxes import Box, Level
from service.views.diagram.categories import legend
from service.views.diagram.labels import heading, label
from service.views.diagram.scene import Scene, scene


def dot(report: Report, say: Say, level: Level = "block") -> str:
    """The report's graph at block or layer level as a DOT digraph."""
    shown = scene(report, level)
    notes = "".join(f"\\n{escape.dot(say(note))}" for note in shown.notes)
    lines = [
        "digraph model {",
        f'  label="{escape.dot(heading(report))}{notes}"; labelloc=t; rankdir=TB; fontname="sans-serif"; fontsize=11;',
        '  node [shape=box, style="rounded,filled", fontname="sans-serif", fontsize=11];',
        '  edge [color="#64748b"];',
        *_boxes(shown.boxes, say, "  "),
        *_edges(shown),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _boxes(boxes: Sequence[Box], say: Say, indent: str) -> Iterator[str]:
    for box in boxes:
        text = _label(box, say)
        if box.boxes:
            yield f"{indent}subgraph cluster_{box.id} {{"
            yield f'{indent}  label="{text}"; style="rounded,filled"; fillcolor="#94a3b820"; color="#94a3b8";'
            yield from _boxes(box.boxes, say, f"{indent}  ")
            yield f"{indent}}}"
        else:
            sides = ", peripheries=2" if box.times > 1 else ""
            yield f'{indent}b{box.id} [label="{text}", fillcolor="{legend({box.category})[0].light}"{sides}];'


def _label(box: Box, say: Say) -> str:
    shown = label(box, say)
    lines = [f"{shown.name} {shown.badge}".rstrip(), *(text for _, text in shown.lines[1:])]
    return "\\n".join(escape.dot(line) for line in lines)


def _edges(shown: Scene) -> Iterator[str]:
    for (source, target), known in shown.wiring.pairs.items():
        yield f"  b{source} -> b{target}{'' if known else ' [style=dashed]'};"
