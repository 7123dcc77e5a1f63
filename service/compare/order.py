"""The order in which a model's units are laid out, and what feeds each; knows graphs and names, no second model.

A file lists layers in the order of execution, of declaration, or of the alphabet. Where it records the graph, units
are laid out branch by branch, the longest first, as people declare them; where it does not, the neighbour in a
numbered sequence is taken for the one that feeds a layer, and no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from service.compare.units import Unit
from service.frameworks import conventions
from service.tree import Layer, Report

_NUMBER = re.compile(r"(\d+)")
MAX_STEPS = 64
"""Most layers without weights in a row that are looked through."""
MAX_PLACES = 12
"""Digits of a number in a name that are compared as a number."""


def laid_out(report: Report, found: Sequence[Unit]) -> list[Unit]:
    """The units in the order in which they are aligned."""
    places = _graph_places(report) or _storage_places(report)
    return sorted(found, key=lambda unit: places.get(unit.layer.path, len(places)))


def laid_out_layers(report: Report) -> list[Layer]:
    """All layers in that order."""
    places = _graph_places(report) or _storage_places(report)
    return sorted(report.layers, key=lambda layer: places.get(layer.path, len(places)))


def feeders(report: Report, found: Sequence[Unit]) -> list[int | None]:
    """For each unit the index of the one unit that feeds it; None for several, none, or not known."""
    above = only_feeders(report)
    last: dict[str, int] = {unit.layer.path: index for index, unit in enumerate(found)}
    if above:
        return [_fed(unit.layer.path, above, last, index, found) for index, unit in enumerate(found)]
    return [index - 1 if index and _follows(found[index - 1], unit) else None for index, unit in enumerate(found)]


def only_feeders(report: Report) -> dict[str, str | None]:
    """The one layer that feeds each layer of a graph; None for several or none. Empty without a graph."""
    found: dict[str, str | None] = {}
    for layer in report.layers:
        if layer.inputs is not None:
            distinct = set(layer.inputs)
            found[layer.path] = distinct.pop() if len(distinct) == 1 else None
    return found


def _fed(
    path: str, above: Mapping[str, str | None], last: Mapping[str, int], index: int, found: Sequence[Unit]
) -> int | None:
    """Up the graph through layers without weights, as long as there is one way."""
    if index and found[index - 1].layer.path == path:
        return index - 1
    for _ in range(MAX_STEPS):
        up = above.get(path)
        if up is None:
            return None
        if up in last:
            return last[up]
        path = up
    return None


def _follows(before: Unit, unit: Unit) -> bool:
    """Whether names say that one layer comes right after the other: 0, 1; conv1, bn1; bn1, conv2; 0.conv, 1.conv."""
    if before.layer.path == unit.layer.path:
        return True
    if before.layer.parent != unit.layer.parent:
        return _numbered_parents(before, unit)
    first, second = _trailing(before.layer.name), _trailing(unit.layer.name)
    return first is not None and second is not None and (first == second or _is_next(first, second, before, unit))


def _is_next(first: int, second: int, before: Unit, unit: Unit) -> bool:
    numbers = before.layer.name.isdigit() and unit.layer.name.isdigit()
    return second > first if numbers else second == first + 1


def _numbered_parents(before: Unit, unit: Unit) -> bool:
    """Members of one numbered list: `layer.0.norm`, `layer.1.conv`."""
    above, below = (before.layer.parent or "").split("."), (unit.layer.parent or "").split(".")
    if len(above) != len(below) or above[:-1] != below[:-1]:
        return False
    return above[-1].isdigit() and below[-1].isdigit()


def _trailing(name: str) -> int | None:
    digits = name[len(name.rstrip("0123456789")) :][-MAX_PLACES:]
    return int(digits) if digits.isascii() and digits else None


def _storage_places(report: Report) -> dict[str, int]:
    """As listed; where that is the alphabet's order, numbers count as numbers (`dense_2` before `dense_10`)."""
    paths = [layer.path for layer in report.layers]
    if conventions(report.model.framework) == "keras":
        paths = sorted(paths, key=natural) if _alphabetical(paths) else paths
    return {path: place for place, path in enumerate(paths)}


def _alphabetical(paths: Sequence[str]) -> bool:
    top = [path for path in paths if "/" not in path]
    return top == sorted(top)


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """A key that sorts numbers within names as numbers."""
    parts = _NUMBER.split(name)
    return tuple((int(part[-MAX_PLACES:]), "") if part.isdecimal() and part.isascii() else (-1, part) for part in parts)


def _graph_places(report: Report) -> dict[str, int] | None:
    """Places by a walk from the outputs up, the longest branch first; None without a graph."""
    inputs = {layer.path: layer.inputs for layer in report.layers if layer.inputs is not None}
    if not any(inputs.values()):
        return None
    depths = _depths(report, inputs)
    used = {path for above in inputs.values() for path in above}
    ends = [layer.path for layer in report.layers if layer.path not in used]
    places: dict[str, int] = {}
    for path in [*sorted(ends, key=lambda end: depths.get(end, 0), reverse=True), *inputs]:
        _walk(path, inputs, depths, places)
    return places


def _depths(report: Report, inputs: dict[str, tuple[str, ...]]) -> dict[str, int]:
    """How many layers with weights lie on the longest way to each layer, in listed (execution) order."""
    depths: dict[str, int] = {}
    for layer in report.layers:
        above = max((depths.get(path, 0) for path in inputs.get(layer.path, ())), default=0)
        depths[layer.path] = above + (1 if layer.weights else 0)
    return depths


def _walk(start: str, inputs: dict[str, tuple[str, ...]], depths: dict[str, int], places: dict[str, int]) -> None:
    """Places for `start` and all that it needs, each after what feeds it."""
    stack: list[tuple[str, bool]] = [(start, False)]
    entered: set[str] = set()
    while stack:
        path, done = stack.pop()
        if path in places or (path in entered and not done):
            continue
        if done:
            places[path] = len(places)
            continue
        entered.add(path)
        stack.append((path, True))
        stack.extend((above, False) for above in _shortest_first(inputs.get(path, ()), depths))


def _shortest_first(above: Iterable[str], depths: dict[str, int]) -> list[str]:
    """Pushed shortest first, so that the longest branch is popped, and placed, first."""
    return sorted(dict.fromkeys(above), key=lambda path: depths.get(path, 0))
