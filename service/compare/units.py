"""What is aligned: units, the smallest pieces of two models that hold weights; knows shapes, no framework's names.

A Dense is one unit, a bidirectional LSTM two, attention four (query, key, value, output): whatever a framework puts
together, both models become sequences of the same kind of pieces. Each weight of a unit is seen through a `View` in a
canonical form that is the same for both frameworks: a linear kernel is (in, out), a convolution's is (*spatial, in per
group, out), recurrent kernels are (in, gates x units).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from service.tree import Layer, Weight


@dataclass(frozen=True, slots=True)
class View:
    """How a stored weight is read in canonical form.

    Cut `rows`, reshape to `fold`, cut `part`, permute `axes`, reshape to `shape`.

    Attributes:
        layer: The layer that holds the weight.
        weight: The weight.
        shape: Canonical shape, None where the file does not tell sizes.
        rows: Start and stop along the first stored axis, None for all.
        fold: Shape before axes are permuted, None as stored.
        part: Start and stop along the first axis of `fold`, None for all.
        axes: Canonical axis i is axis `axes[i]` of the folded weight; () keeps the order.
    """

    layer: Layer
    weight: Weight
    shape: tuple[int, ...] | None
    rows: tuple[int, int] | None = None
    fold: tuple[int, ...] | None = None
    axes: tuple[int, ...] = ()
    part: tuple[int, int] | None = None

    @property
    def count(self) -> int | None:
        """Elements of the part that is seen."""
        return self.weight.count if self.shape is None else prod(self.shape)

    @property
    def key(self) -> tuple[str, str, tuple[int, int] | None]:
        """What tells this part from every other of its model."""
        return self.layer.path, self.weight.name, self.rows


@dataclass(frozen=True, slots=True)
class Slot:
    """One weight of a unit. `gates`: names of the equal blocks along the last canonical axis, () without any."""

    role: str
    view: View
    gates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unit:
    """The smallest piece that is aligned.

    Attributes:
        layer: The layer it belongs to; other layers may hold units of the same attention.
        family: linear, conv2, deconv2, norm, embedding, lstm, gru, simple_rnn, other ...: what can be the same thing.
        slots: Its weights by role.
        tag: What it does within its layer (`query`, `forward`), "" where it is the whole layer.
    """

    layer: Layer
    family: str
    slots: dict[str, Slot] = field(hash=False)
    tag: str = ""

    @cached_property
    def signature(self) -> tuple[object, ...]:
        """What two units must share to be the same thing unchanged: family, and the sizes of all that learns."""
        sizes = tuple(sorted((role, slot.view.shape) for role, slot in self.slots.items() if role in _STRUCTURE))
        other = () if sizes else tuple(sorted(str(_loose(slot)) for slot in self.slots.values()))
        return self.family, "moving_variance" in self.slots, sizes, other

    @property
    def is_vague(self) -> bool:
        """Whether nothing but sizes tells what it is."""
        return self.family == "other" or self.layer.kind in ("unknown", "custom", "parameter")

    @cached_property
    def is_again(self) -> bool:
        """Whether all its weights are those of another unit, used once more."""
        return all(slot.view.weight.tied_to is not None for slot in self.slots.values())

    @cached_property
    def main(self) -> Slot | None:
        """The weight that says most about the unit's size."""
        found = next((self.slots[role] for role in _MAIN if role in self.slots), None)
        return found or max(self.slots.values(), key=lambda slot: slot.view.count or 0, default=None)


_STRUCTURE = frozenset({"kernel", "recurrent_kernel", "bias", "scale", "offset", "embedding", "projection_kernel",
                        "depthwise_kernel", "slope"})  # fmt: skip


_MAIN = ("kernel", "embedding", "scale", "moving_mean", "slope", "offset")


def _loose(slot: Slot) -> tuple[int, ...] | None:
    return None if slot.view.shape is None else tuple(sorted(slot.view.shape))


def place(slots: dict[str, Slot], role: str, view: View, gates: tuple[str, ...] = ()) -> None:
    """Add a slot; a second one of the same role keeps a key of its own, so that no weight is lost."""
    key = role if role not in slots else f"{role} {len(slots)}"
    slots[key] = Slot(role=key, view=view, gates=gates)


def whole(layer: Layer, weight: Weight) -> View:
    """All of a weight as it is stored."""
    return View(layer=layer, weight=weight, shape=sizes(weight))


def sizes(weight: Weight) -> tuple[int, ...] | None:
    """The shape where every size is known and the count agrees, else None."""
    if weight.shape is None:
        return None
    known = tuple(size for size in weight.shape if size is not None)
    return known if len(known) == len(weight.shape) and prod(known) == weight.count else None
