"""The most activation bytes that live at once in a graph whose layers run in order; knows sizes and edges only."""

from __future__ import annotations

from collections import defaultdict


def peak(sizes: list[int], sources: list[tuple[int, ...]], views: list[bool]) -> int:
    """Bytes at the worst moment: a layer's output lives from its call to the last layer that it feeds.

    Args:
        sizes: Bytes of each layer's output, in the order of execution.
        sources: Layers that feed each; only earlier ones count.
        views: Whether a layer's output is its input's memory, seen differently.
    """
    owner = list(range(len(sizes)))
    last = [len(sizes) - 1] * len(sizes)  # what feeds nothing is an output of the model
    for number, feeding in enumerate(sources):
        earlier = [source for source in feeding if source < number]
        if views[number] and earlier:
            owner[number] = owner[earlier[0]]
        for source in earlier:
            last[owner[source]] = number
    ending: dict[int, list[int]] = defaultdict(list)
    for number, end in enumerate(last):
        if owner[number] == number:
            ending[end].append(number)
    highest = living = 0
    for number, size in enumerate(sizes):
        if owner[number] == number:
            living += size
        highest = max(highest, living)
        living -= sum(sizes[done] for done in ending.get(number, ()))
    return highest
