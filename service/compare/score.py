"""How much two units look like one another; knows sizes, families and names, no order."""

from __future__ import annotations

from service.compare.units import Slot, Unit

SAME = 1.0
OTHER_BIAS = 0.8
"""The same main weight, with a bias or an offset on one side only."""
OTHER_FORM = 0.7
"""The same matrix as another kind of layer: a 1x1 convolution and a linear layer, an unknown class."""
OTHER_SIZE = 0.2
"""The same family with other sizes, some of them shared: a layer that was changed."""
NAME = 0.5
"""Added for the same path, within one framework; a same last step counts a third of it."""
TAG = 0.6
"""Taken off where both sides say what they do in an attention, and it is not the same."""

AGAIN = 0.05
"""Taken off where one side only is another use of weights that stand elsewhere: the first use comes first."""


def score(left: Unit, right: Unit, *, names: bool) -> float:
    """From 0 (cannot be the same thing) up."""
    base = _structure(left, right)
    same_path = names and left.layer.path == right.layer.path
    if base == 0.0 and left.family == right.family and same_path:
        base = OTHER_SIZE
    if base == 0.0:
        return 0.0
    if left.tag != right.tag and left.tag and right.tag:
        base -= TAG
    if left.is_again != right.is_again:
        base -= AGAIN
    return max(0.0, base + (_names(left, right) if names else 0.0))


def _names(left: Unit, right: Unit) -> float:
    if left.layer.path == right.layer.path:
        return NAME
    return NAME / 3 if left.layer.name == right.layer.name else 0.0


def _structure(left: Unit, right: Unit) -> float:
    if left.signature == right.signature:
        return SAME
    ours, theirs = left.main, right.main
    if ours is None or theirs is None or ours.view.shape is None or theirs.view.shape is None:
        return 0.0
    if left.family != right.family:
        return OTHER_FORM if _loose(ours) == _loose(theirs) and _loose(ours) else 0.0
    if ours.view.shape == theirs.view.shape:
        return OTHER_BIAS
    return _shared(ours.view.shape, theirs.view.shape)


def _shared(left: tuple[int, ...], right: tuple[int, ...]) -> float:
    """The more sizes are the same at the same place, the likelier it is one layer that was changed."""
    if len(left) != len(right):
        return 0.0
    same = sum(a == b for a, b in zip(left, right, strict=True))
    return OTHER_SIZE + OTHER_SIZE * same / len(left) if same else 0.0


def _loose(slot: Slot) -> tuple[int, ...]:
    """Sizes without regard to order and to axes of length one."""
    return tuple(sorted(size for size in slot.view.shape or () if size != 1))
