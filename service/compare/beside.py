"""Layers without weights: pairs those that stand between the same layers with weights; knows no numbers.

They hold settings (a rate, a window, a slope) and nothing that counts, so that only plain neighbours are paired: the
first dropout after one layer is the first dropout after its counterpart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from service.compare.matched import Match
from service.compare.order import laid_out_layers
from service.tree import Layer

_SPEAKING = frozenset({"dropout", "pool", "global_pool", "activation", "softmax", "padding", "crop", "upsample",
                       "reshape", "merge", "noise", "masking", "lambda", "regularization"})  # fmt: skip
Place = tuple[str | None, str, int]


def weightless(match: Match) -> tuple[list[tuple[Layer, Layer]], list[Layer], list[Layer]]:
    """(pairs, left only, right only) of the layers without weights."""
    partner = {pair.left.layer.path: pair.right.layer.path for pair in match.pairs if pair.left and pair.right}
    ours = _places(laid_out_layers(match.left), partner)
    known = set(partner.values())
    theirs = _places(laid_out_layers(match.right), {path: path for path in known})
    if match.one_framework:
        return _by_path(ours, theirs)
    pairs = [(layer, theirs[place]) for place, layer in ours.items() if place in theirs]
    return pairs, [], []


def _places(layers: Sequence[Layer], partner: Mapping[str, str]) -> dict[Place, Layer]:
    """Layers by what they follow (in the right model's words), kind, and number among those."""
    found: dict[Place, Layer] = {}
    seen: dict[tuple[str | None, str], int] = {}
    last: str | None = None
    for layer in layers:
        if layer.weights:
            last = partner.get(layer.path, last)
        elif layer.kind in _SPEAKING:
            number = seen[last, layer.kind] = seen.get((last, layer.kind), -1) + 1
            found[last, layer.kind, number] = layer
    return found


def _by_path(
    ours: Mapping[Place, Layer], theirs: Mapping[Place, Layer]
) -> tuple[list[tuple[Layer, Layer]], list[Layer], list[Layer]]:
    """Within one framework equal paths of one kind come first, then equal places."""
    left, right = _index(ours.values()), _index(theirs.values())
    pairs = [(layer, right[key]) for key, layer in left.items() if key in right]
    rest = {place: layer for place, layer in theirs.items() if _key(layer) not in left}
    if not ours or not theirs:
        return [], [], []  # a state_dict lists no layers without weights: that is no difference of the models
    removed: list[Layer] = []
    for place, layer in ours.items():
        if _key(layer) in right:
            continue
        if place in rest:
            pairs.append((layer, rest.pop(place)))
        else:
            removed.append(layer)
    return pairs, removed, list(rest.values())


def _key(layer: Layer) -> tuple[str, str]:
    return layer.path, layer.kind


def _index(layers: Iterable[Layer]) -> dict[tuple[str, str], Layer]:
    return {_key(layer): layer for layer in layers}
