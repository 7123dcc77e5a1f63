"""A report as boxes, edges and notes, the same for every kind of diagram; knows no layout and no markup."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from service.language import Message, msg
from service.tree import Report
from service.views.diagram.boxes import MOST_LAYERS, Box, Level, content
from service.views.diagram.edges import Edge, Frame, Wiring, wiring


class Scene(NamedTuple):
    """What is drawn."""

    boxes: tuple[Box, ...]
    wiring: Wiring
    notes: tuple[Message, ...]

    def edges(self, frame: int) -> list[Edge]:
        """The edges within a frame; 0 is the whole."""
        held = self.wiring.frames.get(frame)
        return [] if held is None else [Edge(*pair, known) for pair, known in held.edges.items()]

    def frame(self, number: int) -> Frame:
        """What enters and leaves a frame."""
        return self.wiring.frames.get(number) or Frame()


def scene(report: Report, level: Level, most: int = MOST_LAYERS) -> Scene:
    """The boxes of a report with their edges."""
    boxes, notes = content(report, level, most)
    wired = wiring(boxes, report.layers)
    return Scene(boxes, wired, (*notes, *_notes(wired)))


def _notes(wired: Wiring) -> Iterator[Message]:
    if wired.guessed:
        yield msg("Dashed lines follow the order in which layers are listed: the file does not say what feeds them.")
    if wired.cut:
        yield msg("The graph has more edges than one picture holds; some are left out.")
