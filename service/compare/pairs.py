"""Matched units as the answer's layer pairs; knows what makes a pair changed or renamed, no causes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from service.compare.beside import weightless
from service.compare.changes import changes
from service.compare.matched import Match, UnitPair
from service.compare.slots import SlotPair
from service.compare.transforms import transform
from service.compare.units import Slot
from service.comparisons import Difference, HyperParameter, LayerPair, WeightPair
from service.language import Message, msg
from service.tree import Layer

Differences = Mapping[int, Difference]
Paths = tuple[str | None, str | None]


def weighted(match: Match) -> dict[Paths, list[UnitPair]]:
    """Unit pairs by the layers that they belong to."""
    found: dict[Paths, list[UnitPair]] = {}
    for pair in match.pairs:
        left = pair.left.layer.path if pair.left else None
        right = pair.right.layer.path if pair.right else None
        found.setdefault((left, right), []).append(pair)
    return found


def layer_pairs(
    match: Match,
    settings: Sequence[HyperParameter],
    differences: Differences,
    problems: Mapping[Paths, Sequence[Message]],
) -> tuple[LayerPair, ...]:
    """All pairs: layers with weights in the order of the left model, then layers without."""
    by_layer: dict[Paths, list[HyperParameter]] = {}
    for setting in settings:
        by_layer.setdefault((setting.left, setting.right), []).append(setting)
    found = [
        _with_weights(match, paths, pairs, by_layer.get(paths, ()), differences, problems.get(paths, ()))
        for paths, pairs in weighted(match).items()
    ]
    both, removed, added = weightless(match)
    found.extend(_without(match, left, right, by_layer.get((left.path, right.path), ())) for left, right in both)
    found.extend(LayerPair(left=layer.path, right=None, kind=layer.kind, status="removed") for layer in removed)
    found.extend(LayerPair(left=None, right=layer.path, kind=layer.kind, status="added") for layer in added)
    return tuple(found)


def _with_weights(
    match: Match, paths: Paths, pairs: Sequence[UnitPair], settings: Iterable[HyperParameter],
    differences: Differences, problems: Sequence[Message],
) -> LayerPair:  # fmt: skip
    both = None not in paths
    texts = (*changes(pairs), *(_setting(setting) for setting in settings if _counts(match, setting)),
             *problems) if both else ()  # fmt: skip
    unit = pairs[0].left or pairs[0].right
    if not both:
        noted = (match.noted.get(id(slots)) for pair in pairs for slots in pair.slots)
        texts = tuple(dict.fromkeys(note for note in noted if note is not None))
    return LayerPair(
        left=paths[0],
        right=paths[1],
        kind=unit.layer.kind if unit else "unknown",
        status=_status(match, paths, texts),
        changes=texts,
        weights=tuple(_weights(match, slots, differences) for pair in pairs for slots in pair.slots),
    )


def _without(match: Match, left: Layer, right: Layer, settings: Iterable[HyperParameter]) -> LayerPair:
    texts = tuple(_setting(setting) for setting in settings if _counts(match, setting))
    paths = left.path, right.path
    return LayerPair(left=left.path, right=right.path, kind=left.kind, status=_status(match, paths, texts),
                     changes=texts)  # fmt: skip


def _counts(match: Match, setting: HyperParameter) -> bool:
    """Whether a setting makes the pair a changed one: across frameworks conventions differ, and are only listed."""
    return match.one_framework and setting.equal is False


def _setting(setting: HyperParameter) -> Message:
    return msg("{name}: {left} became {right}.", name=setting.name, left=str(setting.left_value),
               right=str(setting.right_value))  # fmt: skip


def _status(
    match: Match, paths: Paths, texts: Sequence[Message]
) -> Literal["equal", "changed", "renamed", "added", "removed"]:
    left, right = paths
    if left is None or right is None:
        return "added" if left is None else "removed"
    if texts:
        return "changed"
    return "renamed" if match.one_framework and left != right else "equal"


def _weights(match: Match, slots: SlotPair, differences: Differences) -> WeightPair:
    return WeightPair(
        left=tuple(slot.view.weight.name for slot in slots.left),
        right=tuple(slot.view.weight.name for slot in slots.right),
        role=slots.role,
        left_count=_count(slots.left),
        right_count=_count(slots.right),
        left_rows=slots.left[0].view.rows if slots.left else None,
        right_rows=slots.right[0].view.rows if slots.right else None,
        transform=transform(slots, match.rotary.get(id(slots))),
        difference=differences.get(id(slots)),
        notes=(match.noted[id(slots)],) if id(slots) in match.noted else (),
    )


def _count(slots: Sequence[Slot]) -> int | None:
    counts = [slot.view.count for slot in slots]
    known = [count for count in counts if count is not None]
    return sum(known) if slots and len(known) == len(counts) else None
