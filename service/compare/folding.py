"""Finds normalisations that were multiplied into the layer before them; knows the arithmetic, no single mistakes.

A BatchNormalization after a linear layer or a convolution is an affine map per output: with s = gamma /
sqrt(variance + epsilon), kernel' = kernel x s and bias' = (bias - mean) x s + beta do the same in one layer
(Jacob et al. 2018, section 3.2). Where the numbers show this, the missing normalisation is no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from service.compare.arrays import Array, carried, plain, read, total
from service.compare.conventions import number, value_of
from service.compare.guesses import EPSILONS, agrees
from service.compare.matched import Match, UnitPair
from service.compare.slots import SlotPair
from service.compare.units import Unit
from service.compare.verdicts import badly_folded, name_of
from service.comparisons import Difference, Problem
from service.errors import InputError
from service.language import Message, msg
from service.values.base import Values, ValuesUnavailable
from service.values.differ import differ
from service.values.pair import PairOfValues

MAX_NORMS = 64
"""Most normalisations that are tried for one layer, the one right after it first."""

_LOOSE = 1e-5
"""Largest difference of two biases, relative to the largest term that goes into them."""


@dataclass
class Folding:
    """What was found, by the identity of pairs of weights: notes on all that are concerned, and differences anew."""

    notes: dict[int, Message] = field(default_factory=dict)
    differences: dict[int, Difference] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Affine:
    """What a normalisation does to each output: times `factor`, after `mean` was taken off; `offset` is added."""

    factor: Array
    mean: Array
    offset: Array


def folded(match: Match, values: PairOfValues, wrong: Sequence[UnitPair]) -> Folding:
    """All layers of `wrong` (their values are different) into which a normalisation of one side was folded."""
    found = Folding()
    lone = [pair for pair in match.pairs if _norm(pair) is not None]
    if not lone:
        return found
    places = {id(pair): place for place, pair in enumerate(match.pairs)}
    for pair in wrong:
        near = sorted(lone, key=lambda norm: _distance(places[id(norm)] - places[id(pair)]))[:MAX_NORMS]
        norm = next((norm for norm in near if _try(pair, norm, values, found)), None)
        lone = [each for each in lone if each is not norm]
    return found


def _distance(steps: int) -> tuple[bool, int]:
    return steps < 0, abs(steps)


def _norm(pair: UnitPair) -> Unit | None:
    """A BatchNormalization that has no counterpart."""
    unit = pair.left or pair.right
    alone = unit is not None and (pair.left is None or pair.right is None)
    return unit if alone and unit is not None and "moving_variance" in unit.slots else None


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A layer and a normalisation that may have been folded into it."""

    pair: UnitPair
    kernel: SlotPair
    norm: UnitPair
    unit: Unit

    @property
    def on_left(self) -> bool:
        """Whether it is the left model that has the normalisation."""
        return self.norm.left is not None


def _try(pair: UnitPair, norm: UnitPair, values: PairOfValues, found: Folding) -> bool:
    """Whether this normalisation was folded into this layer; fills in what follows from it."""
    unit = _norm(norm)
    kernel = next((slots for slots in pair.slots if slots.role == "kernel" and slots.left and slots.fits), None)
    if unit is None or kernel is None or unit.family != "norm":
        return False
    tried = _Candidate(pair, kernel, norm, unit)
    try:
        ours, theirs = carried(plain(total(values.left, kernel.left)), kernel), plain(total(values.right, kernel.right))
        for affine in _affines(unit, values.left if tried.on_left else values.right):
            if _fits(affine, ours, theirs, on_left=tried.on_left):
                _fill(tried, affine, values, found)
                factors = (affine.factor, 1.0) if tried.on_left else (1.0, affine.factor)
                found.differences[id(kernel)] = _close(ours * factors[0], theirs * factors[1])
                return True
    except (ValuesUnavailable, InputError):
        pass
    return False


def _fits(affine: _Affine, ours: Array, theirs: Array, *, on_left: bool) -> bool:
    if ours.shape != theirs.shape or affine.factor.shape != ours.shape[-1:]:
        return False
    return agrees(ours * affine.factor, theirs) if on_left else agrees(ours, theirs * affine.factor)


def _affines(norm: Unit, values: Values) -> Iterator[_Affine]:
    """What the normalisation does; where the file does not tell epsilon, with each common one."""
    held = {role: plain(read(values, slot.view)).astype(np.float64) for role, slot in norm.slots.items()}
    if "moving_mean" not in held:
        return
    mean, variance = held["moving_mean"], held["moving_variance"]
    given = number(value_of(norm.layer, ("epsilon", "eps")))
    for epsilon in EPSILONS if given is None else (given,):
        with np.errstate(all="ignore"):
            factor = held.get("scale", np.ones_like(mean)) / np.sqrt(variance + epsilon)
        if factor.shape == mean.shape and np.isfinite(factor).all():
            yield _Affine(factor, mean, held.get("offset", np.zeros_like(mean)))


def _fill(tried: _Candidate, affine: _Affine, values: PairOfValues, found: Folding) -> None:
    """Notes of the layer and of the normalisation, and the difference of the biases."""
    note = msg("Equal once the BatchNormalization {norm} is folded into it.", norm=tried.unit.layer.path)
    bias = next((slots for slots in tried.pair.slots if slots.role == "bias"), None)
    ours, theirs = (_bias(bias, values, affine, left=left, folds=left == tried.on_left) for left in (True, False))
    found.notes[id(tried.kernel)] = note
    for slots in tried.norm.slots:
        found.notes[id(slots)] = msg("Folded into {layer}.", layer=name_of(tried.pair))
    terms = (affine.mean * affine.factor, affine.offset, ours, theirs)
    scale = max(float(np.max(np.abs(part), initial=0.0)) for part in terms)
    same = ours.shape == theirs.shape and bool(np.all(np.abs(ours - theirs) <= _LOOSE * scale))
    if not same:
        found.problems.append(badly_folded(tried.pair, tried.unit, (tried.kernel,), () if bias is None else (bias,)))
    if bias is not None:
        found.differences[id(bias)] = _close(ours, theirs) if same else differ(ours, theirs)
        if same:
            found.notes[id(bias)] = note


def _bias(bias: SlotPair | None, values: PairOfValues, affine: _Affine, *, left: bool, folds: bool) -> Array:
    """One side's bias, zeros where it has none, with the normalisation folded in if it is that side's."""
    slots = () if bias is None else bias.left if left else bias.right
    held = total(values.left if left else values.right, slots) if slots else np.zeros_like(affine.mean)
    plainly: Array = plain(held).astype(np.float64)
    return (plainly - affine.mean) * affine.factor + affine.offset if folds else plainly


def _close(ours: Array, theirs: Array) -> Difference:
    """The difference of what agrees but for rounding."""
    found = differ(ours, theirs)
    return msgspec.structs.replace(found, verdict="close") if found.verdict == "different" else found
