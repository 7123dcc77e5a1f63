"""Which weight of a unit is which weight of its counterpart; knows roles and sizes, no numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.compare import kernels
from service.compare.units import Slot, Unit, whole


@dataclass(frozen=True, slots=True)
class Flattening:
    """A map of `channels` times `positions` made flat: one side has channels last, the other first.

    `left_last`: whether it is the left side that has them last.
    """

    channels: int
    positions: int
    left_last: bool


@dataclass(frozen=True, slots=True)
class SlotPair:
    """Weights that are the same thing; several on one side are added up; () where there is no counterpart.

    Attributes:
        role: What they are.
        left, right: The weights.
        flattening: Set where the inputs of the kernel are in another order on the other side.
        swapped: Canonical forms are one another's transpose, because one side's axis order was not known.
        tag: What their units do in an attention, "" for all others.
    """

    role: str
    left: tuple[Slot, ...]
    right: tuple[Slot, ...]
    flattening: Flattening | None = None
    swapped: bool = False
    tag: str = ""

    @property
    def shapes(self) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
        """Canonical shapes of both sides, None where not known or not there."""
        left = self.left[0].view.shape if self.left else None
        right = self.right[0].view.shape if self.right else None
        return left, right

    @property
    def fits(self) -> bool:
        """Whether one side's numbers can be the other's."""
        left, right = self.shapes
        return left is not None and right is not None and _long(left[::-1] if self.swapped else left) == _long(right)


def _long(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Sizes without axes of length one: a 1x1 convolution is a linear layer."""
    return tuple(size for size in shape if size != 1)


def pair_slots(left: Unit, right: Unit, flattening: Flattening | None) -> list[SlotPair]:
    """All weights of both units, once each."""
    pairs: list[SlotPair] = []
    ours, theirs = dict(_read_like(left, right)), dict(_read_like(right, left))
    for role in [role for role in ours if role in theirs]:
        mine, other = _biases(role, ours), _biases(role, theirs)
        if _is_one(mine[0], other[0]):
            mine, other = (_as_stored(mine[0]), *mine[1:]), (_as_stored(other[0]), *other[1:])
        if len(mine) == len(other):
            mine, other = mine[:1], other[:1]
        flat = flattening if role == "kernel" else None
        pairs.append(SlotPair(role=role, left=mine, right=other, flattening=flat, tag=left.tag or right.tag))
        _drop(ours, mine)
        _drop(theirs, other)
    pairs.extend(_by_shape(ours, theirs))
    pairs.extend(SlotPair(role=slot.role, left=(slot,), right=()) for slot in ours.values())
    pairs.extend(SlotPair(role=slot.role, left=(), right=(slot,)) for slot in theirs.values())
    return pairs


def _is_one(left: Slot, right: Slot) -> bool:
    """Whether two weights of one name and stored shape were read in two ways, as one side does not tell its class."""
    ours, theirs = left.view, right.view
    named = ours.weight.name == theirs.weight.name and ours.weight.shape == theirs.weight.shape
    return named and ours.rows == theirs.rows is None and ours.shape != theirs.shape


def _as_stored(slot: Slot) -> Slot:
    return replace(slot, view=whole(slot.view.layer, slot.view.weight))


def _read_like(unit: Unit, other: Unit) -> dict[str, Slot]:
    """The slots of a unit; a filter of a class that is not known is a transposed one where its counterpart is one."""
    kernel = unit.slots.get("kernel")
    known = unit.layer.kind not in ("unknown", "custom")
    if kernel is None or known or not other.family.startswith("deconv") or not unit.family.startswith("conv"):
        return unit.slots
    rank = len(kernel.view.weight.shape or ()) - 2
    view = kernels.convolution(unit.layer, kernel.view.weight, f"IO{'DHW'[-rank:]}")
    return {**unit.slots, "kernel": replace(kernel, view=view)}


def _biases(role: str, slots: dict[str, Slot]) -> tuple[Slot, ...]:
    """The slot of `role`; for a bias of a recurrent layer its second one too."""
    if role == "bias" and "recurrent_bias" in slots:
        return slots["bias"], slots["recurrent_bias"]
    return (slots[role],) if role in slots else ()


def _drop(slots: dict[str, Slot], used: Sequence[Slot]) -> None:
    for slot in used:
        del slots[slot.role]


def _by_shape(ours: dict[str, Slot], theirs: dict[str, Slot]) -> list[SlotPair]:
    """Weights whose roles are not the same words: those of one size in order, either way round. Takes them out."""
    pairs: list[SlotPair] = []
    for slot in list(ours.values()):
        found = _same_size(slot, list(theirs.values()))
        if found is not None:
            other, swapped = found
            role = other.role if _generic(slot) else slot.role
            pairs.append(SlotPair(role=role, left=(slot,), right=(other,), swapped=swapped))
            del ours[slot.role], theirs[other.role]
    return pairs


_PLAIN = frozenset({"kernel", "bias", "recurrent_kernel", "recurrent_bias", "projection_kernel", "scale", "offset",
                    "embedding", "slope", "moving_mean", "moving_variance", "num_batches_tracked"})  # fmt: skip


def _generic(slot: Slot) -> bool:
    """Whether a role says too little to rule out that another one is the same thing."""
    return slot.role not in _PLAIN


def _same_size(slot: Slot, others: Sequence[Slot]) -> tuple[Slot, bool] | None:
    shape = slot.view.shape
    for other in others:
        told = not _generic(slot) and not _generic(other)
        matrix = "kernel" in (slot.role, other.role)  # a Linear without bias and without a class is (out, in)
        for swapped in (True, False) if matrix else (False, True):
            theirs = other.view.shape
            if shape is not None and theirs is not None and not told and _fit(shape, theirs, swapped):
                return other, swapped
    return None


def _fit(left: tuple[int, ...], right: tuple[int, ...], swapped: bool) -> bool:
    return (left[::-1] if swapped else left) == right and (not swapped or len(left) == 2)
