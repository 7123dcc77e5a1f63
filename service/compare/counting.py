"""What each framework counts, and why two counts differ; knows their conventions, no alignment.

Keras counts every weight of a layer, statistics too (`Model.count_params`), and TensorFlow every variable; PyTorch
counts `parameters()`: no buffers, and a tied tensor once. Of other frameworks, whose tools print no such number, the
parameters are counted. Each weight of both models falls under exactly one cause, so that the causes add up to the gap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from service.compare.matched import Match, UnitPair
from service.compare.slots import SlotPair
from service.compare.units import Slot
from service.tree import Report, Weight

PARAMETERS = ("trainable", "frozen", "unknown")
_OWN = (*PARAMETERS, "statistic")


@dataclass
class Share:
    """What one cause adds to the gap (right minus left), by role, and where. `norms`: layers that normalise."""

    code: str
    count: int = 0
    roles: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, None] = field(default_factory=dict)
    layers: dict[str, None] = field(default_factory=dict)
    norms: dict[str, None] = field(default_factory=dict)


def counted(report: Report) -> int | None:
    """The number the framework prints: Keras `count_params()`, PyTorch `sum(p.numel() for p in parameters())`."""
    parameters, statistics = report.totals.parameters, report.totals.statistics
    if parameters is None or keeps_beside(report.model.framework):
        return parameters
    return None if statistics is None else parameters + statistics


def keeps_beside(framework: str) -> bool:
    """Whether statistics are kept beside what the framework counts."""
    return framework not in ("keras", "tensorflow")


def counts(weight: Weight, beside: bool) -> bool:
    """Whether a framework counts this weight; `beside`: one that keeps statistics beside what it counts."""
    return weight.tied_to is None and weight.group in (PARAMETERS if beside else _OWN)


def shares(match: Match) -> list[Share]:
    """Every cause of a gap, the largest first; weights of unknown size are left out."""
    found: dict[str, Share] = {}
    beside = keeps_beside(match.left.model.framework), keeps_beside(match.right.model.framework)
    for pair in match.pairs:
        for slots in pair.slots:
            left, right = _elements(slots.left, beside[0]), _elements(slots.right, beside[1])
            if left is not None and right is not None and left != right:
                code = "batch_norm_folded" if id(slots) in match.folded else _code(pair, slots, beside)
                _add(found.setdefault(code, Share(code)), pair, slots, right - left)
    return sorted(found.values(), key=lambda share: -abs(share.count))


def _elements(slots: Iterable[Slot], beside: bool) -> int | None:
    total = 0
    for slot in slots:
        count = slot.view.count
        if counts(slot.view.weight, beside):
            if count is None:
                return None
            total += count
    return total


def _code(pair: UnitPair, slots: SlotPair, beside: tuple[bool, bool]) -> str:
    if pair.left is None or pair.right is None:
        return "layers_added" if pair.left is None else "layers_removed"
    if not slots.left or not slots.right:
        return _one_sided(slots)
    if _is_buffer(slots.left, beside[0]) != _is_buffer(slots.right, beside[1]):
        return "statistics_in_buffers"
    if len(slots.left) != len(slots.right):
        return "second_bias"
    tied = [any(slot.view.weight.tied_to for slot in side) for side in (slots.left, slots.right)]
    return "tied_weights" if tied[0] != tied[1] else "changed_size"


def _one_sided(slots: SlotPair) -> str:
    if slots.role == "recurrent_bias":
        return "second_bias"
    ending = "added" if slots.right else "removed"
    return f"bias_{ending}" if slots.role == "bias" else f"weights_{ending}"


def _is_buffer(slots: Iterable[Slot], beside: bool) -> bool:
    return beside and any(slot.view.weight.group == "statistic" for slot in slots)


def _add(share: Share, pair: UnitPair, slots: SlotPair, count: int) -> None:
    share.count += count
    share.roles[slots.role] = share.roles.get(slots.role, 0) + count
    unit = pair.left or pair.right
    for slot in (*slots.left[:1], *slots.right[:1]):
        share.layers[slot.view.layer.path] = None
        if unit is not None and unit.family == "norm":
            share.norms[slot.view.layer.path] = None
    if unit is not None:
        share.kinds[unit.layer.kind] = None
