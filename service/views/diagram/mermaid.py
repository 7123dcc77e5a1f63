"""A diagram in the language of Mermaid, as Markdown pages show it; knows boxes and edges, no places.

Source: https://mermaid.js.org/syntax/flowchart.html. Every label is quoted and has its signs replaced by number;
identifiers are made here; there are no click directives and no configuration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from service.translation import Say
from service.tree import Report
from service.views import escape
from service.views.diagram.boxes import Box, Level
from service.views.diagram.categories import CATEGORIES
from service.views.diagram.labels import heading, label
from service.views.diagram.scene import Scene, scene

MOST_LAYERS = 250
"""Mermaid refuses more than 50,000 characters or 500 edges as it comes."""


def mermaid(report: Report, say: Say, level: Level = "block") -> str:
    """The report's graph at block or layer level as a Mermaid flowchart."""
    shown = scene(report, level, MOST_LAYERS)
    comments = [heading(report), *(say(note) for note in shown.notes)]
    lines = [
        "flowchart TD",
        *(f"  %% {escape.mermaid(line)}" for line in comments),
        *_boxes(shown.boxes, say, "  "),
        *_edges(shown),
        *(f"  classDef {one.id} fill:{one.light},stroke:#6b7280,color:#111827" for one in CATEGORIES),
    ]
    return "\n".join(lines) + "\n"


def _boxes(boxes: Sequence[Box], say: Say, indent: str) -> Iterator[str]:
    for box in boxes:
        shown = label(box, say)
        name = f"{escape.mermaid(shown.name)} {escape.mermaid(shown.badge)}".rstrip()
        if box.boxes:
            yield f'{indent}subgraph b{box.id}["{name}"]'
            yield from _boxes(box.boxes, say, f"{indent}  ")
            yield f"{indent}end"
        else:
            text = "<br/>".join([name, *(escape.mermaid(line) for _, line in shown.lines[1:])])
            yield f'{indent}b{box.id}["{text}"]:::{box.category}'


def _edges(shown: Scene) -> Iterator[str]:
    for (source, target), known in shown.wiring.pairs.items():
        yield f"  b{source} {'-->' if known else '-.->'} b{target}"
